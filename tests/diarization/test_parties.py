"""Which speaker is the agent, from the words; the texts are our own."""

from __future__ import annotations

import pytest

from asr_worker.parties import map_parties, map_speakers
from asr_worker.types import Word


def call(*lines: tuple[str, str]) -> list[tuple[str, str, int, int]]:
    return [(speaker, text, 3000 * i, 3000 * i + 2800) for i, (speaker, text) in enumerate(lines)]


INBOUND = call(
    ("S1", "Thank you for calling Harbour Bikes, this is Jo, how can I help?"),
    ("S2", "Hi, I'm calling because my order hasn't come and I was told Tuesday."),
    ("S1", "I'm sorry to hear that. Could I have your order number, please?"),
    ("S2", "Yeah, it's nine four one."),
    ("S1", "Let me check that for you. Bear with me."),
)


def test_the_greeting_and_the_offer_of_help_make_the_agent() -> None:
    mapping = map_parties(INBOUND)
    assert mapping.parties == {"S1": "agent", "S2": "customer"}
    assert mapping.confidence > 0.9
    assert "S1" in mapping.reason and "S2" in mapping.reason


def test_words_outweigh_the_order_of_speaking() -> None:
    turned = [("S2" if s == "S1" else "S1", t, a, b) for s, t, a, b in INBOUND]
    hello = [("S1", "Hello?", 0, 400), *[(s, t, a + 1000, b + 1000) for s, t, a, b in turned]]
    assert map_parties(hello).parties == {"S1": "customer", "S2": "agent"}


def test_an_outbound_agent_speaks_second() -> None:
    mapping = map_parties(
        call(
            ("S1", "Hello?"),
            ("S2", "Good afternoon, am I speaking to Mr Osei? I'm Dana calling from Lakeside Insurance."),
            ("S1", "Yes, speaking."),
            ("S2", "I just wanted to ask if now is a good time. This call is recorded."),
        ),
        direction="outbound",
    )
    assert mapping.parties == {"S1": "customer", "S2": "agent"}


def test_without_any_clue_the_first_to_speak_answers_the_call_and_the_doubt_is_said() -> None:
    lines = call(("A", "Okay then."), ("B", "Right."), ("A", "So."), ("B", "Yes."))
    assert map_parties(lines, direction="inbound").parties == {"A": "agent", "B": "customer"}
    assert map_parties(lines, direction="outbound").parties == {"A": "customer", "B": "agent"}
    mapping = map_parties(lines)
    assert mapping.confidence < 0.75 and "order of speaking" in mapping.reason


def test_a_third_voice_joins_the_party_it_talks_like() -> None:
    mapping = map_parties(
        [
            *INBOUND,
            (
                "S3",
                "Hello, this is Sam from the workshop, I can see here that our engineer looked at it.",
                20_000,
                24_000,
            ),
            ("S4", "Mm.", 25_000, 25_300),
        ]
    )
    assert mapping.parties == {"S1": "agent", "S2": "customer", "S3": "agent", "S4": "unknown"}


def test_one_speaker_is_decided_by_words_or_not_at_all() -> None:
    agent = map_parties(call(("S1", "Thanks for calling Harbour Bikes. How can I help you today?")))
    assert agent.parties == {"S1": "agent"} and agent.confidence > 0.8
    customer = map_parties(call(("S1", "I'm calling about my bill, I was charged twice and I want a refund.")))
    assert customer.parties == {"S1": "customer"}
    neither = map_parties(call(("S1", "Well, yes, it rained all day.")))
    assert neither.parties == {"S1": "unknown"} and neither.confidence == 0.0


@pytest.mark.parametrize("turns", [[], call(("S1", "")), call(("S1", " ... "), ("S2", "?!"))])
def test_nothing_said_is_nobody_known(turns: list[tuple[str, str, int, int]]) -> None:
    mapping = map_parties(turns)
    assert set(mapping.parties.values()) <= {"unknown"} and mapping.confidence == 0.0 and mapping.reason


def test_a_mumbler_beside_a_talker_is_still_mapped() -> None:
    mapping = map_parties(call(("S1", "How can I help?"), ("S2", "")))
    assert mapping.parties == {"S1": "unknown", "S2": "unknown"} or mapping.parties["S1"] == "agent"


def test_a_habit_of_speech_counts_only_a_few_times() -> None:
    chatty = call(*[("S2", "I appreciate it, sir.")] * 30, ("S1", "How can I help? What's your account number?"))
    assert map_parties(chatty).parties["S1"] == "agent"


def test_the_answer_depends_on_nothing_but_the_turns() -> None:
    assert map_parties(INBOUND) == map_parties(list(INBOUND))


def test_words_with_speakers_map_like_turns() -> None:
    said = [
        (speaker, Word(word, start + 100 * i, start + 100 * i + 90, 0.9))
        for speaker, text, start, _ in INBOUND
        for i, word in enumerate(text.split())
    ]
    assert map_speakers(said) == map_parties(INBOUND)
