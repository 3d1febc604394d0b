"""Addresses of privacy."""

from __future__ import annotations

from typing import Any

app_name = "privacy"
urlpatterns: list[Any] = []
