"""The labelled turns and excerpts: enough of each kind, apart from all training text, misheard the same way twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from analytics.nlu import CATEGORIES, default_intents, default_rules, sentiment
from analytics.nlu.text import tokens_of
from benchmarks import nlu_labelled
from benchmarks.nlu_labelled import Excerpt, Mishearing, Spoken
from benchmarks.nlu_quality import main, risk_figures, wilson

NEARLY_EQUAL = 0.8


def turns() -> list[nlu_labelled.Turn]:
    return [t for part in nlu_labelled.PARTS for t in nlu_labelled.sentiment_turns(part)]


def excerpts(part: str = "") -> list[Excerpt]:
    return [e for p in nlu_labelled.PARTS if part in ("", p) for e in nlu_labelled.risk_excerpts(p)]


def taught() -> list[str]:
    rules = [e for r in default_rules() for n in ("examples", "unlike") for e in r.get("semantic", {}).get(n, ())]
    return [*sentiment.training_text()[0], *(e for i in default_intents() for e in i["examples"]), *rules]


def test_the_labelled_turns_are_many_and_balanced_in_both_parts() -> None:
    assert len(turns()) >= 300 and len({t.text for t in turns()}) == len(turns())
    for part in nlu_labelled.PARTS:
        labels = Counter(t.label for t in nlu_labelled.sentiment_turns(part))
        assert set(labels) == set(sentiment.LABELS) and max(labels.values()) <= 1.3 * min(labels.values())
    assert {"negation", "sarcasm", "politeness", "sounds negative", "mixed", "resolved", "empathy"} <= {
        t.tag for t in turns()
    }
    assert {t.party for t in turns()} == {"agent", "customer"}


def test_the_labelled_excerpts_cover_every_category_with_cases_for_and_against() -> None:
    assert len(excerpts()) >= 240
    for part in nlu_labelled.PARTS:
        wanted = Counter(c for e in excerpts(part) for c in e.expect)
        tempting = Counter(e.about for e in excerpts(part) if not e.expect)
        assert set(wanted) == set(CATEGORIES)
        assert all(wanted[c] >= 6 and tempting[c] >= 3 for c in CATEGORIES)
    assert all(1 <= len(e.turns) <= 6 and not e.expect & e.may for e in excerpts())


def test_no_labelled_text_equals_or_nearly_equals_one_that_anything_learned_from() -> None:
    said = [
        t.text for e in excerpts("test") for t in e.turns if len(set(tokens_of(t.text))) > 5
    ]  # no "can you hear me"
    measured = [(t, frozenset(tokens_of(t))) for t in {*said, *(t.text for t in turns())}]
    learned = [(t, frozenset(tokens_of(t))) for t in taught()]
    close = [
        (text, example)
        for text, a in measured
        for example, b in learned
        if len(a & b) >= NEARLY_EQUAL * len(a | b) and len(a | b) > 1
    ]
    assert close == []


def test_the_parts_share_no_text() -> None:
    for kind in (nlu_labelled.sentiment_turns, nlu_labelled.risk_excerpts):
        dev, test = ({row.text for row in kind(part)} for part in nlu_labelled.PARTS)
        assert not dev & test
    with pytest.raises(ValueError, match="dev, test"):
        nlu_labelled.sentiment_turns("train")


def test_an_excerpt_is_heard_after_an_opening_by_the_book_unless_it_is_the_opening() -> None:
    spoken = (Spoken("customer", "hello there", pause_s=20, probability=0.3, words_per_second=10),)
    middle = nlu_labelled.transcript(Excerpt("churn", frozenset(), frozenset(), spoken))
    assert len(middle["turns"]) == 5 and middle["turns"][4]["start_ms"] - middle["turns"][3]["end_ms"] >= 20_000
    opening = nlu_labelled.transcript(Excerpt("churn", frozenset(), frozenset(), spoken, opening=True))
    (turn,) = opening["turns"]
    assert [w["probability"] for w in turn["words"]] == [0.3, 0.3]
    assert turn["words"][1]["start_ms"] - turn["words"][0]["start_ms"] == 100


def test_about_one_word_in_ten_is_misheard_and_the_same_ones_for_the_same_seed() -> None:
    words = [w for e in excerpts() for t in e.turns for w in t.text.split()]

    def heard(seed: int) -> list[tuple[str, bool]]:
        return list(Mishearing(nlu_labelled.vocabulary(), rate=0.1, seed=seed).words(words))

    once = heard(1)
    assert once == heard(1) and once != heard(2)
    untouched = sum(right for _, right in once) / len(words)
    added = sum(not right for _, right in once) / len(words)
    assert 0.90 <= untouched <= 0.94 and 0.06 <= added <= 0.10
    assert list(Mishearing(["a"], rate=0.0).words(["one", "two"])) == [("one", True), ("two", True)]


def test_a_misheard_word_is_another_that_sounds_alike() -> None:
    mishearing = Mishearing(["bill", "pull", "window", "lawyer"])
    assert mishearing.alike("bill") == "pull"
    assert mishearing.alike("Lawyer,") != "lawyer"


@pytest.mark.parametrize(("hits", "of", "low", "high"), [(10, 10, 0.72, 1.0), (5, 10, 0.24, 0.76), (0, 0, 0.0, 1.0)])
def test_intervals_are_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=0.005)


def test_precision_and_recall_come_from_the_counts() -> None:
    figures = risk_figures({"churn": {"hit": 9, "missed": 3, "false": 1}})["churn"]
    assert (figures["precision"], figures["recall"], figures["raised"], figures["wanted"]) == (0.9, 0.75, 10, 12)


def test_the_test_part_is_never_listed(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["--show"])
    assert "never read" in capsys.readouterr().err
