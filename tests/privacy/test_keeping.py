"""What is kept of a transcript: pure parts."""

from __future__ import annotations

from typing import Any

from analytics.nlu import understand
from callcenter.privacy.services import keeping
from callcenter.privacy.services.seeing import restored
from tests.nlu.calls import call

ASK = ("agent", "Can I take the card number please?")
SAID = ("customer", "it is 4242 4242 4242 4242 okay")


def words(document: dict[str, Any], turn: int) -> list[str]:
    return [word["text"] for word in document["turns"][turn]["words"]]


def test_every_hidden_word_becomes_a_placeholder_of_its_own_and_cleaning_twice_changes_nothing() -> None:
    document = call(ASK, SAID)
    once = keeping.clean(document)
    assert words(once, 1) == ["it", "is", *["[card-number]"] * 4, "okay"]
    assert [w["start_ms"] for w in once["turns"][1]["words"]] == [w["start_ms"] for w in document["turns"][1]["words"]]
    assert keeping.clean(once) == once
    assert "4242" in document["turns"][1]["text"]


def test_places_say_kind_party_channel_and_times_and_no_word() -> None:
    places = keeping.places_in(keeping.clean(call(ASK, SAID)))
    turn = call(ASK, SAID)["turns"][1]["words"]
    assert places == [
        {
            "kind": "card_number",
            "party": "customer",
            "channel": 0,
            "start_ms": turn[2]["start_ms"],
            "end_ms": turn[5]["end_ms"],
            "near_ms": turn[2]["start_ms"],
        }  # fmt: skip
    ]


def test_times_in_which_nobody_can_speak_are_no_times() -> None:
    document = keeping.clean(call(ASK, SAID))
    for word in document["turns"][1]["words"]:
        word["start_ms"] = word["end_ms"] = 5000
    assert [place["start_ms"] for place in keeping.places_in(document)] == [None]


def test_a_new_transcript_of_a_muted_recording_keeps_what_was_found_before() -> None:
    known = keeping.places_in(keeping.clean(call(ASK, SAID)))
    muted = call(ASK, ("customer", "it is", 400), ("agent", "thank you", 3000))
    found = keeping.clean(muted, known, insert=True)
    assert words(found, 1) == ["it", "is", "[card-number]"]
    assert keeping.clean(found, known, insert=True) == found


def test_a_place_far_from_any_turn_gets_a_turn_of_its_own() -> None:
    known = [{"kind": "card_number", "party": "customer", "channel": 0, "start_ms": 60_000, "end_ms": 65_000}]
    found = keeping.clean(call(ASK, ("agent", "thank you", 90_000)), known, insert=True)
    assert [(t["index"], t["party"]) for t in found["turns"]] == [(0, "agent"), (1, "customer"), (2, "agent")]
    assert words(found, 1) == ["[card-number]"]


def test_words_that_another_model_heard_in_a_known_place_are_hidden_there() -> None:
    known = keeping.places_in(keeping.clean(call(ASK, SAID)))
    other = call(ASK, ("customer", "it is for too for to okay"))
    assert words(keeping.clean(other, known), 1) == ["it", "is", *["[card-number]"] * 4, "okay"]


def test_a_typed_card_number_is_not_kept_also_where_only_the_call_shows_that_it_is_one() -> None:
    turns = call(ASK, ("customer", "it is fortune forty okay"))["turns"]
    typed = "it is four two four two four two four two four two four two four two four two okay".split()
    assert set(keeping.typed_words(turns, 1, typed)[2:-1]) == {"[card-number]"}
    assert keeping.typed("My card is 4242 4242 4242 4242, thanks") == "My card is [card-number], thanks"
    assert keeping.typed("The caller rang at 10.30 about invoice 5531") == "The caller rang at 10.30 about invoice 5531"


def test_digits_typed_in_the_place_of_a_placeholder_stay_hidden() -> None:
    turns = keeping.clean(call(ASK, SAID))["turns"]
    assert keeping.typed_words(turns, 1, ["it", "is", "4242", "okay"]) == ["it", "is", "[card-number]", "okay"]


def test_what_a_person_was_not_shown_and_left_alone_is_as_it_was() -> None:
    original = "my account is 12345678 and I am cross".split()
    seen = "my account is [account-number] and I am cross".split()
    assert restored(original, seen, "My account is [account-number] and I was cross".split()) == (
        "My account is 12345678 and I was cross".split()
    )
    assert restored(original, seen, "my account is gone".split()) == "my account is gone".split()


def test_alerts_about_card_data_are_raised_from_placeholders_and_quote_none_of_it() -> None:
    document = keeping.clean(call(ASK, SAID, ("agent", "And the security code?"), ("customer", "one two three")))
    alerts = [a for a in understand(document, {"models_dir": "/nowhere"})["alerts"] if a["category"] == "payment_data"]
    assert {a["rule_key"] for a in alerts} >= {"payment.card_number"}
    number = next(a for a in alerts if a["rule_key"] == "payment.card_number")
    first, last = document["turns"][1]["words"][2], document["turns"][1]["words"][5]
    assert (number["start_ms"], number["end_ms"]) == (first["start_ms"], last["end_ms"])
    assert number["quote"] == "it is [card-number] okay"
