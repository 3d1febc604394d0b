"""The voice in understanding and on the call's page: read where it was measured, off where it is switched off."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from asr_worker.voice import voice_key
from callcenter.core.storage import store
from callcenter.insights.models import Insight
from callcenter.insights.services import understand_call
from tests.factories import Story, understood_call

CALM = "well then we could look at that again tomorrow morning"
STORY = Story(
    intent="unknown",
    turns=tuple((party, CALM, 0.0) for _ in range(5) for party in ("agent", "customer")),
    alerts=(),
    unsure={},
)


@pytest.fixture
def call(settings: Any, tmp_path: Any, cast: Any, warehouse: Any) -> Any:
    """A call of ten calm turns; in the last one the customer is louder and higher by far."""
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.MODELS_DIR = tmp_path / "none"  # the lexicon alone reads the words
    settings.VAR_DIR = tmp_path
    settings.WHITENOISE_AUTOREFRESH = True
    made = understood_call(STORY, team=cast.team_a, agent=cast.agent)
    steps = made.recording.duration_ms // 100 + 1
    channels = [{"energy_db": [-40.0] * steps, "pitch_hz": [120.0 + 90 * side] * steps} for side in (0, 1)]
    last = made.transcript.turns.order_by("index").last()
    for at in range(last.start_ms // 100, last.end_ms // 100 + 1):
        channels[1]["energy_db"][at], channels[1]["pitch_hz"][at] = -25.0, 300.0
    document = {"schema_version": 1, "step_ms": 100, "channels": channels}
    store().put_bytes(voice_key(made.recording.sha256), json.dumps(document).encode())
    return made


def page(cast: Any, call: Any) -> str:
    client = Client()
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    return str(client.get(call.get_absolute_url()).content.decode())


def test_a_raised_voice_with_calm_words_is_shown_beside_the_words_and_changes_no_score(cast: Any, call: Any) -> None:
    understand_call(call=call)
    document = Insight.objects.get(call=call).document
    assert [(d["turn"], d["kind"]) for d in document["voice"]["disagreements"]] == [(9, "calm_words_raised_voice")]
    shown = page(cast, call)
    assert "calm words, raised voice" in shown and "louder and higher than usual" in shown
    assert "The voice is an indication, not a measure" in shown and "By quarter" in shown
    store().delete(voice_key(call.recording.sha256))
    understand_call(call=call)
    without = Insight.objects.get(call=call).document
    assert "voice" not in without and without["sentiment"] == document["sentiment"]
    assert "Words and voice disagree" not in page(cast, call)


def test_a_muted_recording_keeps_its_voice(cast: Any, call: Any) -> None:
    recording = call.recording
    recording.storage_key = f"recordings/ab/{'ab' * 32}"
    recording.save(update_fields=["storage_key"])
    understand_call(call=call)
    assert Insight.objects.get(call=call).document["voice"]["disagreements"]


def test_the_setting_switches_it_off(cast: Any, call: Any, settings: Any) -> None:
    from callcenter.pipeline.spec import spec_for

    assert spec_for(call).voice
    settings.ENV = settings.ENV.model_copy(update={"VOICE_SIGNAL": False})
    understand_call(call=call)
    assert "voice" not in Insight.objects.get(call=call).document
    assert not spec_for(call).voice


def test_tracks_that_cannot_be_read_cost_nobody_the_words(cast: Any, call: Any) -> None:
    store().put_bytes(voice_key(call.recording.sha256), b'{"schema_version": 1}')
    understand_call(call=call)
    insight = Insight.objects.get(call=call)
    assert "voice" not in insight.document and insight.document["sentiment"]["turns"]
