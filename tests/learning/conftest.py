"""Reviewed calls with real sound in a store of their own, a queue that keeps what was sent, answers of a worker."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from callcenter.calls.models import Call, Turn
from callcenter.core.storage import store
from callcenter.learning.models import TrainingRun
from callcenter.review.models import Correction, Review
from tests.factories import (
    CallFactory,
    CorrectionFactory,
    QueueFactory,
    TeamFactory,
    TranscriptFactory,
    TurnFactory,
    UserFactory,
    stored_recording,
)

RATE = 8000


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.WHITENOISE_AUTOREFRESH = True
    # Whatever the hour is while the tests run, the clock begins no night unless a test asks for it.
    settings.ENV = settings.ENV.model_copy(update={"LEARNING_NIGHTLY_HOUR": -1})


@pytest.fixture(autouse=True)
def without_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's calls take seconds to cut; the tests that are about them put them back."""
    monkeypatch.setattr("callcenter.demo.rows", lambda: [])


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Tasks go into this list instead of the broker, at once."""
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr(app.control, "broadcast", lambda *_, **__: [])
    monkeypatch.setattr("django.db.transaction.on_commit", lambda func, using=None, robust=False: func())
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 0)
    return kept


def wav(seconds: float, seed: int, channels: int = 2) -> bytes:
    """Return a WAV in which every tenth of a second has a pitch of its own, so that a cut can be placed."""
    at = np.arange(int(seconds * RATE))
    pitch = 200 + 40 * ((at * 10 // RATE) % 20) + 7 * seed
    tracks = [8000 * np.sin(2 * np.pi * (pitch + 500 * channel) * at / RATE) for channel in range(channels)]
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(channels)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes(np.stack(tracks, axis=1).astype("<i2").tobytes())
    return out.getvalue()


def reviewed_call(
    *,
    agent: str = "dana",
    customer: str = "",
    said: tuple[str, ...] = ("Good morning this is Northwind", "My name is Saffron Robles", "Thank you very much"),
    reviewed: tuple[int, ...] = (1,),
    outcome: str = "corrected",
    author: Any = None,
    team: Any = None,
    sound: bool = True,
    number: int | None = None,
) -> Call:
    """Return a call of three turns (agent, customer, agent) of which some were corrected or confirmed by a person."""
    from callcenter.accounts.models import User

    count = Call.objects.count() if number is None else number
    team = team or TeamFactory(name="Billing")
    person = User.objects.filter(username=agent).first() if agent else None
    if agent and person is None:
        person = UserFactory(username=agent, teams=[team])
    seconds = 4.0 * len(said)
    recording = stored_recording(wav(seconds, count), duration_ms=int(seconds * 1000))
    if not sound:
        store().delete(recording.storage_key)
    call = CallFactory(
        recording=recording, team=team, agent=person, queue=QueueFactory(name="Billing"),
        customer_ref=customer or f"C-{count}",
    )  # fmt: skip
    transcript = TranscriptFactory(call=call)
    Call.objects.filter(pk=call.pk).update(transcript=transcript)
    call.refresh_from_db()
    for index, text in enumerate(said):
        turn = TurnFactory(
            transcript=transcript, index=index, party="customer" if index % 2 else "agent",
            start_ms=4000 * index + 500, text=text, source_turn=index, source_word=0,
        )  # fmt: skip
        if index in reviewed:
            review_turn(turn, outcome=outcome, author=author)
    return call


def review_turn(turn: Turn, *, outcome: str = "corrected", author: Any = None) -> None:
    """Let a person have looked at a turn."""
    ids = []
    if outcome == "corrected":
        correction = CorrectionFactory(
            transcript=turn.transcript, turn_index=turn.index, author=author, status=Correction.Status.APPROVED,
            start_ms=turn.start_ms, end_ms=turn.end_ms, before=["wrong"], after=[turn.words[0][0]],
        )  # fmt: skip
        ids.append(str(correction.pk))
    Review.objects.create(
        call=turn.call, transcript=turn.transcript, turn_index=turn.index, first_word=0, start_ms=turn.start_ms,
        end_ms=turn.end_ms, outcome=outcome, reviewed_at=timezone.now(), words=3, wrong=1,
    )  # fmt: skip
    Turn.objects.filter(pk=turn.pk).update(review=outcome, corrections=ids, heard="wrong words here")


@pytest.fixture
def reviewed(db: None) -> list[Call]:
    """Twelve calls of four agents, one corrected turn in each: enough for a golden set and something to learn."""
    return [reviewed_call(agent=("ann", "bob", "cyd", "dee")[n % 4]) for n in range(12)]


CHECKS = [
    {"name": "gain", "title": "Fewer words are wrong", "figure": 0.31, "bound": 0.0, "unit": "share", "passed": True,
     "detail": "12 of 40 word errors are gone."},
    {"name": "old", "title": "The old domain holds", "figure": 0.002, "bound": 0.01, "unit": "WER", "passed": True,
     "detail": "Two more words of 1,000."},
]  # fmt: skip
GAIN = {"wer_before": 0.4, "wer_after": 0.28, "relative": 0.3, "low": 0.1, "high": 0.45, "calls": 4, "words": 100}


def verdict(passed: bool = True) -> dict[str, Any]:
    checks = [dict(check) for check in CHECKS]
    if not passed:
        checks[1] |= {"passed": False, "figure": 0.05, "detail": "It forgets."}
    summary = "Passed: 30 % fewer words are wrong." if passed else "Refused: It forgets."
    return {"passed": passed, "checks": checks, "summary": summary, "gain": dict(GAIN)}


def pooled(wer: float) -> dict[str, Any]:
    return {
        "wer": wer, "cer": wer / 2, "substitutions": 5, "deletions": 2, "insertions": 1, "words": 100,
        "errors": round(100 * wer), "empty": 0, "repetitions": 0, "long_deletions": 0,
        "numbers": {"said": 10, "heard": 9}, "vocabulary": {"said": 4, "heard": 3},
    }  # fmt: skip


@pytest.fixture
def answer() -> Callable[..., str]:
    """Return a function that writes a worker's result for a run into the store and returns its key."""

    def write(run: TrainingRun, *, passed: bool = True, rows: dict[str, Any] | None = None, **changes: Any) -> str:
        def evaluation(who: str, which: str, wer: float) -> dict[str, Any]:
            key = f"learning/{run.pk}/evaluation-{who}-{which}.json"
            document = {"schema": 1, "pooled": pooled(wer), "rows": (rows or {}).get((who, which), [])}
            store().put_bytes(key, json.dumps(document).encode())
            return {"key": key, "pooled": pooled(wer), "real_time_factor": 0.2}

        result = {
            "schema": 1,
            "run_id": str(run.pk),
            "candidate": {
                "reference": f"store:models/{run.pk.hex * 2}", "sha256": "ab" * 32, "bytes": 75_000_000,
                "engine": "faster-whisper", "compute_type": "int8", "card": {"text": "# A model"},
                "variants": [{"kind": "int8", "bytes": 40_000_000, "wer": 0.28, "real_time_factor": 0.2}],
            },
            "fit": {"method": "frozen_encoder", "steps": 40, "seconds": 61.0, "train_loss": 0.7,
                    "validation_wer_before": 0.4, "validation_wer_after": 0.3,
                    "curve": [{"step": 10, "epoch": 1, "loss": 1.2, "wer": 0.4},
                              {"step": 40, "epoch": 4, "loss": 0.7, "wer": 0.3}]},
            "evaluations": {
                "candidate": {"golden": evaluation("candidate", "golden", 0.28),
                              "old": evaluation("candidate", "old", 0.05) if run.old_domain else None},
                "served": {"golden": evaluation("served", "golden", 0.4),
                           "old": evaluation("served", "old", 0.05) if run.old_domain else None},
            },
            "verdict": verdict(passed),
            "seconds": {"fit-result": 61.0, "candidate": 4.0},
            **changes,
        }  # fmt: skip
        key = f"learning/{run.pk}/result.json"
        store().put_bytes(key, json.dumps(result).encode())
        return key

    return write


def yesterday() -> Any:
    return timezone.now() - timedelta(days=1)
