"""Operations in one place: the hours of the day, the real-time factor, storage, cures, and the learning loop."""

from __future__ import annotations

import re
from typing import Any

import pytest

from callcenter.learning.models import TrainingRun
from callcenter.pipeline import machinery
from callcenter.pipeline.models import Run
from tests.factories import CallFactory, DatasetFactory, RunFactory, TrainingRunFactory, understood_call
from tests.web.test_dashboard import signed_in


def page(user: Any) -> str:
    return re.sub(r"\s+", " ", signed_in(user).get("/operations/").content.decode())


def test_a_failure_is_shown_with_what_cures_it(cast: Any) -> None:
    for code in ("worker_lost", "never_heard_of"):
        RunFactory(
            call=CallFactory(team=cast.team_a), state=Run.State.FAILED, error_code=code, error_message="It broke."
        )
    html = page(cast.operator)
    assert "a machine short of memory ends the largest process first" in html
    assert "if it fails again, look at the worker&#x27;s log" in html or "look at the worker's log" in html


@pytest.mark.parametrize("permanent", [True, False])
def test_every_cause_has_something_to_do(permanent: bool) -> None:
    assert machinery.cure("never_heard_of", permanent)
    assert machinery.cure("disk_full", permanent).startswith("Free some space")


def test_the_day_is_drawn_hour_by_hour_with_the_real_time_factor(cast: Any) -> None:
    call = understood_call(team=cast.team_a, run=False)
    seconds = call.recording.duration_ms / 1000
    RunFactory(call=call, seconds={"transcribe": seconds / 2, "understand": seconds / 4})
    html = page(cast.supervisor)
    assert html.count('<i style="height:max(2px,') == 24
    assert "height:max(2px,100%)" in html
    assert re.search(r'tnum">0\.75</div><div class="small text-secondary">real-time factor', html)


def test_a_day_without_work_says_so(cast: Any) -> None:
    html = page(cast.operator)
    assert "Nothing was understood in the last 24 hours" in html
    assert "None yet: the first night with enough corrections builds one." in html
    assert "Nothing is being trained." in html
    assert "No call has failed." in html


def test_storage_is_counted_for_who_keeps_the_machine(cast: Any) -> None:
    CallFactory(team=cast.team_b)
    html = page(cast.operator)
    assert re.search(r'Recordings</dt><dd class="[^"]+">1</dd>', html)
    assert 'id="storage"' not in page(cast.supervisor)


def test_the_running_training_is_live_on_the_panel(cast: Any) -> None:
    dataset = DatasetFactory(name="Corrections of May")
    run = TrainingRunFactory(
        dataset=dataset, state=TrainingRun.State.WORKING, stage="fit", progress={"now": {"step": 8, "steps": 12}}
    )
    ended = TrainingRunFactory(dataset=dataset, state=TrainingRun.State.FAILED)
    html = re.sub(r"\s+", " ", signed_in(cast.operator).get("/operations/panel").content.decode())
    assert "Step 8 of 12" in html
    assert all(each.get_absolute_url() in html for each in (run, ended, dataset))
