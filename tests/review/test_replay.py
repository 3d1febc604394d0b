"""Replay is pure, loses nothing and keeps the times of what stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.review.edits import merge_change, party_change, split_change, text_changes, times_change, words_of
from callcenter.review.replay import Change, State, Unfit, realign, replay
from tests.review.documents import CALL, document

DOC = document(*CALL)


def named(changes: list[Change], start: int = 0) -> list[Change]:
    return [replace(change, id=f"c{start + n}") for n, change in enumerate(changes)]


def edited(state: State, number: int, text: str, start: int = 0) -> list[Change]:
    changes = named(text_changes(state.pieces[number], words_of(text)), start)
    for change in changes:
        state.apply(change)
    return changes


def test_without_corrections_the_turns_are_the_stored_ones() -> None:
    turns = replay(DOC, []).turns
    assert [(t.party, t.text, *t.span()) for t in turns] == [
        (turn.party, turn.text, turn.start_ms, turn.end_ms) for turn in DOC.turns
    ]


def test_words_that_stay_keep_their_times_and_new_ones_share_the_time_of_the_old() -> None:
    state = State(DOC)
    edited(state, 1, "I was charged twice on my invoice this month")
    words = state.pieces[1].words
    heard = DOC.turns[1].words
    assert [w.text for w in words] == "I was charged twice on my invoice this month".split()
    assert [(w.start_ms, w.end_ms) for w in words[:6]] == [(w.start_ms, w.end_ms) for w in heard[:6]]
    assert (words[6].start_ms, words[6].end_ms) == (heard[6].start_ms, heard[7].end_ms)
    assert (words[7].start_ms, words[8].end_ms) == (heard[8].start_ms, heard[9].end_ms)
    assert words[6].probability == 1.0 and words[6].change == "c0"


def test_new_words_share_by_letters() -> None:
    state = State(DOC)
    edited(state, 0, "Thank you for calling the Northwind how can I help")
    words = state.pieces[0].words[4:6]
    heard = DOC.turns[0].words
    assert words[0].start_ms == heard[4].start_ms and words[1].end_ms == heard[5].end_ms
    short, long = (w.end_ms - w.start_ms for w in words)
    assert long == pytest.approx(short * 3, abs=3)


def test_a_changed_case_or_comma_moves_nothing() -> None:
    state = State(DOC)
    edited(state, 0, "thank you, for calling North wind; how can I help?")
    assert [(w.start_ms, w.end_ms) for w in state.pieces[0].words] == [
        (w.start_ms, w.end_ms) for w in DOC.turns[0].words
    ]


def test_a_later_correction_stands_without_the_earlier_one_that_it_covers() -> None:
    state = State(DOC)
    first = edited(state, 0, "Thank you for calling Northwynd how can I help")
    second = edited(state, 0, "Thank you for calling Northwind how can I help", 1)
    assert replay(DOC, [*first, *second]).turns[0].text == replay(DOC, second).turns[0].text
    assert "Northwind" in replay(DOC, second).turns[0].text


def test_two_corrections_of_different_words_are_independent() -> None:
    state = State(DOC)
    both = edited(state, 0, "Thanks you for calling North wind how can I assist")
    assert len(both) == 2
    only = replay(DOC, both[1:]).turns[0].text
    assert only == "Thank you for calling North wind how can I assist"


def test_a_correction_into_words_that_another_one_joined_is_named_and_left_out() -> None:
    joined = Change("a", "text", 0, 3, 5, after=["calling", "Northwind"])
    inside = Change("b", "text", 0, 4, 4, after=["South"])
    done = replay(DOC, [joined, inside])
    assert list(done.unfit) == ["b"]
    assert done.turns[0].text == "Thank you for calling Northwind how can I help"
    assert not replay(DOC, [inside]).unfit


def test_a_turn_without_words_is_gone_and_comes_back_when_that_is_withdrawn() -> None:
    state = State(DOC)
    changes = edited(state, 2, "")
    assert len(replay(DOC, changes).turns) == len(DOC.turns) - 1
    assert len(replay(DOC, []).turns) == len(DOC.turns)


def test_a_turn_is_split_given_to_the_other_party_and_merged_again() -> None:
    state = State(DOC)
    changes = named(split_change(state.pieces[2], 3))
    state.apply(changes[0])
    assert [p.text for p in state.pieces[2:4]] == ["I am sorry", "I will refund it"]
    changes += named(party_change(state.pieces[3], "customer"), 1)
    state.apply(changes[1])
    changes += named(merge_change(state, state.pieces[3], "next"), 2)
    state.apply(changes[2])
    turns = replay(DOC, changes).turns
    assert [(t.party, t.text) for t in turns[2:]] == [
        ("agent", "I am sorry"),
        ("customer", "I will refund it thank you that is kind"),
    ]
    assert turns[-1].span() == (DOC.turns[2].words[3].start_ms, DOC.turns[3].end_ms)


def test_words_typed_in_place_of_several_can_be_split_between() -> None:
    state = State(DOC)
    changes = edited(state, 1, "completely other words stand here now friend")
    changes += named(split_change(state.pieces[1], 3), 9)
    state.apply(changes[-1])
    assert [t.text for t in replay(DOC, changes).turns[1:3]] == ["completely other words", "stand here now friend"]


def test_where_voices_were_told_apart_by_ear_another_party_is_another_voice() -> None:
    mono = document(*CALL, layout="mono")
    change = named(party_change(State(mono).pieces[1], "agent"))
    assert replay(mono, change).turns[1].speaker == "S1"
    assert replay(DOC, change).turns[1].speaker == "S2"


def test_merging_needs_a_turn_of_the_same_party() -> None:
    state = State(DOC)
    with pytest.raises(Unfit, match="same party before"):
        merge_change(state, state.pieces[0], "previous")
    change = named(merge_change(state, state.pieces[0], "next"))
    assert [t.party for t in replay(DOC, change).turns] == ["agent", "customer", "customer"]


def test_a_word_gets_other_times_but_never_another_words() -> None:
    piece = State(DOC).pieces[0]
    word = piece.words[2]
    change = named(times_change(piece, 2, word.start_ms + 30, word.end_ms + 40))
    moved = replay(DOC, change).turns[0].words
    assert (moved[2].start_ms, moved[2].end_ms) == (word.start_ms + 30, word.end_ms + 40)
    assert [w for n, w in enumerate(moved) if n != 2] == [w for n, w in enumerate(piece.words) if n != 2]
    with pytest.raises(Unfit, match="The word after it starts at"):
        times_change(piece, 2, word.start_ms, word.end_ms + 500)


def test_new_words_without_any_room_start_in_order() -> None:
    old = State(document(("agent", "one two"))).pieces[0].words
    tight = [old[0], replace(old[1], start_ms=old[0].end_ms)]
    made = realign(tight, ["one", "and", "a", "half", "two"], 0, 9000, anchor=0)
    starts = [w.start_ms for w in made]
    assert starts == sorted(starts) and all(w.end_ms >= w.start_ms for w in made)
    assert made[0] == tight[0] and made[-1] == tight[1]


TEXT = st.lists(st.sampled_from("I you North wind bill Bill, invoice twice refund it a kind".split()), max_size=9)
ACTION = st.tuples(st.sampled_from(["text", "party", "split", "merge", "times"]), st.integers(0, 30), TEXT)


def act(state: State, kind: str, number: int, text: list[str]) -> list[Change]:
    shown = [p for p in state.pieces if p.words]
    if not shown:
        return []
    piece = shown[number % len(shown)]
    words = piece.words
    try:
        if kind == "text":
            return text_changes(piece, text)
        if kind == "party":
            return party_change(piece, ["agent", "customer"][number % 2])
        if kind == "split":
            return split_change(piece, number % (len(words) + 1))
        if kind == "merge":
            return merge_change(state, piece, "next" if number % 2 else "previous")
        word = words[number % len(words)]
        return times_change(piece, number % len(words), word.start_ms + number % 9, word.end_ms + number % 5)
    except Unfit:
        return []


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTION, max_size=10), st.data())
def test_whatever_people_do_replay_gives_what_they_saw_and_loses_no_heard_word(
    actions: list, data: st.DataObject
) -> None:
    state, log = State(DOC), []
    for kind, number, text in actions:
        for change in named(act(state, kind, number, text), len(log)):
            state.apply(change)
            log.append(change)
            if kind == "text":
                assert change.before != change.after
    again = replay(DOC, log)
    assert not again.unfit
    assert [p.digest() for p in again.state.pieces] == [p.digest() for p in state.pieces]
    # Each stored word belongs to exactly one turn, whatever stands there now.
    stored = sorted((c.turn, n) for p in state.pieces for c in p.cells for n in range(c.first, c.last + 1))
    assert stored == [(t.index, n) for t in DOC.turns for n in range(len(t.words))]
    for piece in again.turns:
        start, end = piece.span()
        assert all(start <= w.start_ms <= w.end_ms <= end for w in piece.words), piece
        starts = [w.start_ms for w in piece.words]
        assert starts == sorted(starts)
    # Any part of them can be withdrawn: what is left applies or says why not, and never breaks.
    kept = [change for change in log if data.draw(st.booleans())]
    part = replay(DOC, kept)
    assert set(part.unfit) <= {change.id for change in kept}
    stored = sorted((c.turn, n) for p in part.state.pieces for c in p.cells for n in range(c.first, c.last + 1))
    assert stored == [(t.index, n) for t in DOC.turns for n in range(len(t.words))]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3), TEXT)
def test_a_typed_text_reads_as_typed_and_every_word_in_both_keeps_its_times(number: int, text: list[str]) -> None:
    state = State(DOC)
    piece = state.pieces[number]
    old = piece.words
    edited(state, number, " ".join(text))
    assert [w.text for w in piece.words] == text
    kept = [w for w in piece.words if not w.change]
    assert all(w in old for w in kept)
