"""Another model hears the call anew: what people had put right is not lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callcenter.calls.models import Call
from callcenter.calls.services.transcripts import store_transcript
from callcenter.core.storage import store
from callcenter.review import services
from callcenter.review.access import view_of
from callcenter.review.carry import carry
from callcenter.review.edits import party_change, split_change, text_changes
from callcenter.review.models import Correction, Review
from callcenter.review.replay import Change, State
from callcenter.review.segments import reviewed_segments
from tests.factories import CallFactory, stored_recording
from tests.review.documents import CALL, document

HEARD = document(*CALL)


def said(number: int, text: str) -> Any:
    """Return the call as a model would hear it whose turn `number` reads differently."""
    return document(*[(party, text if n == number else words) for n, (party, words) in enumerate(CALL)])


def correction(number: int, text: str) -> Change:
    return text_changes(State(HEARD).pieces[number], text.split())[0]


RIGHT = "I was charged twice on my invoice this month"


@pytest.mark.parametrize(
    ("now", "outcome", "reads"),
    [
        ("I was charged twice on my in voice this month", "applied", RIGHT),
        ("I was charged twice on my invoice this month", "settled", RIGHT),
        ("I was charge twice on my in voice this month", "applied", "I was charge twice on my invoice this month"),
        ("I was charged twice on mine boys this month", "stranded", "I was charged twice on mine boys this month"),
        ("I was charged twice on my In voice, this month", "applied", "I was charged twice on my invoice this month"),
    ],
)
def test_a_correction_applies_is_right_already_or_is_left_to_a_person(now: str, outcome: str, reads: str) -> None:
    state = State(said(1, now))
    placed = carry(state, correction(1, RIGHT), party="customer")
    assert (placed.outcome, state.pieces[1].text) == (outcome, reads)


def test_an_added_word_is_added_once_and_a_removed_one_stays_removed() -> None:
    added = correction(2, "I am very sorry I will refund it")
    state = State(HEARD)
    assert carry(state, added, party="agent").outcome == "applied"
    assert state.pieces[2].text == "I am very sorry I will refund it"
    assert carry(State(said(2, "I am very sorry I will refund it")), added, party="agent").outcome == "settled"
    removed = correction(3, "thank you is kind")
    state = State(HEARD)
    assert carry(state, removed, party="customer").outcome == "applied"
    assert state.pieces[3].text == "thank you is kind"
    assert carry(State(said(3, "thank you is kind")), removed, party="customer").outcome == "settled"


def test_the_same_words_elsewhere_in_the_call_are_not_touched() -> None:
    twice = document(("agent", "north wind " + "hello " * 20 + "north wind"))
    change = text_changes(State(twice).pieces[0], ("north wind " + "hello " * 20 + "Northwind").split())[0]
    state = State(twice)
    carry(state, change, party="agent")
    assert state.pieces[0].text == "north wind " + "hello " * 20 + "Northwind"


def test_by_hand_the_words_go_where_their_time_is() -> None:
    state = State(said(1, "I was charged twice on mine boys this month"))
    placed = carry(state, correction(1, RIGHT), party="customer", force=True)
    assert placed.outcome == "applied" and "invoice" in state.pieces[1].text


def test_parties_and_splits_go_along() -> None:
    state = State(HEARD)
    split = split_change(state.pieces[2], 3)[0]
    party = party_change(state.pieces[0], "customer")[0]
    fresh = State(said(1, "I was charged twice"))
    shifted = State(HEARD)
    assert carry(shifted, split, party="agent").outcome == "applied" and len(shifted.pieces) == 5
    assert carry(shifted, split, party="agent").outcome == "settled"
    assert carry(fresh, party, party="agent").outcome == "applied" and fresh.pieces[0].party == "customer"


# Through the database, as reprocessing does it.


def heard_by(call: Call, model: str, doc: Any) -> Any:
    """Store what a model heard as the call's transcript."""
    raw = {**doc.to_json(), "model": model, "recording": call.recording.sha256}
    key = f"artefacts/{call.recording.sha256}/assemble/{model}.json"
    store().put_bytes(key, json.dumps(raw).encode())
    transcript = store_transcript(call=call, key=key)
    call.refresh_from_db()
    return transcript


def put(call: Call, user: Any, turn: int, text: str) -> services.Saved:
    mark = view_of(call, user).done.state.find(turn, 0).digest()
    return services.correct_turn(
        call_id=call.pk, user=user, turn=turn, word=0, digest=mark, action="text", data={"text": text}
    )


@pytest.fixture
def call(cast: Any) -> Call:
    made = CallFactory(recording=stored_recording(duration_ms=30_000), team=cast.team_a, agent=cast.agent)
    heard_by(made, "tiny", HEARD)
    return made


