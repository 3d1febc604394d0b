"""Versions, previews, re-labelling and what people say of a call: nothing is lost, and a person's word counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from callcenter.calls.models import Turn
from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.insights.intents import jobs, labels, taxonomy, tuning
from callcenter.insights.intents.models import CallLabel, IntentJob, Move, Reading, TaxonomyVersion
from callcenter.insights.models import Insight, Intent
from callcenter.insights.services import config, understand_call
from tests.intents.conftest import LINE, UNDERSTAND, heard

ITEM = {"name": "line", "label": "Line", "description": "", "examples": list(LINE), "parent": "", "enabled": True}
State = IntentJob.State


def put(**changed: Any) -> dict[str, Any]:
    return {"put": {**ITEM, **changed}}


def item(name: str) -> dict[str, Any]:
    return next(i for i in taxonomy.current().content if i["name"] == name)


def finish(job: IntentJob) -> IntentJob:
    """Do all pieces of a job, as a worker would."""
    for _ in range(20):
        if not jobs.work(str(job.pk)):
            break
    job.refresh_from_db()
    return job


def test_every_saved_change_is_a_version_with_author_and_difference(small: Any, cast: Any) -> None:
    first = taxonomy.current()
    assert first.number == 1 and [i["name"] for i in first.content] == ["address", "refund"]
    proposed = taxonomy.proposal(put(), first.content)
    second = taxonomy.save(proposed=proposed, base=1, by=cast.supervisor, note="New product")
    assert (second.number, second.author, second.note) == (2, cast.supervisor, "New product")
    assert [(c["name"], c["kind"], len(c["examples_added"])) for c in second.changes] == [("line", "added", 5)]
    edited = {**item("refund"), "examples": [*item("refund")["examples"][1:], "money back now"], "parent": "line"}
    third = taxonomy.save(proposed=taxonomy.proposal({"put": edited}, second.content), base=2, by=cast.supervisor)
    change = third.changes[0]
    assert change["fields"] == {"parent": ["", "line"]}
    assert change["examples_added"] == ["money back now"] and len(change["examples_removed"]) == 1
    event = AuditEvent.objects.get(action="taxonomy.save", object_id=str(third.pk))
    assert event.user == cast.supervisor and "money back now" not in str(event.detail)
    assert Intent.objects.get(name="refund").placement.parent.name == "line"


def test_a_change_made_on_an_old_version_is_refused_and_nothing_is_lost(small: Any, cast: Any) -> None:
    base = taxonomy.current()
    mine = taxonomy.proposal(put(), base.content)
    taxonomy.save(proposed=taxonomy.proposal(put(label="Line theirs"), base.content), base=1, by=cast.admin)
    with pytest.raises(CallcenterError, match="in the meantime"):
        taxonomy.save(proposed=mine, base=1, by=cast.supervisor)
    assert Intent.objects.get(name="line").label == "Line theirs"


def test_restoring_brings_back_the_old_words_and_switches_off_what_came_since(small: Any, cast: Any) -> None:
    first = taxonomy.current()
    before = item("refund")
    taxonomy.save(proposed=taxonomy.proposal(put(), first.content), base=1, by=cast.supervisor)
    worse = {**before, "examples": ["nonsense"], "label": "Odd"}
    taxonomy.save(proposed=taxonomy.proposal({"put": worse}, taxonomy.content()), base=2, by=cast.supervisor)
    back = taxonomy.proposal({"restore": 1}, taxonomy.content())
    version = taxonomy.save(proposed=back, base=3, by=cast.supervisor, restored_from=1)
    assert version.number == 4 and version.restored_from == first
    assert item("refund") == before and item("line")["enabled"] is False
    assert Intent.objects.filter(name="line").exists()
    assert AuditEvent.objects.filter(action="taxonomy.restore").count() == 1


def test_rows_changed_elsewhere_become_a_version_of_their_own(small: Any) -> None:
    assert taxonomy.current().number == 1
    Intent.objects.filter(name="refund").update(label="Money back")
    found = taxonomy.current()
    assert found.number == 2 and found.author is None and found.note == taxonomy.OUTSIDE
    assert found.changes[0]["fields"] == {"label": ["Refund", "Money back"]}
    assert taxonomy.current() == found


def test_a_preview_says_which_calls_would_move_and_touches_none(small: Any, cast: Any, sent: Any) -> None:
    moving = heard("my broadband line is broken and the internet keeps dropping", team=cast.team_a)
    heard("please refund my money to the card", team=cast.team_a)
    elsewhere = heard("my broadband line is broken and the internet keeps dropping", team=cast.team_b)
    job = finish(jobs.preview(edit=put(), by=cast.supervisor))
    assert job.state == State.DONE, job.error_message
    assert (job.total, job.done, job.changed) == (2, 2, 1)
    move = Move.objects.get(job=job)
    assert (move.call, move.before, move.after, move.anyway) == (moving, "refund", "line", False)
    assert not job.result["sampled"] and job.result["figures"]["cv_accuracy"] > 0.5
    assert Insight.objects.get(call=moving).intent == "refund"
    assert TaxonomyVersion.objects.count() == 1 and not Intent.objects.filter(name="line").exists()
    assert not Move.objects.filter(call=elsewhere).exists()


def test_a_preview_tells_what_would_move_even_without_the_change(small: Any, cast: Any, sent: Any) -> None:
    late = heard("change my street address please to another street", team=cast.team_a, intent="refund")
    job = finish(jobs.preview(edit=put(), by=cast.supervisor))
    move = Move.objects.get(job=job, call=late)
    assert move.after == "address" and move.anyway


def test_a_preview_of_too_many_calls_is_a_sample_and_says_so(
    small: Any, cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        heard("please refund my money", team=cast.team_a)
    monkeypatch.setattr(jobs, "PREVIEW_CALLS", 2)
    job = finish(jobs.preview(edit=put(), by=cast.supervisor))
    assert job.done == 2 and job.result["sampled"] and job.result["visible"] == 3


def test_a_preview_goes_on_after_a_pause_and_ends_when_its_time_is_up(
    small: Any, cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        heard("please refund my money", team=cast.team_a)
    monkeypatch.setattr(jobs, "PIECE_SECONDS", 0.0)
    job = jobs.preview(edit=put(), by=cast.supervisor)
    assert jobs.work(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.done) == (State.QUEUED, 1)
    assert finish(job).done == 3 and not job.result["sampled"]
    monkeypatch.setattr(jobs, "PREVIEW_SECONDS", 0.0)
    short = finish(jobs.preview(edit=put(), by=cast.supervisor))
    assert short.state == State.DONE and short.done == 1 and short.result["sampled"]


def test_a_preview_without_a_model_fails_with_the_cure(
    small: Any, cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics.nlu.embedding import EmbedderMissing

    def missing(*_: Any) -> None:
        raise EmbedderMissing("run `python -m asr_worker.models pull minilm`")

    monkeypatch.setattr(UNDERSTAND, "load", missing)
    heard("please refund my money", team=cast.team_a)
    job = finish(jobs.preview(edit=put(), by=cast.supervisor))
    assert job.state == State.FAILED and "pull minilm" in job.error_message


def test_relabelling_updates_insight_and_warehouse_and_counts_what_moved(
    small: Any, cast: Any, sent: Any, warehouse: Any
) -> None:
    from sqlalchemy import text

    moving = heard("my broadband line is broken and the internet keeps dropping", team=cast.team_a)
    staying = heard("please refund my money to the card", team=cast.team_b)
    taxonomy.save(proposed=taxonomy.proposal(put(), taxonomy.current().content), base=1, by=cast.supervisor)
    mood = Insight.objects.get(call=moving).document["sentiment"]
    job = finish(jobs.relabel(by=cast.supervisor))
    assert job.state == State.DONE, job.error_message
    assert (job.total, job.done, job.changed, job.skipped) == (2, 2, 1, 0)
    insight = Insight.objects.get(call=moving)
    assert insight.intent == insight.document["intent"] == "line" and insight.document["sentiment"] == mood
    assert Insight.objects.get(call=staying).intent == "refund"
    with warehouse.connect() as connection:
        rows = connection.execute(text("SELECT call_id::text, intent FROM analytics.fact_call")).all()
    assert (str(moving.pk), "line") in [tuple(row) for row in rows]
    assert set(Reading.objects.values_list("version", flat=True)) == {2}


def test_relabelling_goes_on_where_a_killed_worker_left_it(
    small: Any, cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda _: 0)
    for _ in range(3):
        heard("please refund my money", team=cast.team_a)
    job = jobs.relabel(by=cast.supervisor)
    monkeypatch.setattr(jobs, "PIECE_SECONDS", 0.0)
    assert jobs.work(str(job.pk))
    job.refresh_from_db()
    assert job.done == 1
    # A worker claims the next piece and dies.
    IntentJob.objects.filter(pk=job.pk).update(
        state=State.WORKING, attempt=7, heard_at=timezone.now() - timedelta(minutes=5)
    )
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.sweep() == 1
    assert sent[-1]["task"] == "intents.work" and sent[-1]["queue"] == "nlu"
    done = finish(job)
    assert (done.state, done.done, done.failures) == (State.DONE, 3, 1)


def test_a_worker_whose_job_was_taken_over_changes_nothing(small: Any, cast: Any, sent: Any) -> None:
    call = heard("change my street address to another street", team=cast.team_a)
    job = jobs.relabel(by=cast.supervisor)
    stale = IntentJob.objects.get(pk=job.pk)
    stale.attempt = 1
    IntentJob.objects.filter(pk=job.pk).update(state=State.WORKING, attempt=2)
    jobs.PIECES["relabel"](stale)
    assert Insight.objects.get(call=call).intent == "refund"
    assert not Reading.objects.exists() and not Move.objects.exists()


def test_a_newer_relabelling_takes_the_place_of_one_under_way(small: Any, cast: Any, sent: Any) -> None:
    old = jobs.relabel(by=cast.supervisor)
    new = jobs.relabel(by=cast.admin)
    old.refresh_from_db()
    assert old.state == State.CANCELLED and "newer" in old.error_message and new.state == State.QUEUED
    assert not jobs.work(str(old.pk))


def test_a_persons_word_wins_when_the_call_is_understood_again(
    small: Any, cast: Any, sent: Any, warehouse: Any
) -> None:
    call = heard("please refund my money to the card", team=cast.team_a)
    turn = Turn.objects.get(call=call, party="customer")
    labels.label(call=call, name="address", by=cast.supervisor, span=(turn.start_ms, turn.end_ms))
    insight = Insight.objects.get(call=call)
    first = insight.document["intents"][0]
    assert (insight.intent, first["by"], first["turns"]) == ("address", "person", [turn.index])
    assert insight.document["model_reading"]["intent"] == "refund"
    for again in range(2):
        understand_call(call=call)
        insight.refresh_from_db()
        assert insight.intent == "address", again
        assert insight.document["model_reading"]["intents"] is not None
    finish(jobs.relabel(by=cast.supervisor))
    insight.refresh_from_db()
    assert insight.intent == "address"
    labels.withdraw(call=call, by=cast.supervisor)
    insight.refresh_from_db()
    assert "model_reading" not in insight.document and insight.document["intents"][0].get("by") is None
    actions = list(AuditEvent.objects.filter(object_id=str(call.pk)).values_list("action", flat=True))
    assert sorted(actions) == ["call.intent_label", "call.intent_unlabel"]


def test_what_a_person_points_at_is_learned_from_with_consent_and_without_card_numbers(
    small: Any, cast: Any, warehouse: Any
) -> None:
    text = "my parcel never came, card 4111 1111 1111 1111"
    call = heard(text, team=cast.team_a)
    turn = Turn.objects.get(call=call, party="customer")
    labels.label(call=call, name="refund", by=cast.supervisor, span=(turn.start_ms, turn.end_ms))
    [(example, name)] = labels.spoken_examples()
    assert name == "refund" and example.startswith("my parcel never came") and "4111" not in example
    assert config()["relabelled"] == [(example, "refund")]
    call.training_consent = False
    call.save(update_fields=["training_consent"])
    labels._kept = None
    assert labels.spoken_examples() == []


def test_labels_change_what_is_read_of_other_calls(small: Any, cast: Any, warehouse: Any) -> None:
    from analytics.nlu.reread import IntentReader
    from callcenter.calls.services.transcripts import current_document

    odd = "gubbins wobble splendidly on tuesdays"
    other = heard(odd, team=cast.team_a, intent="unknown")
    assert IntentReader(config()).read(current_document(other))["intent"] == "unknown"
    for _ in range(3):
        call = heard(odd, team=cast.team_a, intent="unknown")
        turn = Turn.objects.get(call=call, party="customer")
        labels.label(call=call, name="address", by=cast.supervisor, span=(turn.start_ms, turn.end_ms))
    assert IntentReader(config()).read(current_document(other))["intent"] == "address"


def test_a_label_needs_an_intent_in_use_and_a_place_where_somebody_speaks(small: Any, cast: Any) -> None:
    call = heard("please refund my money", team=cast.team_a)
    with pytest.raises(CallcenterError, match="in use"):
        labels.label(call=call, name="nothing", by=cast.supervisor)
    with pytest.raises(CallcenterError, match="Nobody speaks"):
        labels.label(call=call, name="address", by=cast.supervisor, span=(900_000, 901_000))
    assert not CallLabel.objects.exists()


def test_a_call_can_be_said_to_be_about_none_of_them(small: Any, cast: Any, warehouse: Any) -> None:
    call = heard("please refund my money", team=cast.team_a)
    labels.label(call=call, name="unknown", by=cast.supervisor)
    insight = Insight.objects.get(call=call)
    assert insight.intent == "unknown" and insight.document["intents"] == []
    assert labels.spoken_examples() == []


def test_the_reader_gives_what_understanding_gives(small: Any, cast: Any) -> None:
    from analytics.nlu import understand
    from analytics.nlu.reread import IntentReader
    from callcenter.calls.services.transcripts import current_document

    call = heard("please refund my money to the card, and note another street address", team=cast.team_a)
    document = current_document(call)
    whole = understand(document, config())
    read = IntentReader(config()).read(document)
    assert read["intent"] != "unknown" and read == {key: whole[key] for key in read}


def test_fitting_tells_how_far_it_is_and_is_out_of_date_once_a_label_is_added(
    small: Any, cast: Any, sent: Any, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str]] = []

    def fit(settled: dict[str, Any], *, progress: Any) -> dict[str, float]:
        progress(0.4)
        job = IntentJob.objects.get(task="tune")
        seen.append((job.done, job.state))
        return {"trial_accuracy": 0.9, "trial_accuracy_plain": 0.8, "trial_rows": 40.0, "pays": 1.0}

    monkeypatch.setattr("analytics.nlu.train_tuned", fit)
    job = finish(tuning.tune(by=cast.supervisor))
    assert job.state == State.DONE and seen == [(40, State.WORKING)] and job.share == 1.0
    assert tuning.newest() == (job, True)
    assert not tuning.tune_again()
    call = heard("please refund my money to the card", team=cast.team_a)
    turn = Turn.objects.get(call=call, party="customer")
    labels.label(call=call, name="address", by=cast.supervisor, span=(turn.start_ms, turn.end_ms))
    assert tuning.newest() == (job, False)
    assert not tuning.tune_again()  # somebody is at it just now
    long_ago = timezone.now() - timedelta(hours=1)
    for model in (IntentJob, TaxonomyVersion, CallLabel):
        model.objects.update(created_at=long_ago)
    assert tuning.tune_again() and IntentJob.objects.filter(task="tune").count() == 2
    assert not tuning.tune_again()


def test_a_fitting_that_was_stopped_keeps_nothing(
    small: Any, cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(settled: dict[str, Any], *, progress: Any) -> dict[str, float]:
        jobs.cancel(job=IntentJob.objects.get(), by=cast.supervisor)
        progress(0.5)
        raise AssertionError("it went on")

    monkeypatch.setattr("analytics.nlu.train_tuned", fit)
    job = finish(tuning.tune(by=cast.supervisor))
    assert job.state == State.CANCELLED and not job.result
