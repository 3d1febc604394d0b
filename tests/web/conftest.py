"""A store of its own for each test, a queue that keeps what was sent, a warehouse in the test's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.WHITENOISE_AUTOREFRESH = True  # else every client reads the whole folder of static files


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Tasks go into this list instead of the broker; no worker is asked anything."""
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr(app.control, "broadcast", lambda *_, **__: [])
    return kept
