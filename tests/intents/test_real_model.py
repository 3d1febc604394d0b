"""The taxonomy on the demo calls' scripts with the real sentence model: what moves is what must move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site

from callcenter.calls.models import Call
from callcenter.demo import rows
from callcenter.insights.intents import jobs, taxonomy
from callcenter.insights.intents.models import Move
from callcenter.insights.models import Insight
from callcenter.insights.services import seed_defaults
from tests.factories import CallFactory, InsightFactory, RecordingFactory, TranscriptFactory, TurnFactory, timed
from tests.intents.test_taxonomy import State, finish

EMPTY = {"sentiment": {"score": 0.0, "turns": []}, "metrics": {}, "intents": [], "intent": "unknown"}
MODELS = Path(site.MODELS_DIR)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.skipif(not (MODELS / "minilm").is_dir(), reason="the sentence model is not installed"),
]


@pytest.fixture
def told(cast: Any, settings: Any, tmp_path: Path, warehouse: Any) -> list[Call]:
    """Every demo call as its script has it, with the taxonomy that comes with the software."""
    settings.VAR_DIR = tmp_path
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    seed_defaults()
    calls = []
    for row in rows():
        call = CallFactory(
            recording=RecordingFactory(duration_ms=row["duration_ms"]), team=cast.team_a, external_id=row["external_id"]
        )
        transcript = TranscriptFactory(call=call)
        for index, turn in enumerate(row["reference"]):
            words = timed(turn["text"], turn["start_ms"])
            TurnFactory(
                transcript=transcript, call=call, index=index, party=turn["party"], text=turn["text"],
                start_ms=turn["start_ms"], end_ms=max(turn["end_ms"], words[-1][2]), words=words,
            )  # fmt: skip
        call.transcript = transcript
        call.save(update_fields=["transcript"])
        InsightFactory(call=call, transcript=transcript, intent="unknown", document=dict(EMPTY))
        calls.append(call)
    return calls


def test_switching_an_intent_off_moves_its_calls_and_hardly_any_other(
    told: list[Call], cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.core.queue.send", lambda *_, **__: True)
    first = finish(jobs.relabel(by=cast.supervisor))
    assert (first.state, first.done) == (State.DONE, len(told)), first.error_message
    read = dict(Insight.objects.values_list("call__external_id", "intent"))
    counts = {name: list(read.values()).count(name) for name in set(read.values()) - {"unknown"}}
    assert len(counts) >= 5, counts  # how good the reading is, the benchmarks say
    gone = max(counts, key=lambda name: (counts[name], name))
    item = next(i for i in taxonomy.current().content if i["name"] == gone)
    job = finish(jobs.preview(edit={"put": {**item, "enabled": False}}, by=cast.supervisor))
    assert job.state == State.DONE, job.error_message
    assert (job.done, job.total) == (len(told), len(told))
    moved = dict(Move.objects.filter(job=job).values_list("call__external_id", "before"))
    must = {key for key, intent in read.items() if intent == gone}
    assert must <= set(moved) and len(set(moved) - must) <= 2
    taxonomy.save(proposed=job.parameters["proposed"], base=job.version, by=cast.supervisor)
    again = finish(jobs.relabel(by=cast.supervisor))
    assert again.changed == len(moved)
    assert not Insight.objects.filter(intent=gone).exists()
    after = dict(Insight.objects.values_list("call__external_id", "intent"))
    assert {key for key in read if read[key] != after[key]} == set(moved)
