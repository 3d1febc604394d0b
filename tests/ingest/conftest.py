"""A store of its own for each test, and a queue that keeps what was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Batch
from callcenter.calls.services import batches


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Tasks go into this list instead of the broker, at once."""
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr("django.db.transaction.on_commit", lambda func, using=None, robust=False: func())
    return kept


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="Billing", slug="billing")


@pytest.fixture
def supervisor(team: Team) -> User:
    user = User.objects.create_user("sue", password="x", role=Role.SUPERVISOR)
    user.teams.add(team)
    return user


@pytest.fixture
def agent(team: Team) -> User:
    user = User.objects.create_user("amy", password="x", role=Role.AGENT)
    user.teams.add(team)
    return user


@pytest.fixture
def work(sent: list[tuple[str, dict[str, Any]]]) -> Any:
    """Return a function that does what the ingest worker would do with everything sent so far."""

    def run() -> None:
        while any(name == "calls.ingest_row" for name, _ in sent):
            index = next(i for i, (name, _) in enumerate(sent) if name == "calls.ingest_row")
            _, kwargs = sent.pop(index)
            batches.process_row(**kwargs)

    return run


@pytest.fixture
def batch(team: Team, supervisor: User) -> Batch:
    return batches.open_batch(by=supervisor, team=team, name="Test")
