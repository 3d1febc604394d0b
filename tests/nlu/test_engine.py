"""What rules find in a call, with which evidence, and what they must not find."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.nlu.detectors import digit_runs, luhn
from analytics.nlu.engine import run_rules
from analytics.nlu.metrics import talk_metrics
from analytics.nlu.rules import compile_rules
from analytics.nlu.text import read
from tests.nlu.calls import GOODBYE, GREETING, call

CARD = "four five three nine one four eight eight oh three four three six four six seven"


def alerts(transcript: dict[str, Any], *rules: dict[str, Any]) -> list[dict[str, Any]]:
    heard = read(transcript)
    return run_rules(compile_rules(list(rules)), heard, talk_metrics(heard))


def rule(**fields: Any) -> dict[str, Any]:
    return {"key": "test.rule", "category": "legal", "severity": "high", "party": "customer"} | fields


def test_an_alert_carries_its_whole_evidence() -> None:
    spoken = call(("agent", "Good morning."), ("customer", "Then I will sue you tomorrow."), probability=0.8)
    (alert,) = alerts(spoken, rule(any=["sue you"], version=3))
    words = spoken["turns"][1]["words"]
    assert alert["word_ids"] == ["1:3", "1:4"] and alert["turn"] == 1
    assert (alert["start_ms"], alert["end_ms"]) == (words[3]["start_ms"], words[4]["end_ms"])
    assert alert["quote"] == "Then I will sue you tomorrow."
    assert alert["transcription_confidence"] == pytest.approx(0.8)
    assert (alert["rule_version"], alert["party"], alert["listen_first"]) == (3, "customer", False)
    assert sum(c["share"] for c in alert["components"]) == pytest.approx(1)


def test_the_other_party_saying_it_does_not_count() -> None:
    assert alerts(call(("agent", "nobody will sue you")), rule(any=["sue you"])) == []


def test_doubtful_words_ask_to_listen_first() -> None:
    (alert,) = alerts(call(("customer", "I will sue you"), probability=0.4), rule(any=["sue you"]))
    assert alert["listen_first"]


def test_a_near_match_scores_less_and_asks_to_listen_first() -> None:
    (alert,) = alerts(call(("customer", "I contacted the ombudsmen office")), rule(any=["contacted the ombudsman"]))
    assert alert["components"][0]["kind"] == "near_phrase"
    assert alert["listen_first"] and alert["score"] < 0.95


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("I want to cancel", True),
        ("I do not want to cancel", False),
        ("I'm not going to cancel", False),
        ("I'm not happy. Cancel it", True),
        ("can I not just cancel it", True),
        ("I never wanted this, I want to cancel", True),
    ],
)
def test_a_denied_phrase_is_no_hit(text: str, counts: bool) -> None:
    found = alerts(call(("customer", text)), rule(any=["want to cancel", "going to cancel", "cancel it"]))
    assert bool(found) is counts


def test_an_excluded_phrase_nearby_takes_the_hit_away_and_one_far_off_does_not() -> None:
    asked = rule(any=["my lawyer"], exclude=["lawyer friend"])
    assert alerts(call(("customer", "my lawyer friend recommended you")), asked) == []
    text = "a lawyer friend recommended you but after all that has happened here today I will call my lawyer now"
    assert len(alerts(call(("customer", text)), asked)) == 1


def test_all_groups_must_be_said_close_together() -> None:
    both = rule(all=[["reset the password"], ["new phone number"]], within_seconds=10)
    assert len(alerts(call(("customer", "reset the password and take my new phone number")), both)) == 1
    assert alerts(call(("customer", "reset the password please")), both) == []
    far = call(("customer", "reset the password please"), ("customer", "I have a new phone number", 60_000))
    assert alerts(far, both) == []


def test_a_none_phrase_said_by_anyone_stops_the_rule() -> None:
    asked = rule(any=["my balance"], none=["date of birth"])
    assert alerts(call(("agent", "your date of birth please"), ("customer", "what is my balance")), asked) == []


def test_a_window_limits_where_a_rule_looks() -> None:
    spoken = call(("customer", "sue you"), ("agent", "please go on"), ("customer", "sue you", 60_000))
    assert [a["turn"] for a in alerts(spoken, rule(any=["sue you"], window={"first_seconds": 20}))] == [0]
    assert [a["turn"] for a in alerts(spoken, rule(any=["sue you"], window={"last_seconds": 20}))] == [2]
    assert [a["turn"] for a in alerts(spoken, rule(any=["sue you"], window={"after": ["go on"]}))] == [2]
    assert [a["turn"] for a in alerts(spoken, rule(any=["sue you"], window={"before": ["go on"]}))] == [0]
    assert alerts(spoken, rule(any=["sue you"], window={"after": ["never said"]})) == []


def test_a_metric_rule_points_at_the_silence() -> None:
    spoken = call(GREETING, ("customer", "hello", 70_000))
    (alert,) = alerts(spoken, rule(party="any", category="process", metrics=["longest_silence_ms > 60000"]))
    assert alert["end_ms"] - alert["start_ms"] > 60_000
    assert alert["components"][0]["kind"] == "metric"


def test_overlapping_alerts_of_one_category_become_the_gravest() -> None:
    mild = rule(key="mild", severity="low", any=["will sue"])
    grave = rule(key="grave", any=["sue you"])
    other = rule(key="other", category="abuse", any=["sue you"])
    found = alerts(call(("customer", "I will sue you")), mild, grave, other)
    assert sorted(a["rule_key"] for a in found) == ["grave", "other"]


def test_alerts_of_one_rule_are_limited() -> None:
    spoken = call(*[("customer", "sue you", 30_000)] * 9)
    assert len(alerts(spoken, rule(any=["sue you"], max_alerts=2))) == 2


def test_a_rule_switched_off_finds_nothing() -> None:
    assert alerts(call(("customer", "sue you")), rule(any=["sue you"], enabled=False)) == []


def test_without_any_known_party_everything_is_searched_and_a_person_must_listen() -> None:
    (alert,) = alerts(call(("unknown", "I will sue you")), rule(any=["sue you"]))
    assert alert["party"] == "unknown" and alert["listen_first"]


# --- absence -------------------------------------------------------------------------------------------------------

ABSENT = rule(
    key="script",
    category="script_miss",
    party="agent",
    absent=["this call is being recorded", "call may be recorded"],
    window={"first_seconds": 30},
    min_words=8,
)
ASK = ("customer", "Hello, I would like to ask about my bill.")


def test_a_required_phrase_that_is_missing_is_an_alert_with_the_window_as_evidence() -> None:
    (alert,) = alerts(call(GREETING, ASK), ABSENT)
    assert alert["category"] == "script_miss" and alert["party"] == "agent"
    assert "not said by agent" in alert["components"][0]["detail"]
    assert alert["quote"].startswith("Thank you for calling")


def test_the_required_phrase_or_a_near_miss_accuses_nobody() -> None:
    assert alerts(call(("agent", "Hello this call is being recorded for training purposes okay"), ASK), ABSENT) == []
    assert alerts(call(("agent", "Hello this call is being recoded for training purposes okay"), ASK), ABSENT) == []


def test_too_little_speech_in_the_window_accuses_nobody() -> None:
    assert alerts(call(("agent", "Hello there."), ASK), ABSENT) == []


def test_a_call_in_which_the_other_party_never_spoke_accuses_nobody() -> None:
    assert alerts(call(GREETING), ABSENT) == []


def test_a_far_near_miss_is_shown_and_asks_to_listen_first() -> None:
    text = "Hello and welcome this call is something else entirely so how can I help you"
    (alert,) = alerts(call(("agent", text), ASK), ABSENT)
    assert any("closest" in c["detail"] for c in alert["components"]) and alert["listen_first"]


def test_an_absence_that_depends_on_a_phrase_needs_that_phrase() -> None:
    due = rule(party="any", any=["passed away"], absent=["sorry for your loss"], min_words=3)
    assert alerts(call(("customer", "I would like to pay my bill now")), due) == []
    assert len(alerts(call(("customer", "my husband passed away in May")), due)) == 1
    said = call(("customer", "my husband passed away in May"), ("agent", "I am so sorry for your loss"))
    assert alerts(said, due) == []


# --- numbers ---------------------------------------------------------------------------------------------------------

PAYMENT = rule(key="payment", category="payment_data", party="any", detector="card_number")


@pytest.mark.parametrize(
    "spoken",
    [
        CARD,
        "4539 1488 0343 6467",
        "4539148803436467",
        "4539-1488-0343-6467",
        "four five three nine, um, one four double eight, oh three four three, and then six four six seven",
        "forty five thirty nine fourteen eighty eight oh three forty three sixty four sixty seven",
    ],
)
def test_a_card_number_is_found_however_it_is_said_and_its_quote_is_masked(spoken: str) -> None:
    (alert,) = alerts(call(("customer", f"yes it is {spoken} thank you")), PAYMENT)
    digits = "".join(c for c in alert["quote"] if c.isdigit())
    assert digits in ("67", "")
    for word in ("four", "five", "three", "nine", "thirty", "4539", "1488"):
        assert word not in alert["quote"]
    assert all(not any(ch.isdigit() for ch in c["detail"].replace("16", "")) for c in alert["components"])


def test_a_long_number_that_fails_the_check_sum_is_no_card() -> None:
    assert alerts(call(("customer", "my tracking number is 1234 5678 9012 3456 okay")), PAYMENT) == []


def test_a_misheard_card_number_in_a_talk_about_cards_asks_to_listen_first() -> None:
    spoken = call(("agent", "your card number please"), ("customer", "4539 1488 0343 6468"))
    (alert,) = alerts(spoken, PAYMENT)
    assert alert["listen_first"]


def test_the_security_code_is_found_only_when_it_was_asked_for() -> None:
    code = rule(key="code", category="payment_data", party="any", detector="card_code")
    asked = call(("agent", "and the three digits on the back"), ("customer", "it is seven three one"))
    (alert,) = alerts(asked, code)
    assert "seven" not in alert["quote"] and "7" not in alert["quote"]
    assert alerts(call(("customer", "I live at seven three one Oak Street")), code) == []


def test_digits_said_before_the_question_do_not_hide_the_answer() -> None:
    code = rule(key="code", category="payment_data", party="any", detector="card_code")
    spoken = call(
        ("customer", "I was born in nineteen seventy"),
        ("agent", "the security code please"),
        ("customer", "one two nine"),
    )
    (alert,) = alerts(spoken, code)
    assert alert["word_ids"] == ["2:0", "2:1", "2:2"]


def test_a_sort_code_and_the_account_number_after_it_are_found_together() -> None:
    account = rule(key="account", category="payment_data", party="any", detector="account_number")
    spoken = call(("agent", "your sort code please"), ("customer", "20 45 67 and then 31926819"))
    assert len(alerts(spoken, account)) == 1


def test_long_numbers_are_masked_in_the_quotes_of_every_category() -> None:
    (alert,) = alerts(call(("customer", f"my card is {CARD} and I will sue you")), rule(any=["sue you"]))
    assert "nine" not in alert["quote"]


def test_spoken_digits_are_read_as_people_say_them() -> None:
    (run,) = digit_runs(read(call(("customer", "double four twenty one oh triple seven 90"))).streams["customer"])
    assert run.digits == "4421077790"


@pytest.mark.parametrize(
    ("digits", "right"), [("4539148803436467", True), ("4539148803436468", False), ("378282246310005", True)]
)
def test_the_luhn_check(digits: str, right: bool) -> None:
    assert luhn(digits) is right


# --- suspect transcripts ---------------------------------------------------------------------------------------------


def test_a_recognisers_loop_is_suspect_and_counting_is_not() -> None:
    loop = rule(key="loop", category="suspect_transcript", party="any", detector="repetition")
    assert len(alerts(call(("agent", "thank you very much " * 6)), loop)) == 1
    assert alerts(call(("agent", "no no no okay")), loop) == []
    assert alerts(call(("agent", "one one one one one one one one one one")), loop) == []
    assert alerts(call(("customer", "double zero " * 6)), loop) == []


def test_more_words_than_anybody_can_say_are_suspect() -> None:
    fast = rule(key="fast", category="suspect_transcript", party="any", detector="fast_speech")
    spoken = call(("agent", "so this is a long sentence in which nobody could have spoken so quickly"))
    assert alerts(spoken, fast) == []
    for word in spoken["turns"][0]["words"]:
        word["start_ms"] //= 5
        word["end_ms"] //= 5
    assert len(alerts(spoken, fast)) == 1


def test_a_whole_ordinary_call_raises_nothing() -> None:
    from analytics.nlu import default_rules

    ordinary = call(
        GREETING,
        ("agent", "Before we start, this call is recorded for training."),
        ("customer", "Hi, I'd like to know when my order will arrive. It's order four two one."),
        ("agent", "Sure, can I take your name and postcode please?"),
        ("customer", "It's Tom Miller and the postcode is B S one two A B."),
        ("agent", "Thank you Tom. It left our warehouse this morning and will be with you tomorrow before noon."),
        ("customer", "Oh great, thanks a lot."),
        GOODBYE,
    )
    assert alerts(ordinary, *default_rules()) == []
