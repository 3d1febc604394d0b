"""What an evaluation says about each row, and that the figures are the ones a person would count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_worker.engines import guard, registry
from asr_worker.engines.base import Channel, Heard
from asr_worker.evaluate import evaluate_rows, word_figures
from asr_worker.evaluation import _terms, compare
from asr_worker.normalise import normalise
from asr_worker.types import PipelineSpec, Word


def _compare(said: str, heard: str, *vocabulary: str) -> dict[str, int]:
    return compare(normalise(said).split(), normalise(heard).split(), _terms(vocabulary))


class Scripted:
    """Says what it is told, row by row."""

    name = "scripted"

    def __init__(self, texts: Sequence[str], warnings: Sequence[list[str]] = ()) -> None:
        self.texts, self.warnings = list(texts), list(warnings)

    def transcribe_channels(self, channels: Sequence[Channel], spec: PipelineSpec, **options: Any) -> list[Heard]:
        made = [
            Heard(
                [Word(w, 0, 20, 1.0) for w in self.texts.pop(0).split()], self.warnings.pop(0) if self.warnings else []
            )
            for _ in channels
        ]
        return made


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Evaluate an engine that says the given texts on rows that say others."""
    clip = tmp_path / "clip.flac"
    soundfile.write(clip, np.zeros(16_000, np.float32), 16_000)

    def run(pairs: Sequence[tuple[str, str]], warnings: Sequence[list[str]] = (), **options: Any) -> dict[str, Any]:
        engine = Scripted([heard for _, heard in pairs], warnings)
        monkeypatch.setattr(registry, "transcriber", lambda spec: engine)
        rows = [
            {"id": f"r{i}", "path": clip, "text": said, "call": f"c{i % 2}", "team": "A"}
            for i, (said, _) in enumerate(pairs)
        ]
        return evaluate_rows(rows, PipelineSpec(), name="golden", **options)

    return run


def test_a_number_counts_as_heard_only_digit_for_digit() -> None:
    said = "your reference is four two oh seven thanks"
    assert _compare(said, "your reference is 4207 thanks")["numbers_heard"] == 1
    for wrong in ("your reference is 427 thanks", "your reference is 42007 thanks", "your reference is 4207 1 thanks"):
        figures = _compare(said, wrong)
        assert (figures["numbers_said"], figures["numbers_heard"]) == (1, 0), wrong


def test_two_numbers_in_one_row_are_recalled_one_by_one() -> None:
    figures = _compare("the fourteenth at nine thirty or at 4 pm", "the fourteenth at 9:30 or at 5 pm")
    assert (figures["numbers_said"], figures["numbers_heard"]) == (2, 1)


def test_vocabulary_terms_of_several_words_are_heard_whole_or_not_at_all() -> None:
    terms = ("Silverbrook Energy", "Silverbrook", "Luis")
    figures = _compare(
        "Silverbrook Energy, Luis here from Silverbrook", "silverbrook energy lewis here from silver brook", *terms
    )
    assert (figures["vocabulary_said"], figures["vocabulary_heard"]) == (3, 1)
    split = _compare("call Silverbrook Energy", "call silverbrook the energy", *terms)
    assert (split["vocabulary_said"], split["vocabulary_heard"]) == (1, 0)


def test_the_longest_run_of_words_left_out_is_found() -> None:
    figures = _compare("one thing more before we say our long goodbye today", "one thing goodbye today")
    assert figures["longest_deletion"] == 6 and figures["deletions"] == 6


words = st.lists(st.sampled_from("a b c four two silverbrook".split()), max_size=12)


@settings(max_examples=200, deadline=None)
@given(words, words)
def test_errors_add_up_and_recall_never_passes_what_was_said(said: list[str], heard: list[str]) -> None:
    f = compare(normalise(" ".join(said)).split(), normalise(" ".join(heard)).split(), [("silverbrook",), ("a", "b")])
    assert f["errors"] == f["substitutions"] + f["deletions"] + f["insertions"]
    assert 0 <= f["longest_deletion"] <= f["deletions"] <= f["words"]
    assert 0 <= f["numbers_heard"] <= f["numbers_said"] and 0 <= f["vocabulary_heard"] <= f["vocabulary_said"]
    if said == heard:
        assert f["errors"] == 0 and f["numbers_heard"] == f["numbers_said"]
        assert f["vocabulary_heard"] == f["vocabulary_said"]


def test_the_pooled_figures_are_the_sums_of_the_rows_and_agree_with_the_command(evaluated: Any) -> None:
    pairs = [
        ("Hello, this is Grace", "hello this is grace"),
        ("the code is four two", "the code is 4 3"),
        ("I can wait", ""),
        ("", "thank you"),
    ]
    document = evaluated(pairs)
    pooled, rows = document["pooled"], document["rows"]
    for key in ("words", "errors", "substitutions", "deletions", "insertions"):
        assert pooled[key] == sum(row[key] for row in rows)
    command = word_figures([said for said, _ in pairs], [heard for _, heard in pairs])
    assert pooled["wer"] == command["wer"] and pooled["cer"] == command["cer"]
    assert pooled["wer"] == round(6 / 12, 5)
    assert pooled["empty"] == 1 and [row["empty"] for row in rows] == [False, False, True, False]
    assert json.loads(json.dumps(document)) == document


def test_a_loop_counts_even_when_the_guard_cut_it_short(evaluated: Any) -> None:
    pairs = [("we are here", "we are we are"), ("we are here", "we are here"), ("no", " ".join(["no"] * 30))]
    document = evaluated(pairs, [[guard.LOOPED], [], []])
    assert [row["repetition"] for row in document["rows"]] == [True, False, True]
    assert document["pooled"]["repetitions"] == 2


def test_the_fingerprint_of_the_data_changes_with_what_was_said_and_not_with_the_order(evaluated: Any) -> None:
    pairs = [("one thing", "one thing"), ("another", "another")]
    plain = evaluated(pairs)["data"]
    assert evaluated([("one thing", "x"), ("another", "")])["data"] == plain
    assert evaluated([("one thing", "one thing"), ("another one", "another")])["data"] != plain
    assert evaluated(pairs, vocabulary=["another"])["data"] != plain


def test_rows_without_a_single_word_are_no_evaluation(evaluated: Any) -> None:
    with pytest.raises(ValueError, match="golden holds no row"):
        evaluated([("", "hello"), ("...", "")])
