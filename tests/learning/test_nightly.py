"""Every night ends with a row that says what was done or why nothing was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from callcenter.calls.models import Call
from callcenter.learning import tasks
from callcenter.learning.models import Dataset, NightlyRun, TrainingRun
from callcenter.learning.services import datasets, nightly, training
from tests.learning.conftest import reviewed_call

pytestmark = pytest.mark.django_db
State = NightlyRun.State
Sent = list[tuple[str, dict[str, Any]]]


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 4, hour, minute, tzinfo=ZoneInfo("UTC"))


def set_env(settings: Any, **values: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update=values)


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(
        "callcenter.learning.services.notify.send", lambda title, body: rung.append(f"{title}\n{body}") or True
    )
    return rung


def end(run: TrainingRun, key: str) -> None:
    tasks.advance(str(run.pk))
    tasks.finished(run_id=str(run.pk), attempt=1, result_key=key)
    tasks.sweep()


def test_a_night_builds_trains_promotes_and_tells(
    reviewed: list[Call], answer: Callable[..., str], bell: list[str]
) -> None:
    night = nightly.run_once()
    assert night.state == State.WORKING and night.fresh == 12
    assert night.dataset is not None and night.run is not None and night.run.auto_promote
    end(night.run, answer(night.run))
    night.refresh_from_db()
    assert night.state == State.PROMOTED and "live" in night.reason and night.notified_at is not None
    assert len(bell) == 1 and "New model live" in bell[0]
    tasks.sweep()
    assert len(bell) == 1


def test_a_night_whose_candidate_is_refused_says_why(
    reviewed: list[Call], answer: Callable[..., str], bell: list[str]
) -> None:
    night = nightly.run_once()
    assert night.run is not None
    end(night.run, answer(night.run, passed=False))
    night.refresh_from_db()
    assert night.state == State.REFUSED and night.reason == "Refused: It forgets." and len(bell) == 1


def test_a_night_whose_training_failed_says_why(reviewed: list[Call], bell: list[str]) -> None:
    night = nightly.run_once()
    assert night.run is not None
    tasks.advance(str(night.run.pk))
    tasks.failed(run_id=str(night.run.pk), attempt=1, code="disk_full", message="The disk is full.", permanent=True)
    tasks.sweep()
    night.refresh_from_db()
    assert night.state == State.FAILED and night.reason == "The disk is full." and len(bell) == 1


def test_a_night_without_anything_new_is_skipped_quietly(
    reviewed: list[Call], answer: Callable[..., str], bell: list[str]
) -> None:
    first = nightly.run_once()
    assert first.run is not None
    end(first.run, answer(first.run))
    bell.clear()
    second = nightly.run_once()
    assert second.state == State.SKIPPED and "Nothing was reviewed since" in second.reason and bell == []
    assert (second.number, TrainingRun.objects.count()) == (2, 1)


def test_too_few_new_segments_are_counted_in_the_reason(settings: Any, reviewed: list[Call]) -> None:
    set_env(settings, LEARNING_MIN_CORRECTIONS=50)
    night = nightly.run_once()
    assert night.state == State.SKIPPED and "Only 12 segments" in night.reason and "50" in night.reason
    assert not Dataset.objects.exists()


def test_one_agent_alone_is_a_reason_to_skip(settings: Any) -> None:
    for _ in range(10):
        reviewed_call(agent="ann")
    night = nightly.run_once()
    assert night.state == State.SKIPPED and "cannot hold out a test set" in night.reason


def test_an_open_run_is_a_reason_to_skip(reviewed: list[Call]) -> None:
    training.start(dataset=datasets.build(by=None), by=None)
    night = nightly.run_once()
    assert night.state == State.SKIPPED and "one runs at a time" in night.reason


def test_the_clock_begins_one_night_and_only_in_its_hours(settings: Any, reviewed: list[Call]) -> None:
    set_env(settings, LEARNING_NIGHTLY_HOUR=23)
    assert nightly.due(at(23)) and nightly.due(at(1)) and not nightly.due(at(12)) and not nightly.due(at(22, 59))
    set_env(settings, LEARNING_NIGHTLY_HOUR=-1)
    assert not nightly.due(at(2)) and nightly.next_at() is None
    set_env(settings, LEARNING_NIGHTLY_HOUR=timezone.localtime().hour)
    tasks.sweep()
    tasks.sweep()
    night = NightlyRun.objects.get()
    assert night.number == 0 and not nightly.due()
    tasks.night(scheduled=True)
    night.refresh_from_db()
    assert night.run is not None and NightlyRun.objects.count() == 1


def test_a_night_whose_worker_died_while_building_goes_on(reviewed: list[Call], sent: Sent) -> None:
    night = NightlyRun.objects.create(
        night=timezone.localdate(), number=1, attempts=1, claimed_at=timezone.now() - timedelta(hours=2)
    )
    tasks.sweep()
    assert ("learning.nightly", {"night_id": night.pk}) in sent
    tasks.night(night_id=night.pk)
    night.refresh_from_db()
    assert night.run is not None and TrainingRun.objects.count() == 1
    tasks.night(night_id=night.pk)
    assert TrainingRun.objects.count() == 1


def test_an_unexpected_error_ends_the_night_with_its_kind(
    reviewed: list[Call], monkeypatch: pytest.MonkeyPatch, bell: list[str]
) -> None:
    def broken(**_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("callcenter.learning.services.datasets.build", broken)
    night = nightly.run_once()
    assert night.state == State.FAILED and "ZeroDivisionError" in night.reason and len(bell) == 1


def test_recent_calls_are_heard_again_one_for_each_speech_worker_and_only_while_nobody_waits(
    settings: Any, reviewed: list[Call], answer: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from callcenter.pipeline.models import Run
    from callcenter.pipeline.selectors import WorkerView

    lines = (["speech"], ["speech", "learning"], ["default", "ingest"])
    views = [WorkerView(name=str(n), queues=served, active=0, processes=0) for n, served in enumerate(lines)]
    monkeypatch.setattr("callcenter.pipeline.selectors.workers", lambda: views)
    set_env(settings, LEARNING_RETRANSCRIBE_DAYS=365)
    night = nightly.run_once()
    assert night.run is not None
    end(night.run, answer(night.run))
    assert Run.objects.count() == 2
    tasks.sweep()
    assert Run.objects.count() == 2
    for _ in range(6):
        Run.objects.update(state=Run.State.DONE)
        tasks.sweep()
    night.refresh_from_db()
    assert night.retranscribed == 12 == Run.objects.count() and night.retranscribe_after is None


def test_notifications_go_to_every_address_of_the_settings_though_one_is_away(settings: Any) -> None:
    from callcenter.learning.services import notify
    from tests.notifications.receiver import receiving

    assert not notify.send(title="t", body="b")
    with receiving() as one:
        set_env(settings, NOTIFY_URLS=f"nonsense, json://127.0.0.1:{one.port}/one, json://127.0.0.1:{one.port}/two")
        assert not notify.send(title="t", body="b")
        assert [path for path, _, _ in one.got] == ["/one", "/two"]
        set_env(settings, NOTIFY_URLS=f"json://127.0.0.1:{one.port}/one")
        assert notify.send(title="t", body="b")
