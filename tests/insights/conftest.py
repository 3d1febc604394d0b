"""Tasks go into a list instead of the broker; the warehouse is not asked."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Any) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    return kept


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls that were to be loaded into the warehouse."""
    kept: list[Any] = []
    monkeypatch.setattr("callcenter.insights.services.load_into_warehouse", lambda call: kept.append(call.pk))
    monkeypatch.setattr("callcenter.insights.warehouse_doc.load_calls", lambda ids: kept.extend(ids))
    return kept
