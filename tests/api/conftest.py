"""Two teams, their people with tokens, and a call of each team with a transcript and an alert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.accounts.models import ApiToken, Role, Team, User
from callcenter.calls.models import Call, Recording, Transcript, Turn
from callcenter.insights.models import Alert, Insight
from callcenter.pipeline.models import Run


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr("callcenter.insights.services.load_into_warehouse", lambda call: None)
    return kept


class Machine(Client):
    """A client that acts by token only."""

    def __init__(self, user: User | None) -> None:
        super().__init__(raise_request_exception=True)
        if user is not None:
            self.defaults["HTTP_AUTHORIZATION"] = f"Bearer {ApiToken.issue(user=user, name='test')[1]}"


def person(name: str, role: str, *teams: Team) -> User:
    user = User.objects.create_user(name, password="x", role=role)
    user.teams.set(teams)
    return user


@pytest.fixture
def people(db: None) -> dict[str, User]:
    red, blue = Team.objects.create(name="Red", slug="red"), Team.objects.create(name="Blue", slug="blue")
    return {
        "agent": person("amy", Role.AGENT, red),
        "other_agent": person("ann", Role.AGENT, red),
        "supervisor": person("sue", Role.SUPERVISOR, red),
        "other_supervisor": person("bob", Role.SUPERVISOR, blue),
        "operator": person("oli", Role.OPERATOR),
        "compliance": person("cleo", Role.COMPLIANCE),
    }


@pytest.fixture
def machines(people: dict[str, User]) -> dict[str, Machine]:
    return {role: Machine(user) for role, user in people.items()} | {"nobody": Machine(None)}


def make_call(team: Team, agent: User | None, text: str, number: int) -> Call:
    sha = f"{number:02x}" * 32
    recording = Recording.objects.create(
        sha256=sha, storage_key=f"recordings/{sha[:2]}/{sha}", size=1, content_type="audio/wav", sample_rate=8000,
        channels=2, duration_ms=9000, layout="two_party",
    )  # fmt: skip
    call = Call.objects.create(
        recording=recording, team=team, agent=agent, external_id=f"X{number}",
        started_at=timezone.now() - timezone.timedelta(hours=number),
    )  # fmt: skip
    transcript = Transcript.objects.create(
        call=call, artefact_key=f"k{number}", fingerprint="f", engine="e", model="m", language="en",
        layout="two_party", diarizer="channels", mapping={"parties": {"0": "agent", "1": "customer"}},
    )  # fmt: skip
    words = [[w, 1000 + 400 * i, 1300 + 400 * i, 0.9] for i, w in enumerate(text.split())]
    Turn.objects.create(
        transcript=transcript, call=call, index=0, party="customer", speaker="1", start_ms=1000,
        end_ms=words[-1][2], text=text, searchable=text, words=words,
    )  # fmt: skip
    call.transcript = transcript
    call.save()
    Insight.objects.create(
        call=call, transcript=transcript, nlu_version="1", intent="cancel", document={"intent": "cancel"}
    )
    Alert.objects.create(
        call=call, identity="i", category="churn", severity="high", rule_key="r", rule_version="1", party="customer",
        start_ms=1000, end_ms=2000, quote="cancel",
    )  # fmt: skip
    Run.objects.create(call=call, state="done")
    return call


@pytest.fixture
def red_call(people: dict[str, User]) -> Call:
    return make_call(Team.objects.get(slug="red"), people["agent"], "I want to cancel my contract", 1)


@pytest.fixture
def blue_call(people: dict[str, User]) -> Call:
    return make_call(Team.objects.get(slug="blue"), None, "where is my parcel", 2)
