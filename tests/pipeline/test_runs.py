"""The state machine of a run: lost, doubled, late and failing messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from callcenter.calls.models import Call, Transcript, Turn
from callcenter.calls.services.parties import swap_parties
from callcenter.core.errors import CallcenterError
from callcenter.insights.models import Alert, Insight
from callcenter.insights.triage import dismiss
from callcenter.pipeline import services
from callcenter.pipeline.models import Run
from tests.pipeline.conftest import transcript_artefact

pytestmark = pytest.mark.django_db
State = Run.State


def names(sent: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [name for name, _ in sent]


def finish_speech(run: Run, **kwargs: Any) -> bool:
    values = {
        "run_id": str(run.pk),
        "attempt": run.attempt,
        "audio_info_key": "",
        "seconds": {"transcribe": 1.0},
    }
    return services.speech_finished(**{**values, "transcript_key": transcript_artefact(run.call), **kwargs})


def overdue(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))


def test_a_run_goes_from_queued_to_done_and_leaves_transcript_insight_and_alert(
    run: Run, sent: Any, understanding: Any
) -> None:
    assert names(sent) == ["pipeline.advance"]
    assert services.advance(run.pk)
    name, kwargs = sent[-1]
    assert name == "asr_worker.transcribe" and kwargs["audio_key"] == run.call.recording.storage_key
    run.refresh_from_db()
    assert run.state == State.SPEECH and run.attempt == 1
    assert finish_speech(run)
    assert names(sent)[-1] == "pipeline.understand"
    assert services.understand(str(run.pk))
    run.refresh_from_db()
    assert run.state == State.DONE and run.progress == 1.0
    assert [t.party for t in Turn.objects.filter(call=run.call)] == ["agent", "customer"]
    assert Insight.objects.get(call=run.call).intent == "cancel"
    assert Alert.objects.get(call=run.call).word_ids == ["1:0", "1:1"]


def test_a_run_is_claimed_by_one_of_two_who_ask(run: Run, sent: Any) -> None:
    assert services.advance(run.pk)
    assert not services.advance(run.pk)
    assert names(sent).count("asr_worker.transcribe") == 1


def test_a_doubled_answer_changes_nothing(run: Run, sent: Any, understanding: Any) -> None:
    services.advance(run.pk)
    run.refresh_from_db()
    assert finish_speech(run)
    assert not finish_speech(run)
    services.understand(str(run.pk))
    assert not services.understand(str(run.pk))
    assert not finish_speech(run)
    assert Transcript.objects.count() == 1 and Turn.objects.count() == 2 and len(understanding) == 1


def test_a_worker_that_went_silent_costs_a_retry_and_never_the_call(run: Run, sent: Any, understanding: Any) -> None:
    services.advance(run.pk)
    services.speech_progress(run_id=str(run.pk), attempt=1, stage="transcribe", fraction=0.4)
    overdue(run)
    assert services.sweep()["failed"] == 1
    run.refresh_from_db()
    assert run.state == State.QUEUED and run.failures == 1 and run.error_code == "worker_lost"
    Run.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())
    assert services.sweep()["advanced"] == 1
    run.refresh_from_db()
    assert run.state == State.SPEECH and run.attempt == 2


def test_the_late_answer_of_an_earlier_attempt_still_serves(run: Run, sent: Any, understanding: Any) -> None:
    services.advance(run.pk)
    services.speech_progress(run_id=str(run.pk), attempt=1, stage="transcribe", fraction=0.4)
    overdue(run)
    services.sweep()
    assert finish_speech(run, attempt=1)
    run.refresh_from_db()
    assert run.state == State.NLU_QUEUED


def test_the_late_failure_of_an_earlier_attempt_does_not_count(run: Run) -> None:
    services.advance(run.pk)
    Run.objects.filter(pk=run.pk).update(attempt=2)
    services.speech_failed(run_id=str(run.pk), attempt=1, code="x", message="x", permanent=True)
    run.refresh_from_db()
    assert run.state == State.SPEECH


def test_a_message_lost_with_the_broker_is_sent_again(run: Run, sent: Any) -> None:
    services.advance(run.pk)
    sent.clear()
    overdue(run)
    assert services.sweep()["resent"] == 1
    assert names(sent) == ["asr_worker.transcribe"]
    run.refresh_from_db()
    assert run.failures == 0


def test_a_run_that_waits_in_a_long_line_is_not_sent_twice(
    run: Run, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.advance(run.pk)
    sent.clear()
    overdue(run)
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 5)
    assert services.sweep()["extended"] == 1
    assert not sent


def test_a_broker_that_cannot_be_reached_loses_no_run(run: Run, monkeypatch: pytest.MonkeyPatch, sent: Any) -> None:
    from callcenter.celery import app

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no broker")

    taken = app.send_task
    monkeypatch.setattr(app, "send_task", refuse)
    services.advance(run.pk)
    run.refresh_from_db()
    assert run.state == State.SPEECH
    monkeypatch.setattr(app, "send_task", taken)
    overdue(run)
    services.sweep()
    assert names(sent)[-1] == "asr_worker.transcribe"


def test_a_passing_error_is_retried_with_growing_pauses_until_it_is_given_up(run: Run, settings: Any) -> None:
    pauses = []
    for attempt in range(1, settings.ENV.RUN_MAX_ATTEMPTS + 1):
        Run.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())
        assert services.advance(run.pk)
        services.speech_failed(run_id=str(run.pk), attempt=attempt, code="oom", message="No memory.", permanent=False)
        run.refresh_from_db()
        if run.next_attempt_at:
            pauses.append((run.next_attempt_at - timezone.now()).total_seconds())
    assert run.state == State.FAILED and run.error_message == "No memory."
    assert pauses == sorted(pauses) and len(pauses) == settings.ENV.RUN_MAX_ATTEMPTS - 1


def test_a_permanent_error_fails_at_once_and_shows_its_message(run: Run) -> None:
    services.advance(run.pk)
    services.speech_failed(run_id=str(run.pk), attempt=1, code="bad_audio", message="No sound.", permanent=True)
    run.refresh_from_db()
    assert run.state == State.FAILED and run.error_message == "No sound." and run.error_permanent


def test_a_failed_run_can_be_retried_and_others_cannot(run: Run, sent: Any) -> None:
    with pytest.raises(CallcenterError):
        services.retry(run=run, by=None)
    Run.objects.filter(pk=run.pk).update(state=State.FAILED, failures=4)
    run.refresh_from_db()
    sent.clear()
    assert services.retry(run=run, by=None).state == State.QUEUED
    assert names(sent) == ["pipeline.advance"]


def test_a_call_has_one_open_run_at_a_time(run: Run) -> None:
    with pytest.raises(CallcenterError, match="already"):
        services.start_run(call=run.call)


def test_understanding_that_fails_keeps_the_transcript_and_tries_again(
    run: Run, understanding: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.advance(run.pk)
    run.refresh_from_db()
    finish_speech(run)

    def broken(transcript: Any, config: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("analytics.nlu.understand", broken)
    services.understand(str(run.pk))
    run.refresh_from_db()
    assert run.state == State.NLU_QUEUED and run.error_code == "nlu_error" and "ZeroDivisionError" in run.error_message
    assert run.call.turns.count() == 2


def test_reprocessing_with_another_model_adds_a_transcript_and_keeps_the_old(
    run: Run, call: Call, understanding: Any
) -> None:
    services.advance(run.pk)
    finish_speech(run)
    services.understand(str(run.pk))
    again = services.reprocess(call=call, by=None)
    services.advance(again.pk)
    finish_speech(again, transcript_key=transcript_artefact(call, model="whisper-base.en"))
    call.refresh_from_db()
    assert call.transcript is not None and call.transcript.model == "whisper-base.en"
    assert {t.model for t in call.transcripts.all()} == {"whisper-tiny.en", "whisper-base.en"}


@pytest.fixture
def done(run: Run, understanding: Any) -> Call:
    services.advance(run.pk)
    finish_speech(run)
    services.understand(str(run.pk))
    run.call.refresh_from_db()
    return run.call


def test_swapping_parties_turns_them_round_understands_again_and_twice_is_as_it_was(
    done: Call, understanding: Any
) -> None:
    swap = swap_parties(call=done, by=None)
    with pytest.raises(CallcenterError):
        swap_parties(call=done, by=None)
    services.understand(str(swap.pk))
    assert [t.party for t in done.turns.order_by("index")] == ["customer", "agent"]
    assert [t["party"] for t in understanding[-1]["turns"]] == ["customer", "agent"]
    services.understand(str(swap_parties(call=done, by=None).pk))
    assert [t.party for t in done.turns.order_by("index")] == ["agent", "customer"]


def test_swapped_parties_stay_swapped_when_the_call_is_processed_again(done: Call) -> None:
    services.understand(str(swap_parties(call=done, by=None).pk))
    done.refresh_from_db()
    again = services.reprocess(call=done, by=None)
    services.advance(again.pk)
    finish_speech(again, transcript_key=transcript_artefact(done, model="whisper-base.en"))
    done.refresh_from_db()
    assert done.transcript is not None
    assert [t.party for t in done.transcript.turns.all()] == ["customer", "agent"]


def test_a_dismissed_alert_stays_dismissed_when_the_call_is_understood_again(done: Call, understanding: Any) -> None:
    from callcenter.accounts.models import User
    from callcenter.insights.services import understand_call

    dismiss(alert=Alert.objects.get(), by=User.objects.create_user("sue"), reason="a joke")
    understand_call(call=done)
    assert Alert.objects.get().status == "dismissed"


def test_silence_proves_nothing_while_the_signs_of_life_wait_in_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    services.advance(run.pk)
    services.speech_progress(run_id=str(run.pk), attempt=1, stage="transcribe", fraction=0.4)
    overdue(run)
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 3 if name == "default" else 0)
    assert services.sweep()["extended"] == 1
    run.refresh_from_db()
    assert run.state == State.SPEECH and run.failures == 0


def test_a_call_in_another_language_is_not_given_to_an_english_only_model(call: Call) -> None:
    from callcenter.pipeline.spec import spec_for

    assert spec_for(call).model == "whisper-base.en"
    call.language = "fr"
    assert spec_for(call).model == "whisper-base" and spec_for(call).language == "fr"


def test_old_recordings_wait_until_the_line_is_short(call: Call, sent: Any, settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update={"BACKLOG_AHEAD": 1})
    held = [services.start_run(call=other_call(call, n), held=True) for n in range(3)]
    fresh = services.start_run(call=call)
    services.advance(fresh.pk)
    assert not services.advance(held[0].pk)
    assert services.release_held() == 0
    # The worker takes the new call: now one of the old ones may stand behind it, the oldest first.
    services.speech_progress(run_id=str(fresh.pk), attempt=1, stage="decode", fraction=0.0)
    assert [Run.objects.get(pk=run.pk).held for run in held] == [False, True, True]
    assert services.release_held() == 0
    services.advance(held[0].pk)
    services.speech_progress(run_id=str(held[0].pk), attempt=1, stage="decode", fraction=0.0)
    assert [Run.objects.get(pk=run.pk).held for run in held] == [False, False, True]


def test_old_recordings_begin_at_once_where_nothing_else_waits(call: Call, sent: Any) -> None:
    run = services.start_run(call=call, held=True)
    assert sent == [("pipeline.release", {})]
    assert services.release_held() == 1
    assert ("pipeline.advance", {"run_id": str(run.pk)}) in sent


def other_call(call: Call, number: int) -> Call:
    recording = call.recording
    recording.pk, recording.sha256 = None, f"{number:064x}"
    recording.save()
    return Call.objects.create(recording=recording, team=call.team, started_at=call.started_at)
