"""A store of its own for each test, a queue that keeps what was sent, and calls in which a card number is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import CallFactory, Story, stored_recording, tone_wav, understood_call

DIGITS = "4242 4242 4242 4242"
SPOKEN = "four two four two four two four two four two four two four two four two"
CARD = Story(
    intent="payment",
    turns=(
        ("agent", "Thank you for calling, my name is Olivia Carter.", 0.3),
        ("customer", "Hello, this is Martin Doyle and I want to pay my bill.", 0.0),
        ("agent", "Can I take the card number please?", 0.0),
        ("customer", f"It is {SPOKEN} okay", 0.0),
        ("agent", "Thank you, and the three digits on the back?", 0.0),
        ("customer", "one two three", 0.0),
        ("agent", "That is all paid, goodbye.", 0.5),
    ),
    alerts=(),
    unsure={},
)


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Tasks go into this list instead of the broker."""
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    return kept


def artefact_of(story: Story, call: Any, *, fingerprint: str = "ab", step: int = 300) -> str:
    """Write a speech worker's transcript of a story, and the raw words beside it, and return its key."""
    from asr_worker.types import PartyMapping, PipelineSpec, Transcript, Turn, Word
    from callcenter.core.storage import store

    now, turns = 800, []
    for index, (party, text, _) in enumerate(story.turns):
        words = []
        for word in text.split():
            words.append(Word(word, now, now + step - 40, 0.9))
            now += step
        channel = 0 if party == "agent" else 1
        turns.append(
            Turn(index, party, f"channel-{channel}", channel, words[0].start_ms, words[-1].end_ms, tuple(words))  # type: ignore[arg-type]
        )
        now += 500
    sha = call.recording.storage_key.rsplit("/", 1)[-1]
    document = Transcript(
        recording=sha, spec=PipelineSpec(), fingerprint=fingerprint, model="whisper-tiny.en", language="en",
        duration_ms=now, layout="two_party", diarizer="channels",
        mapping=PartyMapping({"channel-0": "agent", "channel-1": "customer"}, 1.0, "by channel"), turns=tuple(turns),
    )  # fmt: skip
    key = f"artefacts/{sha}/assemble/{fingerprint}.json"
    store().put_bytes(key, json.dumps(document.to_json()).encode())
    raw = {"channels": [0, 1], "words": [[w.text for t in turns for w in t.words]]}
    store().put_bytes(f"artefacts/{sha}/transcribe/{fingerprint}-01.json", json.dumps(raw).encode())
    return key


def call_with_audio(seconds: float = 40.0, pitch: int = 330, **values: Any) -> Any:
    """Return a call whose recording, a tone on both channels, lies in the store."""
    audio = tone_wav(seconds=seconds, pitch=pitch)
    recording = stored_recording(audio, duration_ms=round(seconds * 1000))
    return CallFactory(recording=recording, **values)


def stored_before(**values: Any) -> Any:
    """Return a call as an older version of this house stored it: with the card number in the clear."""
    return understood_call(CARD, audio=True, **values)


def everything_in(call: Any) -> str:
    """Return all text that is stored of a call: rows and artefacts."""
    from django.core import serializers

    from callcenter.core.storage import store

    rows: list[Any] = [call, call.recording, *call.transcripts.all(), *call.turns.all(), *call.corrections.all()]
    rows += [*call.reviews.all(), *call.alerts.all()]
    if hasattr(call, "insight"):
        rows.append(call.insight)
    text = serializers.serialize("json", rows)
    for key in store().iter_keys("artefacts/"):
        text += store().get_bytes(key).decode(errors="replace")
    return text
