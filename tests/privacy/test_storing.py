"""From the worker's answer to rows: nothing of a card number is stored, whatever comes later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callcenter.calls.services.transcripts import store_transcript
from callcenter.core.storage import store
from callcenter.pipeline import services as pipeline
from callcenter.privacy.models import Mask
from callcenter.privacy.services.backfill import redact_all, redact_call
from callcenter.review.models import Correction
from callcenter.review.services import correct_turn
from tests.factories import AlertFactory, RunFactory, Story
from tests.privacy.conftest import CARD, DIGITS, SPOKEN, artefact_of, call_with_audio, everything_in, stored_before

pytestmark = pytest.mark.django_db


def said(call: Any) -> str:
    return " | ".join(call.turns.filter(transcript=call.transcript_id).values_list("text", flat=True))


def leaks(call: Any) -> bool:
    text = everything_in(call)
    return "four two four" in text or '"four", "two"' in text or DIGITS in text or "one two three" in text


def test_card_data_is_hidden_in_rows_and_artefact_and_the_raw_words_are_gone(sent: list[Any]) -> None:
    call = call_with_audio()
    key = artefact_of(CARD, call)
    store_transcript(call=call, key=key)
    assert not leaks(call)
    assert "[card-number]" in said(call) and "[card-security-code]" in said(call)
    assert list(store().iter_keys(f"artefacts/{call.recording.sha256}/transcribe/")) == []
    mask = Mask.objects.get(recording=call.recording)
    assert [span["kind"] for span in mask.spans] == ["card_number", "card_code"]
    assert mask.state == Mask.State.WAITING and mask.untimed == 0


def test_storing_twice_finds_nothing_new() -> None:
    call = call_with_audio()
    key = artefact_of(CARD, call)
    first = store_transcript(call=call, key=key)
    spans = Mask.objects.get().spans
    assert store_transcript(call=call, key=key) == first
    assert Mask.objects.get().spans == spans


def test_a_call_without_card_data_gets_no_mask() -> None:
    call = call_with_audio()
    store_transcript(call=call, key=artefact_of(Story(), call))
    assert not Mask.objects.exists()


def test_the_answer_that_comes_too_late_leaves_no_raw_words(sent: list[Any]) -> None:
    call = call_with_audio()
    run = RunFactory(call=call, state="done")
    key = artefact_of(CARD, call)
    assert not pipeline.speech_finished(
        run_id=str(run.pk), attempt=1, audio_info_key="", transcript_key=key, seconds={}
    )
    assert not leaks(call)


def test_a_run_that_is_given_up_leaves_no_raw_words() -> None:
    call = call_with_audio()
    run = RunFactory(call=call, state="speech", attempt=1)
    artefact_of(CARD, call)
    pipeline.speech_failed(run_id=str(run.pk), attempt=1, code="model_missing", message="x", permanent=True)
    assert list(store().iter_keys(f"artefacts/{call.recording.sha256}/transcribe/")) == []


def test_a_recording_that_was_muted_while_the_message_was_on_its_way_is_tried_again() -> None:
    call = call_with_audio()
    run = RunFactory(call=call, state="speech", attempt=1)
    pipeline.speech_failed(run_id=str(run.pk), attempt=1, code="audio_missing", message="x", permanent=True)
    run.refresh_from_db()
    assert run.state == "queued"


def test_a_correction_that_brings_the_number_to_light_is_not_stored_and_is_muted_later(cast: Any) -> None:
    misheard = CARD.turns[:3] + (("customer", "It is a lovely day today my dear friend okay", 0.0), *CARD.turns[6:])
    call = call_with_audio(team=cast.team_a, agent=cast.agent)
    store_transcript(call=call, key=artefact_of(Story(turns=misheard, alerts=(), unsure={}), call))
    call.refresh_from_db()
    assert not Mask.objects.exists()
    turn = call.turns.get(index=3)
    from callcenter.review.page import row_digest

    correct_turn(
        call_id=call.pk, user=cast.supervisor, turn=turn.source_turn, word=turn.source_word,
        digest=row_digest(turn, call), action="text", data={"text": f"It is {SPOKEN} okay"},
    )  # fmt: skip
    call.refresh_from_db()
    assert not leaks(call)
    assert set(said(call).split(" | ")[3].split()) == {"It", "is", "[card-number]", "okay"}
    mask = Mask.objects.get()
    assert mask.state == Mask.State.WAITING
    assert turn.start_ms <= mask.spans[0]["start_ms"] < mask.spans[0]["end_ms"] <= turn.end_ms


def test_an_old_call_is_gone_through_again_with_its_corrections_reviews_and_alerts(cast: Any) -> None:
    call = stored_before(team=cast.team_a, agent=cast.agent)
    AlertFactory(call=call, category="payment_data", start_ms=1, quote=f"It is {SPOKEN} okay", components=[])
    Correction.objects.create(
        call=call, transcript=call.transcript, turn_index=3, first_word=2, last_word=4, before=["four", "two", "four"],
        after=["four", "two", "four"], start_ms=call.turns.get(index=3).start_ms + 700,
        end_ms=call.turns.get(index=3).start_ms + 1500, status="approved", author=cast.agent,
    )  # fmt: skip
    assert leaks(call)
    assert [done for _, done, problem in redact_all() if not problem] == [True]
    call.refresh_from_db()
    assert not leaks(call)
    assert call.corrected_at is not None
    assert call.alerts.get().quote == "It is [card-number] okay"
    assert not redact_call(call)


def test_going_through_all_calls_goes_on_after_the_call_where_it_stopped() -> None:
    calls = sorted([stored_before(), stored_before()], key=lambda call: call.pk)
    assert [pk for pk, *_ in redact_all(after=str(calls[0].pk))] == [str(calls[1].pk)]


def test_a_call_whose_artefact_is_gone_is_cleaned_in_its_rows() -> None:
    call = stored_before()
    store().delete(call.transcript.artefact_key)
    assert redact_call(call)
    assert "four two four" not in said(call) and "[card-number]" in said(call)


def test_the_index_of_words_does_not_find_what_agents_may_not_see() -> None:
    from callcenter.calls.models import Turn
    from callcenter.calls.selectors import search_query

    call = call_with_audio()
    story = Story(
        turns=(
            ("agent", "What is your account number?", 0.0),
            ("customer", "My account number is 83749201 and my name is Martin Doyle", 0.0),
        ),
        alerts=(),
        unsure={},
    )
    store_transcript(call=call, key=artefact_of(story, call))
    assert "83749201" in said(call)
    assert not Turn.objects.filter(search=search_query("83749201")).exists()
    assert Turn.objects.filter(search=search_query("Doyle")).exists()


def test_the_artefact_stays_one_that_can_be_corrected() -> None:
    call = call_with_audio()
    key = artefact_of(CARD, call)
    before = json.loads(store().get_bytes(key))
    store_transcript(call=call, key=key)
    after = json.loads(store().get_bytes(key))
    assert [len(t["words"]) for t in after["turns"]] == [len(t["words"]) for t in before["turns"]]
