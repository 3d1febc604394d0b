"""Correcting a call: what is written, who may, and what happens when two people do it at once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from callcenter.accounts.models import Team
from callcenter.calls.models import Call, Turn
from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.core.storage import store
from callcenter.learning.models import Dataset
from callcenter.pipeline.models import Run
from callcenter.review import services
from callcenter.review.access import view_of
from callcenter.review.models import Correction, Review
from callcenter.review.segments import reviewed_segments
from callcenter.review.understanding import sweep, understand_again
from tests.factories import understood_call


def row(call: Call, index: int) -> Turn:
    return call.turns.get(transcript=call.transcript, index=index)


def digest(call: Call, user: Any, turn: int, word: int = 0) -> str:
    call.refresh_from_db()
    return view_of(call, user).done.state.find(turn, word).digest()


def save(call: Call, user: Any, turn: int, action: str = "text", *, word: int = 0, **data: Any) -> services.Saved:
    extra = {name: data.pop(name) for name in ("session", "sampled") if name in data}
    return services.correct_turn(
        call_id=call.pk, user=user, turn=turn, word=word, digest=digest(call, user, turn, word), action=action,
        data=data, **extra,
    )  # fmt: skip


@pytest.fixture
def call(cast: Any) -> Call:
    return understood_call(artefact=True, team=cast.team_a, agent=cast.agent)


def test_a_supervisors_correction_is_in_the_text_at_once_and_the_stored_transcript_stays(cast: Any, call: Call) -> None:
    before = store().get_bytes(call.transcript.artefact_key)
    save(call, cast.supervisor, 1, text="Hello, I was charged three times on my invoice this month and nobody answers.")
    turn = row(call, 1)
    assert turn.text == "Hello, I was charged three times on my invoice this month and nobody answers."
    assert turn.heard.startswith("Hello, I was charged twice")
    assert store().get_bytes(call.transcript.artefact_key) == before
    found = Correction.objects.filter(call=call)
    assert {c.status for c in found} == {"approved"} and {str(c.pk) for c in found} == set(turn.corrections)
    assert {c.model for c in found} == {"whisper-base.en"}
    assert [c.before for c in found.order_by("order")][0] == ["twice"]
    call.refresh_from_db()
    assert call.corrected_at is not None


def test_every_correction_is_in_the_audit_log_and_no_word_of_it(cast: Any, call: Call) -> None:
    save(call, cast.supervisor, 0, text="Zanzibar")
    events = AuditEvent.objects.filter(action="correction.make", user=cast.supervisor)
    assert events.count() == Correction.objects.count() > 0
    assert "Zanzibar" not in str([event.detail for event in events])


def test_an_agents_correction_waits_where_the_team_wants_approval_and_only_the_agent_sees_it(
    cast: Any, call: Call
) -> None:
    saved = save(call, cast.agent, 0, text="Thank you for calling Southwind.")
    assert saved.pending
    assert "Northwind" in row(call, 0).text
    assert view_of(call, cast.agent).done.turns[0].text == "Thank you for calling Southwind."
    assert "Northwind" in view_of(call, cast.supervisor).done.turns[0].text
    call.refresh_from_db()
    assert call.corrected_at is None
    assert reviewed_segments() == []
    services.decide(ids=[c.pk for c in saved.corrections], user=cast.supervisor, approve=True)
    assert row(call, 0).text == "Thank you for calling Southwind."
    assert [s.text for s in reviewed_segments()] == ["Thank you for calling Southwind."]


def test_a_rejected_correction_leaves_the_text_and_the_turn_waits_for_review_again(cast: Any, call: Call) -> None:
    saved = save(call, cast.agent, 0, text="Thank you.")
    assert not row(call, 0).to_review
    services.decide(ids=[c.pk for c in saved.corrections], user=cast.supervisor, approve=False)
    assert "Northwind" in row(call, 0).text and row(call, 0).to_review
    assert not Review.objects.exists()
    assert view_of(call, cast.agent).done.turns[0].text == row(call, 0).text


@pytest.mark.parametrize(("rule", "waiting"), [("off", {False}), ("all", {True}), ("sampled", {False, True})])
def test_the_team_decides_which_corrections_of_agents_wait(cast: Any, rule: str, waiting: set[bool]) -> None:
    Team.objects.filter(pk=cast.team_a.pk).update(correction_approval=rule)
    found = set()
    for _ in range(8):
        call = understood_call(artefact=True, team=cast.team_a, agent=cast.agent)
        call.team.refresh_from_db()
        found |= {save(call, cast.agent, turn, text="Changed entirely.").pending for turn in range(6)}
    assert found == waiting


def test_an_agent_cannot_correct_the_calls_of_others_nor_decide(cast: Any, call: Call) -> None:
    mark = digest(call, cast.supervisor, 0)
    for user in (cast.other_agent, cast.supervisor_b, cast.compliance, cast.operator):
        with pytest.raises(CallcenterError):
            services.correct_turn(
                call_id=call.pk, user=user, turn=0, word=0, digest=mark, action="text", data={"text": "x"}
            )
    saved = save(call, cast.agent, 0, text="Mine.")
    assert services.decide(ids=[saved.corrections[0].pk], user=cast.supervisor_b, approve=True) == 0
    assert Correction.objects.filter(status="approved").count() == 0


def test_a_turn_edited_by_two_people_keeps_both_texts(cast: Any, call: Call) -> None:
    seen = digest(call, cast.supervisor, 1)
    save(call, cast.admin, 1, text="Hello, I was charged three times.")
    with pytest.raises(services.Conflict) as caught:
        services.correct_turn(
            call_id=call.pk, user=cast.supervisor, turn=1, word=0, digest=seen, action="text",
            data={"text": "Hello, I was charged four times."},
        )  # fmt: skip
    assert caught.value.mine == "Hello, I was charged four times."
    assert caught.value.theirs is not None and caught.value.theirs.text == "Hello, I was charged three times."
    assert row(call, 1).text == "Hello, I was charged three times."


def test_people_who_edit_different_turns_do_not_disturb_each_other(cast: Any, call: Call) -> None:
    seen = digest(call, cast.supervisor, 3)
    save(call, cast.admin, 1, "split", at=4)
    services.correct_turn(
        call_id=call.pk, user=cast.supervisor, turn=3, word=0, digest=seen, action="text", data={"text": "It is four."}
    )
    assert [t.text for t in call.turns.order_by("index")][4] == "It is four."


def test_saves_of_one_editing_count_as_one_correction_and_are_undone_together(cast: Any, call: Call) -> None:
    session = uuid.uuid4()
    heard = row(call, 0).text
    for text in ("Thank you for calling Nord", "Thank you for calling Nordwind", "Thanks for calling Nordwind"):
        save(call, cast.supervisor, 0, text=text, session=session)
    assert row(call, 0).text == "Thanks for calling Nordwind"
    live = Correction.objects.live()
    assert {c.group for c in live} == {session}
    assert Correction.objects.count() == live.count()  # half-typed words leave nothing behind
    services.undo(call_id=call.pk, user=cast.supervisor)
    assert row(call, 0).text == heard and not Correction.objects.live().exists()
    with pytest.raises(CallcenterError):
        services.undo(call_id=call.pk, user=cast.supervisor)


def test_a_draft_that_a_dataset_has_taken_up_is_withdrawn_and_stays_traceable(cast: Any, call: Call) -> None:
    session = uuid.uuid4()
    save(call, cast.supervisor, 0, text="Thank you for calling Nord", session=session)
    taken = set(Correction.objects.values_list("pk", flat=True))
    dataset = Dataset.objects.create(name="a", kind=Dataset.Kind.TRAIN, sha256="0" * 64, manifest_key="m")
    dataset.corrections.set(taken)
    save(call, cast.supervisor, 0, text="Thanks for calling Nordwind", session=session)
    assert set(Correction.objects.filter(status="withdrawn").values_list("pk", flat=True)) == taken
    assert dataset.corrections.count() == len(taken) and row(call, 0).text == "Thanks for calling Nordwind"


def test_typing_back_what_was_there_leaves_no_correction_and_no_review(cast: Any, call: Call) -> None:
    session = uuid.uuid4()
    heard = row(call, 0).text
    save(call, cast.supervisor, 0, text="Something else", session=session)
    save(call, cast.supervisor, 0, text=heard, session=session)
    assert not Correction.objects.live().exists() and not Review.objects.exists()
    assert row(call, 0).to_review and row(call, 0).heard == ""


def test_a_split_and_a_party_and_a_merge_are_seen_in_the_turns(cast: Any, call: Call) -> None:
    save(call, cast.supervisor, 2, "split", at=6)
    parts = [t.text for t in call.turns.order_by("index")][2:4]
    assert parts == ["I am sorry to hear that.", "May I have your account number, please?"]
    second = row(call, 3)
    save(call, cast.supervisor, 2, "party", word=second.source_word, party="customer")
    assert row(call, 3).party == "customer"
    save(call, cast.supervisor, 2, "merge", word=second.source_word, direction="next")
    assert call.turns.count() == 6
    assert row(call, 3).text.startswith("May I have your account number, please? It is four")


def test_swapped_parties_and_corrected_ones_go_together(cast: Any, call: Call) -> None:
    from callcenter.calls.services.parties import swap_parties

    save(call, cast.supervisor, 0, "party", party="customer")
    swap_parties(call=call, by=cast.supervisor)
    assert [t.party for t in call.turns.order_by("index")][:3] == ["agent", "agent", "customer"]
    save(call, cast.supervisor, 2, "party", party="agent")
    save(call, cast.supervisor, 4, text="Fine.")
    assert [t.party for t in call.turns.order_by("index")][:5] == ["agent", "agent", "agent", "agent", "customer"]


def test_a_word_gets_its_times_and_impossible_ones_are_refused(cast: Any, call: Call) -> None:
    word = row(call, 0).words[1]
    save(call, cast.supervisor, 0, "times", number=1, start_ms=word[1] + 10, end_ms=word[2] + 20)
    assert row(call, 0).words[1][1:3] == [word[1] + 10, word[2] + 20]
    with pytest.raises(CallcenterError, match="starts at"):
        save(call, cast.supervisor, 0, "times", number=1, start_ms=word[1], end_ms=word[2] + 900)
    with pytest.raises(CallcenterError, match="number is missing"):
        save(call, cast.supervisor, 0, "times", number="x", start_ms=word[1], end_ms=word[2])


def test_a_confirmed_turn_is_a_segment_and_leaves_the_queue(cast: Any, call: Call) -> None:
    assert row(call, 4).to_review
    save(call, cast.supervisor, 4, "confirm")
    assert not row(call, 4).to_review
    segment = reviewed_segments()[0]
    assert (segment.outcome, segment.correction_ids, segment.heard) == ("confirmed", (), segment.text)
    assert (segment.turn_index, segment.agent, segment.audio_channels) == (4, "agent", 2)
    assert reviewed_segments(since=timezone.now() + timedelta(hours=1)) == []
    assert reviewed_segments(teams=[cast.team_b]) == [] and len(reviewed_segments(teams=[cast.team_a.pk])) == 1


def test_a_corrected_segment_knows_what_was_heard_and_its_corrections(cast: Any, call: Call) -> None:
    heard = row(call, 3).text
    saved = save(call, cast.supervisor, 3, text=heard.replace("Honestly,", "Actually,"))
    segment = reviewed_segments()[0]
    assert (segment.outcome, segment.heard) == ("corrected", heard)
    assert segment.correction_ids == tuple(str(c.pk) for c in saved.corrections)
    review = Review.objects.get()
    assert (review.wrong, review.expected_errors > 1) == (1, True)


def test_corrected_calls_are_understood_again_when_it_has_been_quiet(cast: Any, call: Call, sent: list) -> None:
    save(call, cast.supervisor, 0, text="Good morning.")
    assert sweep()["understood"] == 0
    Call.objects.update(corrected_at=timezone.now() - timedelta(seconds=61))
    assert sweep()["understood"] == 1
    run = Run.objects.get(call=call, state=Run.State.NLU_QUEUED)
    assert run.transcript_id == call.transcript_id
    assert sweep()["understood"] == 0
    # Corrected while it is being understood: it comes up again afterwards.
    Call.objects.update(corrected_at=timezone.now() - timedelta(seconds=61))
    assert sweep()["understood"] == 0 and not understand_again(call=call)
    Run.objects.update(state=Run.State.DONE)
    assert sweep()["understood"] == 1


def test_a_call_whose_stored_transcript_is_gone_says_so_and_stays_readable(cast: Any, call: Call) -> None:
    bare = understood_call(team=cast.team_a, agent=cast.agent)
    with pytest.raises(CallcenterError, match="cannot be read"):
        services.correct_turn(
            call_id=bare.pk, user=cast.supervisor, turn=0, word=0, digest="x", action="text", data={"text": "y"}
        )
    assert sweep()["projected"] == 1
    assert bare.turns.filter(expected_errors=0.0).count() == bare.turns.count()


def test_turns_from_before_there_were_corrections_get_their_place_in_the_queue(cast: Any, call: Call) -> None:
    Turn.objects.filter(call=call).update(expected_errors=None, to_review=False)
    assert sweep()["projected"] == 1
    assert Turn.objects.filter(call=call, to_review=True, expected_errors__gt=0).count() == 6
    assert sweep()["projected"] == 0


def test_the_turn_nobody_touched_is_not_written_again(cast: Any, call: Call) -> None:
    ids = dict(call.turns.values_list("index", "pk"))
    save(call, cast.supervisor, 1, text="Hello.")
    assert dict(call.turns.values_list("index", "pk")) == ids


def test_too_long_a_text_is_refused(cast: Any, call: Call) -> None:
    with pytest.raises(CallcenterError, match="too long"):
        save(call, cast.supervisor, 0, text="word " * 2001)
