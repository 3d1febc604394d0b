"""A call with a run, a queue that keeps what was sent, and artefacts to be finished with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from asr_worker.types import PartyMapping, PipelineSpec, Transcript, Turn, Word
from callcenter.accounts.models import Team
from callcenter.calls.models import Call, Recording
from callcenter.core.storage import store
from callcenter.pipeline.models import Run
from callcenter.pipeline.services import start_run


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Tasks go into this list instead of the broker, at once."""
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr("django.db.transaction.on_commit", lambda func, using=None, robust=False: func())
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 0)
    return kept


@pytest.fixture
def call(db: None) -> Call:
    team = Team.objects.create(name="Billing", slug="billing")
    recording = Recording.objects.create(
        sha256="ab" * 32, storage_key="recordings/ab/" + "ab" * 32, size=1, content_type="audio/wav", sample_rate=8000,
        channels=2, duration_ms=9000, layout="two_party",
    )  # fmt: skip
    return Call.objects.create(recording=recording, team=team, started_at=timezone.now())


@pytest.fixture
def run(call: Call) -> Run:
    return start_run(call=call)


def transcript_artefact(call: Call, *, model: str = "whisper-tiny.en") -> str:
    """Write a transcript of two turns to the store and return its key."""
    spec = PipelineSpec(model=model)
    turns = (
        Turn(0, "agent", "0", 0, 500, 1500, (Word("Hello,", 500, 900, 0.9), Word("Amy.", 950, 1500, 0.7))),
        Turn(
            1,
            "customer",
            "1",
            1,
            2000,
            3000,
            (Word("Cancel", 2000, 2500, 0.95), Word("it.", 2550, 3000, 0.9)),
        ),
    )
    document = Transcript(
        recording=call.recording.sha256, spec=spec, fingerprint=spec.fingerprint("assemble"), model=model,
        language="en", duration_ms=9000, layout="two_party", diarizer="channels",
        mapping=PartyMapping({"0": "agent", "1": "customer"}, 1.0, "one party per channel"), turns=turns,
    )  # fmt: skip
    key = f"artefacts/{call.recording.sha256}/assemble/{document.fingerprint}.json"
    store().put_bytes(key, json.dumps(document.to_json()).encode())
    return key


UNDERSTOOD: dict[str, Any] = {
    "schema_version": 1, "nlu_version": "t", "intents": [], "intent": "cancel", "intent_probability": 0.9,
    "sentiment": {"score": -0.4, "agent": 0.1, "customer": -0.5, "customer_change": 0.0, "quarters": {}, "turns": []},
    "metrics": {}, "warnings": [],
    "alerts": [{
        "category": "churn", "severity": "high", "rule_key": "cancel", "rule_version": 1, "party": "customer",
        "start_ms": 2000, "end_ms": 3000, "quote": "Cancel it.", "turn": 1, "word_ids": ["1:0", "1:1"],
        "transcription_confidence": 0.92, "components": [{"kind": "phrase", "detail": "cancel", "share": 1.0}],
        "score": 0.9, "listen_first": False,
    }],
}  # fmt: skip


@pytest.fixture
def understanding(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Understanding answers with a fixed document and notes what it was asked; the warehouse notes its loads."""
    asked: list[dict[str, Any]] = []

    def understand(transcript: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        asked.append(transcript)
        return json.loads(json.dumps(UNDERSTOOD))

    monkeypatch.setattr("analytics.nlu.understand", understand)
    monkeypatch.setattr("callcenter.insights.services.load_into_warehouse", lambda call: None)
    return asked
