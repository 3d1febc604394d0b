"""The state machine of a learning run: lost, doubled, late and failing messages, and a result that is taken once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from asr_worker.learn import cancel_key
from callcenter.calls.models import Call
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning import tasks
from callcenter.learning.models import Dataset, Evaluation, Model, Promotion, TrainingRun
from callcenter.learning.services import datasets, old_domain, registry, training
from callcenter.pipeline.spec import spec_for

pytestmark = pytest.mark.django_db
State = TrainingRun.State
Sent = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def dataset(reviewed: list[Call]) -> Dataset:
    return datasets.build(by=None)


@pytest.fixture
def run(dataset: Dataset, sent: Sent) -> TrainingRun:
    """A run that a worker has been given."""
    made = training.start(dataset=dataset, by=None)
    tasks.advance(str(made.pk))
    made.refresh_from_db()
    return made


def names(sent: Sent) -> list[str]:
    return [name for name, _ in sent]


def finish(run: TrainingRun, key: str, attempt: int | None = None) -> None:
    tasks.finished(run_id=str(run.pk), attempt=run.attempt if attempt is None else attempt, result_key=key)
    run.refresh_from_db()


def overdue(run: TrainingRun) -> None:
    TrainingRun.objects.filter(pk=run.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))


def test_the_worker_gets_the_whole_job_by_keys_and_references(run: TrainingRun, sent: Sent, dataset: Dataset) -> None:
    name, message = sent[-1]
    job = message["job"]
    assert name == "asr_worker.learn" and message["attempt"] == 1 and run.state == State.WORKING
    assert job["kind"] == "fit" and job["dataset"] == dataset.manifest_key and job["base"] == "whisper-base.en"
    assert dataset.golden is not None and job["golden"]["manifest_key"] == dataset.golden.manifest_key
    assert job["served"]["model"] == "whisper-base.en" and job["config"]["method"] == "frozen_encoder"
    assert job["bounds"]["min_calls"] >= 1 and job["exports"] == ["int8", "float16"]


def test_a_model_that_passes_is_live_for_the_next_call_and_rolls_back(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    call = Call.objects.first()
    assert call is not None and spec_for(call).model == "whisper-base.en"
    finish(run, answer(run))
    model = run.candidate
    assert run.state == State.DONE and model is not None and model.status == Model.Status.SERVED
    assert spec_for(call).model == model.reference and "live" in run.outcome
    assert {(e.role, e.data_name) for e in Evaluation.objects.filter(run=run)} == {
        ("candidate", "golden"),
        ("served", "golden"),
    }
    back = registry.rollback(by=None, model=model)
    assert back is not None and back.rollback and spec_for(call).model == "whisper-base.en"


def test_a_result_that_comes_twice_makes_one_model_and_one_promotion(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    key = answer(run)
    finish(run, key)
    finish(run, key)
    assert Model.objects.filter(training_run=run).count() == 1 and Promotion.objects.count() == 1
    assert Evaluation.objects.filter(run=run).count() == 2


def test_a_refused_candidate_is_kept_with_the_reason_and_nothing_is_promoted(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    finish(run, answer(run, passed=False))
    assert run.state == State.REFUSED and run.outcome == "Refused: It forgets."
    assert run.candidate is not None and run.candidate.status == Model.Status.REFUSED
    assert not Promotion.objects.exists()
    with pytest.raises(CallcenterError, match="has not passed the gate"):
        registry.promote(model=run.candidate, by=None)
    forced = registry.promote(model=run.candidate, by=None, forced_reason="A trial for one day")
    assert forced is not None and forced.forced_reason == "A trial for one day"


def test_without_automatic_promotion_the_candidate_waits(
    dataset: Dataset, answer: Callable[..., str], settings: Any
) -> None:
    run = training.start(dataset=dataset, by=None, auto_promote=False)
    tasks.advance(str(run.pk))
    finish(run, answer(run), attempt=1)
    assert run.state == State.DONE and run.candidate is not None
    assert run.candidate.status == Model.Status.CANDIDATE and "waits" in run.outcome
    assert registry.promote(model=run.candidate, by=None) is not None
    assert registry.promote(model=run.candidate, by=None) is None and Promotion.objects.count() == 1


def test_a_candidate_measured_against_a_model_that_is_no_longer_served_is_not_promoted(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    other = Model.objects.create(name="other", reference="x", engine="faster-whisper")
    registry.promote(model=other, by=None, forced_reason="test")
    finish(run, answer(run))
    assert run.candidate is not None and run.candidate.status == Model.Status.CANDIDATE
    assert "Another model went live" in run.outcome and registry.served() == other


def test_one_learning_run_is_open_at_a_time(run: TrainingRun, dataset: Dataset) -> None:
    with pytest.raises(CallcenterError, match="one runs at a time"):
        training.start(dataset=dataset, by=None)
    training.cancel(run=run, by=None)
    assert training.start(dataset=dataset, by=None).state == State.QUEUED


def test_a_killed_worker_is_found_by_its_silence_and_the_job_goes_on_once_more(
    run: TrainingRun, sent: Sent, answer: Callable[..., str]
) -> None:
    tasks.progress(run_id=str(run.pk), attempt=1, stage="fit", doc={"fraction": 0.3, "step": 5, "loss": 1.1})
    overdue(run)
    tasks.sweep()
    run.refresh_from_db()
    assert run.state == State.QUEUED and run.error_code == "worker_lost" and run.failures == 1
    TrainingRun.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())
    tasks.sweep()
    run.refresh_from_db()
    assert run.state == State.WORKING and run.attempt == 2 and names(sent).count("asr_worker.learn") == 2
    finish(run, answer(run), attempt=1)
    finish(run, answer(run), attempt=2)
    assert Promotion.objects.count() == 1


def test_a_message_lost_with_the_broker_is_sent_again_and_counts_as_no_failure(run: TrainingRun, sent: Sent) -> None:
    sent.clear()
    overdue(run)
    tasks.sweep()
    run.refresh_from_db()
    assert names(sent) == ["asr_worker.learn"] and run.failures == 0 and run.attempt == 1


def test_a_job_that_waits_in_line_is_not_sent_twice(
    run: TrainingRun, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent.clear()
    overdue(run)
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 1)
    tasks.sweep()
    assert sent == []


def test_a_permanent_failure_shows_its_message_and_can_be_retried(run: TrainingRun, sent: Sent) -> None:
    message = "The clip of row 7 is gone from the storage."
    tasks.failed(run_id=str(run.pk), attempt=1, code="clip_gone", message=message, permanent=True)
    run.refresh_from_db()
    assert run.state == State.FAILED and run.error_message == message
    assert training.retry(run=run, by=None).state == State.QUEUED
    with pytest.raises(CallcenterError):
        training.retry(run=run, by=None)


def test_the_failure_of_an_earlier_attempt_no_longer_counts(run: TrainingRun) -> None:
    TrainingRun.objects.filter(pk=run.pk).update(attempt=2)
    tasks.failed(run_id=str(run.pk), attempt=1, code="x", message="x", permanent=True)
    run.refresh_from_db()
    assert run.state == State.WORKING


def test_passing_failures_are_given_up_after_the_attempts_of_the_settings(run: TrainingRun, settings: Any) -> None:
    for attempt in range(1, settings.ENV.LEARNING_MAX_ATTEMPTS + 1):
        tasks.failed(run_id=str(run.pk), attempt=attempt, code="oom", message="No memory.", permanent=False)
        TrainingRun.objects.filter(pk=run.pk, state=State.QUEUED).update(next_attempt_at=timezone.now())
        tasks.advance(str(run.pk))
    run.refresh_from_db()
    assert run.state == State.FAILED and run.error_message == "No memory."


def test_a_cancelled_run_tells_the_worker_and_takes_no_result(run: TrainingRun, answer: Callable[..., str]) -> None:
    training.cancel(run=run, by=None)
    assert store().exists(cancel_key(str(run.pk)))
    finish(run, answer(run))
    assert run.cancelled and not Model.objects.filter(training_run=run).exists()
    training.retry(run=run, by=None)
    assert not store().exists(cancel_key(str(run.pk)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{half a doc", "could not be read"),
        (b'{"schema": 9}', "unknown schema"),
        (b'{"schema": 1, "run_id": "someone else"}', "another run"),
    ],
)
def test_a_corrupt_result_is_a_failure_of_the_run_and_promotes_nothing(
    run: TrainingRun, content: bytes, said: str
) -> None:
    store().put_bytes("learning/x/result.json", content)
    finish(run, "learning/x/result.json")
    assert run.state == State.QUEUED and said in run.error_message and not Model.objects.filter(built_in=False).exists()


def test_a_result_without_a_candidate_or_that_is_gone_promotes_nothing(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    finish(run, answer(run, evaluations={}))
    assert "no candidate" in run.error_message
    TrainingRun.objects.filter(pk=run.pk).update(state=State.WORKING)
    finish(run, "learning/nowhere/result.json")
    assert run.error_code == "result_unreadable" and not Promotion.objects.exists()


def test_progress_keeps_the_curve_and_a_resumed_worker_goes_back_in_it(run: TrainingRun) -> None:
    for step, loss in ((1, 3.0), (2, 2.0), (3, 1.5), (2, 1.9)):
        doc = {"fraction": 0.1 * step, "step": step, "loss": loss, "seconds_left": 60}
        tasks.progress(run_id=str(run.pk), attempt=1, stage="fit", doc=doc)
    run.refresh_from_db()
    assert [p["step"] for p in run.progress["curve"]] == [1, 2] and run.progress["curve"][-1]["loss"] == 1.9
    assert run.stage == "fit" and run.progress["now"]["seconds_left"] == 60 and run.heard_at is not None


def test_only_training_data_is_trained_on(dataset: Dataset) -> None:
    assert dataset.golden is not None
    with pytest.raises(CallcenterError, match="no training data"):
        training.start(dataset=dataset.golden, by=None)


def test_an_uploaded_model_is_judged_and_waits_for_a_person(
    dataset: Dataset, sent: Sent, answer: Callable[..., str]
) -> None:
    model = Model.objects.create(name="theirs", reference="store:models/" + "cd" * 32, engine="faster-whisper")
    run = training.evaluate(model=model, by=None)
    tasks.advance(str(run.pk))
    assert sent[-1][1]["job"]["candidate"] == model.reference and sent[-1][1]["job"]["kind"] == "evaluate"
    finish(run, answer(run, fit=None), attempt=1)
    model.refresh_from_db()
    assert run.state == State.DONE and model.status == Model.Status.CANDIDATE
    assert registry.promote(model=model, by=None) is not None


def test_rolling_back_twice_goes_back_once_for_each_model(dataset: Dataset) -> None:
    first = Model.objects.create(name="first", reference="a", engine="faster-whisper")
    second = Model.objects.create(name="second", reference="b", engine="faster-whisper")
    registry.promote(model=first, by=None, forced_reason="x")
    registry.promote(model=second, by=None, forced_reason="x")
    assert registry.rollback(by=None, model=second) is not None
    assert registry.rollback(by=None, model=second) is None and registry.served() == first
    registry.rollback(by=None)
    assert registry.served().built_in
    with pytest.raises(CallcenterError, match="no earlier model"):
        registry.rollback(by=None)


def test_the_settings_model_follows_the_settings_when_no_trained_one_is_live(settings: Any) -> None:
    assert registry.served().reference == "whisper-base.en"
    settings.ENV = settings.ENV.model_copy(update={"SPEECH_MODEL": "whisper-tiny.en"})
    assert registry.served().reference == "whisper-tiny.en"
    assert Model.objects.filter(status=Model.Status.SERVED).count() == 1


def test_an_english_model_from_training_is_not_given_a_french_call(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    finish(run, answer(run))
    call = Call.objects.first()
    assert call is not None
    call.language = "fr"
    assert spec_for(call).model == "whisper-base"


def test_erasing_a_caller_flags_the_models_that_learned_from_the_calls(
    run: TrainingRun, answer: Callable[..., str]
) -> None:
    finish(run, answer(run))
    assert run.dataset is not None and run.candidate is not None
    call = run.dataset.calls.first()
    child_run = TrainingRun.objects.create(dataset=run.dataset, base=run.candidate, state=State.DONE)
    child = Model.objects.create(name="child", reference="c", engine="faster-whisper", training_run=child_run)
    flagged = registry.flag_models_of([call], reason="A caller was erased.")
    assert {m.pk for m in flagged} == {run.candidate.pk, child.pk}
    assert registry.flag_models_of([call], reason="again") == []


def test_unknown_training_settings_are_refused_in_words(dataset: Dataset) -> None:
    with pytest.raises(CallcenterError, match="unknown training setting: epoch"):
        training.default_config(epoch=3)


def test_the_old_domain_is_cut_behind_the_page_and_before_the_run_sets_out(
    dataset: Dataset, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[str] = []

    def current(*, by: Any = None) -> old_domain.OldDomain:
        cut.append("cut")
        return old_domain.OldDomain(dataset, [])

    monkeypatch.setattr(old_domain, "current", current)
    run = training.start(dataset=dataset, by=None)
    assert not cut and run.old_domain is None
    tasks.advance(str(run.pk))
    run.refresh_from_db()
    assert cut == ["cut"] and run.old_domain == dataset and run.state == State.WORKING
    job = sent[-1][1]["job"]
    assert job["old"] == {"name": dataset.name, "manifest_key": dataset.manifest_key}
    assert job["bounds"]["require_old"] is True


def test_an_old_domain_that_cannot_be_cut_is_said_on_the_run_and_tried_again(
    dataset: Dataset, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*, by: Any = None) -> old_domain.OldDomain:
        raise OSError("no such device")

    run = training.start(dataset=dataset, by=None)
    with monkeypatch.context() as patched:
        patched.setattr(old_domain, "current", broken)
        assert not training.advance(str(run.pk))
    run.refresh_from_db()
    assert run.state == State.QUEUED and run.failures == 1 and "old domain" in run.error_message
    assert "asr_worker.learn" not in names(sent)
    TrainingRun.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())
    assert training.advance(str(run.pk))


def test_a_long_queue_excuses_a_silent_worker_only_for_a_while(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 3)
    tasks.progress(run_id=str(run.pk), attempt=1, stage="fit", doc={})
    overdue(run)
    assert training.sweep()["extended"] == 1
    long_ago = timezone.now() - 5 * timedelta(seconds=settings.ENV.LEARNING_SILENCE_SECONDS)
    TrainingRun.objects.filter(pk=run.pk).update(heard_at=long_ago)
    overdue(run)
    assert training.sweep()["failed"] == 1
    run.refresh_from_db()
    assert run.state == State.QUEUED and run.error_code == "worker_lost"


def test_a_part_of_the_base_is_mixed_back_in_unless_the_settings_say_otherwise(settings: Any) -> None:
    assert training.default_config().average_with_base == 0.35
    settings.ENV = settings.ENV.model_copy(update={"LEARNING_CONFIG": '{"average_with_base": 0.1, "epochs": 2}'})
    told = training.default_config(patience=0)
    assert (told.average_with_base, told.epochs, told.patience) == (0.1, 2, 0)
