"""What is found in a call: cards in every spoken form, and the other things nobody should see."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from analytics.redaction import ALWAYS_HIDDEN, KINDS, Span, find, redact_text, scrub
from benchmarks.common import ROOT
from benchmarks.redaction_cases import card_cases
from benchmarks.redaction_others import negative_cases, other_cases
from tests.nlu.calls import call

ASK = ("agent", "Can I take the long card number please?")


def hidden(document: dict[str, Any]) -> list[str]:
    """Return the turns of a call with everything that is hidden replaced."""
    spans = find(document)
    return [redact_text(turn["text"], [s for s in spans if s.turn == turn["index"]]) for turn in document["turns"]]


def places(spans: list[Span], kinds: Any) -> set[tuple[int, int]]:
    return {(s.turn, k) for s in spans if s.kind in kinds for k in range(s.first_word, s.end_word)}


@pytest.mark.parametrize(
    "said",
    [
        "4242 4242 4242 4242",
        "4242424242424242",
        "4242-4242-4242-4242",
        "four two four two four two four two four two four two four two four two",
        "forty two forty two forty two forty two forty-two forty-two forty-two forty-two",
        "4 2 4 2, 4 2 4 2, 4 2 4 2, 4 2 4 2",
        "5555 5555 double five double five triple four five",
        "four fives, four fives, four fives, three fours, five",
        "four oh oh oh, oh oh oh oh, twenty-one hundred, eleven seventeen",
        "４２４２ ４２４２ ４２４２ ４２４２",
        "four two four two, um, four two four two, uh, hang on, four two four two, er, four two four two",
        "three seven eight two eight two two four six three one oh oh oh five",
    ],
)
def test_a_card_number_is_found_without_anybody_naming_it(said: str) -> None:
    assert scrub(f"so {said}").startswith("so [card-number]")


def test_a_card_number_is_followed_across_turns_and_so_is_what_the_agent_reads_back() -> None:
    document = call(
        ASK,
        ("customer", "four two four two"),
        ("agent", "four two four two, yes"),
        ("customer", "four two four two"),
        ("agent", "Go on."),
        ("customer", "four two four two"),
        ("agent", "And the next four?"),
        ("customer", "four two four two"),
    )
    assert hidden(document)[1:] == [
        "[card-number]", "[card-number], yes", "[card-number]", "Go on.", "[card-number]", "And the next four?",
        "[card-number]",
    ]  # fmt: skip


def test_a_correction_leaves_nothing_of_the_card_readable() -> None:
    document = call(ASK, ("customer", "It's 4242 4242 4243, no, sorry, 4242 4242 4242"))
    assert hidden(document)[1] == "It's [card-number]"


def test_a_misheard_card_number_is_hidden_where_one_was_asked_for_though_its_check_digit_is_wrong() -> None:
    assert hidden(call(ASK, ("customer", "4242 4242 4242 4241")))[1] == "[card-number]"


@pytest.mark.parametrize("said", ["The card ending in 4242", "The last four digits of my card are four two four two"])
def test_a_part_of_a_card_number_is_hidden_near_the_card(said: str) -> None:
    assert hidden(call(("customer", said)))[0].endswith("[card-number]")


def test_the_end_of_a_card_repeated_much_later_is_hidden_without_a_cue() -> None:
    chat = [("agent", "Let me see what else there is for you on the system today.")] * 20
    document = call(ASK, ("customer", "4929 1234 5678 9014"), *chat, ("agent", "so that was 9014 then"))
    assert "[card-number]" in hidden(document)[-1]


def test_expiry_and_security_code_are_told_from_the_card_number() -> None:
    document = call(
        ASK, ("customer", "4242 4242 4242 4242"), ("agent", "And the expiry date on the card?"),
        ("customer", "It's oh nine twenty eight"), ("agent", "And the three digits on the back?"),
        ("customer", "Let me turn it over. Seven three one. Oh, wonderful."),
    )  # fmt: skip
    assert hidden(document)[3::2] == ["It's [card-expiry]", "Let me turn it over. [card-security-code]. Oh, wonderful."]


@pytest.mark.parametrize(
    "text",
    [
        "I ordered two cards on the fourth and paid three hundred and eighty pounds",
        "It says one four, two seven, nine on the meter",
        "My order number is 4242 4242 42",
        "The engineer comes on 4/11/2025 between nine and one",
        "0.4242424242424242 was the score at 1718000000000",
        "request 3f2a9c88-1234-4e1b-9c55-0242ac120002 took 31 ms",
    ],
)
def test_other_numbers_stay_readable(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("my account number is 2277 8112", "my account number is [account-number]"),
        ("the sort code is 20-45-67", "the sort code is [sort-code]"),
        (
            "sort code and account number 20 45 67 1234 5678",
            "sort code and account number [sort-code] [account-number]",
        ),
        ("it's GB29 NWBK 6016 1331 9268 19", "it's [account-number]"),
        ("call me on oh seven seven double oh nine double oh one four three", "call me on [phone-number]"),
        ("it was 07700 900143 I think", "it was [phone-number] I think"),
        ("it's j dot smith at gmail dot com", "it's [e-mail]"),
        ("write to j.smith+x@example.co.uk.", "write to [e-mail]."),
        ("My name is Martin Doyle.", "My name is [name]."),
        ("my name is martin", "my name is [name]"),
        ("the surname is spelled D, O, Y, L, E", "the surname is spelled [name]"),
        ("I live at twenty seven Orchard Street, in Norwich.", "I live at [address]."),
        ("the postcode is N R one, four P Q.", "the postcode is [postcode]."),
        ("it is SW1A 1AA now", "it is [postcode] now"),
        ("date of birth is the fourth of May, nineteen sixty", "date of birth is the [birth-date]"),
    ],
)
def test_the_other_kinds_are_found_typed_and_spoken(said: str, shown: str) -> None:
    assert scrub(said) == shown


def test_every_span_says_where_it_is_why_and_how_sure() -> None:
    span = find(call(("agent", "Hello."), ("customer", "It's 4242 4242 4242 4242 okay")))[0]
    assert (span.kind, span.turn, span.first_word, span.end_word) == ("card_number", 1, 1, 5)
    assert (span.start, span.end) == (5, 24)
    assert span.start_ms is not None and span.end_ms is not None and span.start_ms < span.end_ms
    assert 0 < span.certainty <= 1 and "check digit" in span.why and "4242" not in span.why


@pytest.mark.parametrize(
    "words",
    [
        [{"text": "4242424242424242"}],
        [{"text": "4242424242424242", "start_ms": None, "end_ms": 900}],
        [{"text": "4242424242424242", "start_ms": float("nan"), "end_ms": 900}],
        [{"text": "4242424242424242", "start_ms": 900, "end_ms": 100}],
        ["4242424242424242"],
    ],
)
def test_words_without_usable_times_give_a_span_without_times(words: list[Any]) -> None:
    span = find({"turns": [{"index": 0, "words": words}]})[0]
    assert span.start_ms is None and span.end_ms is None


@pytest.mark.parametrize(
    "document",
    [
        {"turns": []},
        {"turns": [{}]},
        {"turns": [None, 3]},
        {"turns": [{"index": 0, "text": None, "words": []}]},
        {"turns": [{"index": 0, "words": [{"text": None}, None, {"text": "…"}]}]},
    ],
)
def test_an_empty_or_odd_transcript_has_nothing_to_hide(document: dict[str, Any]) -> None:
    assert find(document) == []


@pytest.mark.parametrize("document", [None, [], {}, {"turns": None}, {"turns": "4242"}])
def test_what_is_no_transcript_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="turns"):
        find(document)


@pytest.mark.parametrize(
    "piece", ["7", "4 ", "four ", "oh ", "double ", "a@", "at a dot ", "A 1 ", "card 4 ", "born 1 "]
)
def test_a_huge_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(times: int) -> float:
        began = time.perf_counter()
        scrub(piece * times)
        return time.perf_counter() - began

    seconds(200)
    # Four times the text may take a little more than four times as long, and sixteen times if it were quadratic.
    assert any(seconds(16_000) < 9 * max(seconds(4_000), 0.005) for _ in range(4))


def test_a_four_hour_call_is_read_whole() -> None:
    turns = [("agent", "so how are you today then and what can I do for you"), ("customer", "well it is about my bill")]
    document = call(*(turns * 1_800), ASK, ("customer", "4242 4242 4242 4242"))
    assert places(find(document), ALWAYS_HIDDEN) == {(3601, k) for k in range(4)}


def test_spoken_cards_of_the_generator_are_found_and_calls_without_one_left_alone() -> None:
    cases = card_cases(11, 150)
    found = [case.truth["card_number"] <= places(find(case.document), ALWAYS_HIDDEN) for case in cases]
    assert sum(found) / len(found) >= 0.99
    flagged = [bool(places(find(case.document), ALWAYS_HIDDEN)) for case in negative_cases(11, 12)]
    assert sum(flagged) / len(flagged) <= 0.01


def test_the_other_kinds_of_the_generator_are_hidden() -> None:
    cases = other_cases(11, 15)
    found = [truth <= places(find(c.document), KINDS) for c in cases for truth in c.truth.values()]
    assert sum(found) / len(found) >= 0.97


def test_of_the_demo_calls_only_the_one_with_a_card_has_a_card_hidden() -> None:
    lines = (ROOT / "callcenter" / "demo" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    calls = [json.loads(line) for line in lines]
    flagged = [c["name"] for c in calls if places(find({"turns": c["reference"]}), ALWAYS_HIDDEN)]
    assert flagged == ["card_payment"]


def test_nothing_of_the_demo_card_stays_readable() -> None:
    lines = (ROOT / "callcenter" / "demo" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    document = {"turns": next(c["reference"] for c in map(json.loads, lines) if c["name"] == "card_payment")}
    spans = find(document)
    text = " ".join(
        redact_text(turn["text"], [s for s in spans if s.turn == at]) for at, turn in enumerate(document["turns"])
    )
    for part in ("Five, four", "Two, three", "Three, zero", "Nine, nine", "Seven three one", "zero nine", "Whitlow"):
        assert part not in text
