from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from asr_worker.assemble import TURN_GAP_MS, assign, smooth, turns
from asr_worker.types import Party, SpeakerSegment, Turn, Word

PARTIES: dict[str, Party] = {"a": "agent", "b": "customer"}

words = st.builds(
    lambda text, start, length, p: Word(text, start, start + length, p),
    st.sampled_from(["yes", "no", "okay", "forty", "two"]),
    st.integers(0, 30_000),
    st.integers(20, 900),
    st.floats(0, 1),
)
spoken = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), words), max_size=60)
segments = st.lists(
    st.builds(
        lambda start, length, who: SpeakerSegment(start, start + length, who),
        st.integers(0, 30_000),
        st.integers(50, 5_000),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=15,
)


def word(text: str, start: int, end: int) -> Word:
    return Word(text, start, end, 0.9)


def talk(said: list[Turn] | tuple[Turn, ...]) -> list[str]:
    return [f"{t.speaker}: {t.text}" for t in said]


@given(spoken)
def test_every_word_is_kept_exactly_once_with_its_speaker(said: list[tuple[str, Word]]) -> None:
    made = turns(said, parties=PARTIES)
    assert Counter((t.speaker, w) for t in made for w in t.words) == Counter(said)


@given(spoken)
def test_words_lie_in_order_within_their_turn_and_turns_are_sorted(said: list[tuple[str, Word]]) -> None:
    made = turns(said, parties=PARTIES)
    assert [t.index for t in made] == list(range(len(made)))
    assert [t.start_ms for t in made] == sorted(t.start_ms for t in made)
    for turn in made:
        assert turn.words
        assert [w.start_ms for w in turn.words] == sorted(w.start_ms for w in turn.words)
        assert turn.start_ms == turn.words[0].start_ms
        assert turn.end_ms == max(w.end_ms for w in turn.words)
        assert turn.party == PARTIES.get(turn.speaker, "unknown")


@given(spoken)
def test_assembling_the_result_again_changes_nothing(said: list[tuple[str, Word]]) -> None:
    made = turns(said, parties=PARTIES)
    again = turns([(t.speaker, w) for t in made for w in t.words], parties=PARTIES)
    assert again == made


@given(st.lists(words, max_size=40), segments)
def test_every_word_gets_one_speaker_and_none_is_lost(said: list[Word], who: list[SpeakerSegment]) -> None:
    made = assign(said, who)
    assert Counter(w for _, w in made) == Counter(said)
    assert {name for name, _ in made} <= ({s.speaker for s in who} or {""})


@given(st.lists(words, max_size=40), segments)
def test_a_word_wholly_inside_one_speaker_alone_is_never_given_to_another(
    said: list[Word], who: list[SpeakerSegment]
) -> None:
    lone = [s for s in who if all(o is s or o.end_ms <= s.start_ms or o.start_ms >= s.end_ms for o in who)]
    for name, w in assign(said, who):
        inside = [s for s in lone if s.start_ms <= w.start_ms and w.end_ms <= s.end_ms]
        if inside and w.end_ms - w.start_ms > 350:
            assert name == inside[0].speaker


def test_words_choose_their_speaker_one_by_one_and_not_by_segment() -> None:
    who = [SpeakerSegment(0, 1000, "a"), SpeakerSegment(1000, 3000, "b")]
    said = [word("cancel", 0, 400), word("it?", 450, 900), word("Yes", 1100, 1500), word("please", 1500, 2000)]
    made = turns(assign(said, who), parties=PARTIES)
    assert talk(made) == ["a: cancel it?", "b: Yes please"]


def test_a_short_slip_of_the_diarizer_is_smoothed_and_a_real_interjection_is_not() -> None:
    slip = [("a", word("I", 0, 100)), ("b", word("am", 120, 250)), ("a", word("sure", 260, 500))]
    assert [name for name, _ in smooth(slip)] == ["a", "a", "a"]
    real = [("a", word("well", 0, 300)), ("b", word("mhm", 700, 1000)), ("a", word("so", 1400, 1600))]
    assert [name for name, _ in smooth(real)] == ["a", "b", "a"]


def test_an_interjection_does_not_cut_the_turn_it_falls_into() -> None:
    long = [("a", word(f"w{i}", i * 400, i * 400 + 380)) for i in range(10)]
    made = turns([*long, ("b", word("mhm", 1500, 1700))], parties=PARTIES)
    assert [t.speaker for t in made] == ["a", "b"]
    assert len(made[0].words) == 10


def test_an_answer_in_a_pause_does_cut_it() -> None:
    said = [("a", word("ready?", 0, 500)), ("b", word("yes", 900, 1200)), ("a", word("good", 2000, 2300))]
    assert talk(turns(said, parties=PARTIES)) == ["a: ready?", "b: yes", "a: good"]


def test_a_long_silence_ends_a_turn() -> None:
    said = [("a", word("hold", 0, 500)), ("a", word("thanks", 500 + TURN_GAP_MS, 4000))]
    assert len(turns(said, parties=PARTIES)) == 2


def test_without_segments_there_is_one_unknown_party() -> None:
    made = turns(assign([word("hello", 0, 400)], []), parties={"": "unknown"})
    assert [t.party for t in made] == ["unknown"]