def texts(call: Call) -> list[str]:
    return list(call.turns.filter(transcript=call.transcript).order_by("index").values_list("text", flat=True))


def test_reprocessing_keeps_what_fits_notes_what_is_right_and_lists_the_rest(cast: Any, call: Call) -> None:
    put(call, cast.supervisor, 1, RIGHT)
    put(call, cast.supervisor, 0, "Thank you for calling Northwind how can I help")
    put(call, cast.supervisor, 2, "I am sorry I shall refund it")
    new = document(
        ("agent", "Thank you for calling North wind how can I help"),
        ("customer", "I was charged twice on my invoice this month"),
        ("agent", "I am sorry I bill refunded"),
        ("customer", "thank you that is kind"),
    )
    before = store().get_bytes(call.transcript.artefact_key)
    old = call.transcript
    heard_by(call, "base", new)
    assert texts(call)[:3] == [
        "Thank you for calling Northwind how can I help",
        RIGHT,
        "I am sorry I bill refunded",
    ]
    here = Correction.objects.filter(transcript=call.transcript)
    assert sorted(here.values_list("status", flat=True)) == ["approved", "settled", "stranded"]
    assert all(c.root.transcript_id == old.pk and c.author == cast.supervisor for c in here)
    assert store().get_bytes(old.artefact_key) == before
    assert old.turns.filter(to_review=True).count() == 0


def test_a_turn_that_reads_as_it_was_left_needs_nobody_to_look_again(cast: Any, call: Call) -> None:
    put(call, cast.supervisor, 1, RIGHT)
    heard_by(call, "base", said(1, RIGHT))
    assert [s.turn_index for s in reviewed_segments()] == [1]
    assert Review.objects.get(transcript=call.transcript).sampled is False
    heard_by(call, "small", said(1, "I was shouted at"))
    assert reviewed_segments() == []


def test_storing_the_same_transcript_twice_and_going_back_changes_nothing(cast: Any, call: Call) -> None:
    put(call, cast.supervisor, 1, RIGHT)
    first, corrected = call.transcript, texts(call)
    heard_by(call, "base", HEARD)
    heard_by(call, "base", HEARD)
    assert Correction.objects.count() == 2
    put(call, cast.supervisor, 2, "I am so sorry I will refund it")
    heard_by(call, "tiny", HEARD)
    assert call.transcript == first
    assert texts(call) == [*corrected[:2], "I am so sorry I will refund it", corrected[3]]
    assert Correction.objects.count() == 4


def test_what_is_withdrawn_after_reprocessing_is_withdrawn_everywhere(cast: Any, call: Call) -> None:
    saved = put(call, cast.supervisor, 1, RIGHT)
    heard_by(call, "base", HEARD)
    services.withdraw_group(group=saved.group, user=cast.supervisor)
    assert texts(call)[1] == CALL[1][1]
    heard_by(call, "tiny", HEARD)
    assert texts(call)[1] == CALL[1][1]


def test_a_stranded_correction_is_put_there_or_set_aside_for_good(cast: Any, call: Call) -> None:
    put(call, cast.supervisor, 1, RIGHT)
    put(call, cast.supervisor, 2, "I am sorry I shall refund it")
    other = document(CALL[0], ("customer", "I was charged twice on my own boys this month"),
                     ("agent", "I am sorry I bill refunded"), CALL[3])  # fmt: skip
    heard_by(call, "base", other)
    first, second = Correction.objects.filter(transcript=call.transcript, status="stranded").order_by("start_ms")
    services.apply_stranded(correction=first, user=cast.supervisor)
    assert texts(call)[1] == RIGHT
    services.dismiss_stranded(correction=second, user=cast.supervisor)
    assert not Correction.objects.filter(transcript=call.transcript, status="stranded").exists()
    heard_by(call, "small", other)
    assert (
        not Correction.objects.filter(transcript=call.transcript, root__transcript=second.root.transcript)
        .filter(root=second.root)
        .exists()
    )


def test_a_waiting_correction_goes_along_and_is_approved_there(cast: Any, call: Call) -> None:
    put(call, cast.agent, 1, RIGHT)
    heard_by(call, "base", HEARD)
    waiting = Correction.objects.get(transcript=call.transcript)
    assert waiting.status == "pending" and texts(call)[1] == CALL[1][1]
    services.decide(ids=[waiting.pk], user=cast.supervisor, approve=True)
    assert texts(call)[1] == RIGHT
    assert set(Correction.objects.values_list("status", flat=True)) == {"approved"}
