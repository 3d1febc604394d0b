"""A receiver on this machine, a house that allows it, and a queue that keeps what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callcenter.insights.notifications import services
from callcenter.insights.notifications.models import Route
from tests.notifications.receiver import Receiver, receiving


@pytest.fixture(autouse=True)
def own_house(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.WHITENOISE_AUTOREFRESH = True
    settings.ENV = settings.ENV.model_copy(update={"SITE_URL": "https://calls.example.org"})


@pytest.fixture
def private_allowed(settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update={"NOTIFY_ALLOW_PRIVATE": True})


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Tasks go into this list instead of the broker, at once."""
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr("django.db.transaction.on_commit", lambda func, using=None, robust=False: func())
    return kept


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def route(cast: Any, receiver: Receiver, private_allowed: None) -> Callable[..., tuple[Route, str]]:
    """Return a function that makes a route of team A to the receiver, from low severity on."""

    def make(**values: Any) -> tuple[Route, str]:
        defaults = {"name": "Desk", "channel": "webhook", "team": cast.team_a, "minimum_severity": "low"}
        address = values.pop("address", receiver.url)
        return services.create(by=values.pop("by", cast.supervisor), address=address, **{**defaults, **values})

    return make
