"""Phrase matching on spoken words."""

from __future__ import annotations

import pytest

from analytics.nlu.phrases import PhraseError, Similarity, compile_phrase, find, literals
from analytics.nlu.text import Stream, normalise, read, tokens_of
from tests.nlu.calls import call


def stream(text: str) -> Stream:
    return read(call(("customer", text))).streams["customer"]


def matches(phrase: str, text: str, near: float = 0.0) -> list[str]:
    compiled, heard = compile_phrase(phrase), stream(text)
    similar = Similarity(literals([compiled]), heard.positions)
    hits = find(compiled, heard, near=near, similar=similar)
    return [" ".join(t.norm for t in heard.tokens[h.start : h.end]) for h in hits]


def test_punctuation_case_contractions_and_fillers_do_not_matter() -> None:
    assert matches("i am going to cancel", "Well, I'm, um, gonna CANCEL.") == ["i am going to cancel"]


def test_a_stutter_does_not_break_a_phrase() -> None:
    assert matches("cancel my account", "cancel my my account please") == ["cancel my my account"]


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("speak|talk to a|the manager", "can I talk to the manager", True),
        ("speak|talk to a|the manager", "can I talk to my mother", False),
        ("the? lawyer", "lawyer", True),
        ("suicid*", "suicidal thoughts", True),
        ("pay * today", "pay the whole bill today", True),
        ("pay * today", "pay the whole long bill today", False),
        ("pay * today", "pay it not today", False),
        ("called <num> times", "I called four times", True),
        ("called <num> times", "I called 4 times", True),
        ("called <num> times", "I called many times", False),
    ],
)
def test_the_notation_of_phrases(phrase: str, text: str, found: bool) -> None:
    assert bool(matches(phrase, text)) is found


def test_a_small_recognition_error_is_a_near_match_only() -> None:
    assert matches("cancel my subscription", "cancel my subscripton") == []
    assert matches("cancel my subscription", "cancel my subscripton", near=0.8) == ["cancel my subscripton"]


def test_a_missing_function_word_is_forgiven_and_a_missing_negation_never() -> None:
    assert matches("cancel the whole contract", "cancel whole contract", near=0.8) == ["cancel whole contract"]
    assert matches("do not want the contract", "do want the contract", near=0.6) == []


def test_a_single_word_is_never_matched_nearly() -> None:
    assert matches("lawyer", "the lower shelf", near=0.6) == []
    assert matches("lawyer", "three layers", near=0.6) == []


@pytest.mark.parametrize("phrase", ["", "   ", "*", "* cancel", "cancel (now|later)", "ab*|cancel", "the? a?", "..."])
def test_an_unreadable_phrase_is_refused_with_its_reason(phrase: str) -> None:
    with pytest.raises(PhraseError):
        compile_phrase(phrase)


def test_a_phrase_does_not_reach_across_a_long_pause() -> None:
    heard = read(call(("customer", "cancel my"), ("customer", "account please", 20_000))).streams["customer"]
    assert find(compile_phrase("cancel my account"), heard) == []


def test_a_phrase_reaches_across_the_other_partys_back_channel() -> None:
    heard = read(call(("customer", "I want to cancel"), ("agent", "mhm"), ("customer", "my account"))).streams[
        "customer"
    ]
    assert len(find(compile_phrase("cancel my account"), heard)) == 1


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("Can't!", ("can", "not")),
        ("it's", ("it", "is")),
        ("Anna's", ("annas",)),
        ("[Music]", ()),
        ("4532-11", ("4532", "11")),
    ],
)
def test_words_are_normalised(word: str, tokens: tuple[str, ...]) -> None:
    assert normalise(word) == tokens


def test_phrases_and_speech_share_one_normaliser() -> None:
    assert tokens_of("I won't pay") == ("i", "will", "not", "pay")
