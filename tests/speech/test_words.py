"""From tokens, attention and clips to words with times; no model is loaded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr_worker.engines import guard
from asr_worker.engines.attention_times import token_starts, warp
from asr_worker.engines.base import Clip, Heard, Piece, Timed, in_order, pack
from asr_worker.engines.ctc import words_of
from asr_worker.engines.whisper_words import group_tokens, tidy_times
from asr_worker.types import Word

RATE = 16_000


def timed(text: str, start: float, end: float) -> Timed:
    return Timed(text, start, end, 0.9)


def group(*pieces: str) -> list[tuple[str, int]]:
    return group_tokens(list(pieces), [[0]] * len(pieces))


def test_punctuation_and_digits_join_their_word() -> None:
    assert [t for t, _ in group(" It", " costs", " $40", ".", " 25", "%", " 1", ",", "200", " items", "!")] == [
        "It", "costs", "$40.", "25%", "1,200", "items!",
    ]  # fmt: skip


def test_an_opening_quote_joins_the_word_after_it_and_a_lone_dash_none() -> None:
    assert [t for t, _ in group(" He", " said", ' "', "no", '"', " -", " then", " left")] == [
        "He", "said", '"no"', "then", "left",
    ]  # fmt: skip


@given(st.lists(st.sampled_from([" a", "b", ".", ' "', " -", "5", " $", "%", " 7", "?", "-"]), max_size=30))
def test_every_token_belongs_to_one_word(pieces: list[str]) -> None:
    counted = sum(count for _, count in group(*pieces))
    assert counted == len(pieces) or not any(t for t, _ in group(*pieces))


@given(
    st.lists(st.tuples(st.sampled_from(["five", "5", "five.", "ok?"]), st.integers(1, 3)), min_size=1, max_size=20),
    st.lists(st.floats(0, 9000), max_size=70),
)
def test_every_word_gets_times_whatever_the_alignment_gave(groups: list[tuple[str, int]], times: list[float]) -> None:
    total = sum(n for _, n in groups)
    words = tidy_times(groups, np.sort(np.array(times)), [0.5] * total, 10_000.0)
    assert [w.text for w in words] == [t for t, _ in groups]
    assert all(w.end_ms > w.start_ms for w in words)
    assert all(0 <= w.probability <= 1 for w in words)


def test_a_word_stretched_over_a_pause_is_cut_back_to_where_it_is_said() -> None:
    groups = [("Hello.", 1), ("Can", 1), ("you", 1)]
    words = tidy_times(groups, [0, 300, 3000, 3200], [0.9] * 3, 4000)
    assert words[1].start_ms > 2000


def test_the_warped_path_follows_a_diagonal() -> None:
    weights = np.full((2, 4, 40), 0.01)
    for token in range(4):
        weights[:, token, token * 10 : token * 10 + 10] = 1.0
    assert np.allclose(token_starts(weights), [0, 10, 20, 30], atol=2)


@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 1000))
def test_the_warped_path_never_goes_back(rows: int, columns: int, seed: int) -> None:
    starts = warp(np.random.default_rng(seed).normal(size=(rows, columns)))
    assert (np.diff(starts) >= 0).all()
    assert starts.min() >= 0
    assert starts.max() < columns


regions = st.lists(st.tuples(st.integers(0, 400), st.integers(60, 90_000)), max_size=30).map(
    lambda rows: [
        (start, start + length)
        for start, length in zip(
            np.cumsum([0] + [gap + length for gap, length in rows]).tolist(), [r[1] for r in rows], strict=False
        )
    ]
)


@given(regions)
def test_packing_keeps_every_millisecond_of_speech_once_in_clips_that_fit(rows: list[tuple[int, int]]) -> None:
    clips = pack(0, rows)
    assert all(clip.duration_ms <= 29_500 for clip in clips)
    pieces = [p for clip in clips for p in clip.pieces]
    assert sum(p.end_ms - p.start_ms for p in pieces) == sum(b - a for a, b in rows)
    assert all(a.end_ms <= b.start_ms for a, b in zip(pieces, pieces[1:], strict=False))


def test_few_regions_share_one_clip() -> None:
    assert len(pack(0, [(i * 10_000, i * 10_000 + 2_000) for i in range(12)])) == 1


def test_a_clip_holds_its_regions_and_places_words_back_in_the_call() -> None:
    source = np.zeros(60 * RATE, np.float32)
    source[10 * RATE : 11 * RATE] = 0.5
    source[40 * RATE : 42 * RATE] = 0.25
    (clip,) = pack(0, [(10_000, 11_000), (40_000, 42_000)])
    made = clip.audio(source)
    assert len(made) == (3_000 + 80) * RATE // 1000
    assert (made[: RATE - 1] == 0.5).all()
    assert (made[-RATE:] == 0.25).all()
    placed = clip.place([timed("one", 100, 900), timed("two", 1_200, 1_500), timed("three", 2_000, 3_000)])
    assert [(w.start_ms // 1000) for w in placed] == [10, 40, 40]
    assert placed[1].start_ms == 40_120


def test_a_word_that_seems_to_begin_before_its_region_is_put_where_the_sentence_begins() -> None:
    clip = Clip(0, (Piece(0, 5_000, 7_000), Piece(2_000, 50_000, 53_000)))
    said = [timed("today?", 1_000, 1_700), timed("Of", 1_700, 2_100), timed("course,", 2_100, 2_600)]
    assert [w.start_ms >= 50_000 for w in clip.place(said)] == [False, True, True]


def test_a_word_that_ends_a_sentence_stays_before_the_join() -> None:
    clip = Clip(0, (Piece(0, 5_000, 7_000), Piece(2_000, 50_000, 53_000)))
    said = [timed("me,", 1_300, 1_700), timed("please?", 1_700, 2_200), timed("Thank", 2_300, 2_600)]
    assert [w.start_ms >= 50_000 for w in clip.place(said)] == [False, False, True]


@given(st.lists(st.tuples(st.floats(0, 30_000), st.floats(0, 3_000)), max_size=30), regions)
def test_placed_words_lie_inside_speech(spans: list[tuple[float, float]], rows: list[tuple[int, int]]) -> None:
    rows = [(a, b) for a, b in rows if b - a <= 20_000]
    for clip in pack(0, rows):
        said = [timed("w", a, a + b) for a, b in sorted(spans)]
        placed = clip.place(said)
        assert len(placed) == len(said)
        for word in placed:
            assert any(p.start_ms <= word.start_ms < word.end_ms <= p.end_ms for p in clip.pieces)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(20, 800)), max_size=40))
def test_words_put_in_order_keep_their_number_and_never_run_backwards(spans: list[tuple[int, int]]) -> None:
    made = in_order([Word("w", a, a + b, 0.5) for a, b in spans])
    assert len(made) == len(spans)
    starts = [w.start_ms for w in made]
    assert starts == sorted(starts)
    assert all(w.end_ms - w.start_ms >= 20 for w in made)


def test_loops_are_seen_and_ordinary_repetition_is_not() -> None:
    assert guard.is_loop("thank you for calling " * 6)
    assert guard.is_loop("no " * 12)
    assert guard.is_loop("it is S-I-T-C-C-C-C-C-C-C-C-C-C-C-C-C")
    assert not guard.is_loop("no no no I said four four four four seven")
    assert not guard.is_loop("the number is 0 0 0 0 1 1 1 and then 1,000,000 dollars")
    assert not guard.is_loop("Thank you for calling, how can I help you today? I would like to pay my bill.")


def test_a_loop_is_collapsed_to_two_rounds_and_the_rest_is_kept() -> None:
    said = "so " + "thank you " * 9 + "goodbye"
    words = [timed(t, i * 100, i * 100 + 90) for i, t in enumerate(said.split())]
    assert [w.text for w in guard.collapse(words)] == "so thank you thank you goodbye".split()


def test_words_said_of_silence_are_dropped_with_a_warning_that_holds_no_text() -> None:
    audio = np.zeros(10 * RATE, np.float32)
    audio[: 2 * RATE] = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    heard = Heard([Word("real", 500, 900, 0.9), Word("subscribe", 6_000, 6_400, 0.4)])
    done = guard.finish(heard, audio)
    assert [w.text for w in done.words] == ["real"]
    assert done.warnings
    assert "subscribe" not in " ".join(done.warnings)


def test_a_clip_that_the_model_itself_doubts_is_dropped() -> None:
    words = [timed("Thanks", 0, 300), timed("for", 300, 500), timed("watching!", 500, 900)]
    kept, reason = guard.judge(guard.Decoded(words, -1.3, 0.9), np.ones(3 * RATE, np.float32))
    assert not kept
    assert "3 word(s)" in reason
    kept, reason = guard.judge(guard.Decoded(words, -0.3, 0.9), np.ones(3 * RATE, np.float32))
    assert (len(kept), reason) == (3, "")


class Letters:
    """The little of a CTC tokenizer that decoding needs."""

    vocabulary = ["<pad>", "|", "A", "B", "C"]
    pad_token_id = 0
    word_delimiter_token = "|"
    all_special_ids = [0]

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.vocabulary.index(token)

    def convert_ids_to_tokens(self, token: int) -> str:
        return self.vocabulary[token]


def test_ctc_frames_become_words_with_times_and_probabilities() -> None:
    path = [0, 2, 2, 0, 2, 3, 0, 1, 1, 0, 4, 4, 0, 0, 3, 0, 0, 0, 0, 0]
    frames = np.full((20, 5), 0.05)
    frames[np.arange(20), path] = 0.8
    decoded = words_of(frames, Letters(), 400.0)
    assert [(w.text, w.start_ms, w.end_ms) for w in decoded.words] == [("AAB", 20, 120), ("CB", 200, 300)]
    assert all(abs(w.probability - 0.8) < 1e-6 for w in decoded.words)
    assert words_of(np.eye(5)[[0] * 6], Letters(), 120.0).words == []
