"""Addresses of the taxonomy."""

from __future__ import annotations

from typing import Any

app_name = "intents"
urlpatterns: list[Any] = []
