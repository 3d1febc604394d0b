"""Talk metrics from word times."""

from __future__ import annotations

from typing import Any

from analytics.nlu.metrics import talk_metrics
from analytics.nlu.text import read
from tests.nlu.calls import timed


def figures(*turns: tuple[str, int, int, str], duration_ms: int) -> dict[str, Any]:
    return talk_metrics(read(timed(*turns, duration_ms=duration_ms)))


def test_an_empty_call_has_no_ratios_and_is_all_silence() -> None:
    found = talk_metrics(read({"turns": [], "duration_ms": 8000}))
    assert found["silence_ms"] == 8000 and found["silence_ratio"] == 1.0
    assert found["talk_ratio_agent"] is None and found["wpm_agent"] is None and found["mean_word_probability"] is None
    assert found["words"] == found["turns"] == found["hold_ms"] == 0


def test_a_call_of_no_length_has_no_silence_ratio() -> None:
    assert talk_metrics(read({"turns": [], "duration_ms": 0}))["silence_ratio"] is None


def test_one_silent_party_gets_no_rate_and_the_other_all_the_talk() -> None:
    found = figures(("agent", 0, 4000, "hello is anybody there on the line"), duration_ms=10_000)
    assert found["talk_ratio_agent"] == 1.0
    assert found["wpm_customer"] is None and found["response_latency_customer_ms"] is None
    assert found["longest_monologue_agent_ms"] == 4000


def test_talk_silence_and_overtalk_add_up() -> None:
    found = figures(
        ("agent", 1000, 5000, "one two three four"),
        ("customer", 4000, 8000, "five six seven eight"),
        duration_ms=10_000,
    )
    assert found["agent_talk_ms"] == found["customer_talk_ms"] == 4000
    assert found["overtalk_ms"] == 1000
    assert found["silence_ms"] == 10_000 - 7000
    assert found["wpm_agent"] == 60.0 and found["talk_ratio_agent"] == 0.5


def test_taking_the_floor_in_mid_speech_is_an_interruption() -> None:
    found = figures(
        ("agent", 0, 5000, "so what i would suggest in your case is this"),
        ("customer", 4000, 9000, "no that will not work for me at all"),
        duration_ms=10_000,
    )
    assert (found["interruptions_customer"], found["interruptions_agent"]) == (1, 0)


def test_a_back_channel_interrupts_nobody() -> None:
    found = figures(
        ("agent", 0, 5000, "so what i would suggest in your case is this"),
        ("customer", 4500, 5300, "mhm okay"),
        duration_ms=10_000,
    )
    assert found["interruptions_customer"] == 0


def test_an_overlap_that_does_not_win_the_floor_is_no_interruption() -> None:
    found = figures(
        ("agent", 0, 9000, "so what i would suggest in your case is this and nothing else than this"),
        ("customer", 3000, 4000, "but i wanted"),
        duration_ms=10_000,
    )
    assert found["interruptions_customer"] == 0 and found["overtalk_ms"] == 1000


def test_the_end_of_a_turn_foreseen_is_no_interruption() -> None:
    found = figures(
        ("agent", 0, 5000, "so what i would suggest in your case is this"),
        ("customer", 4800, 8000, "no that will not work for me"),
        duration_ms=10_000,
    )
    assert found["interruptions_customer"] == 0


def test_a_long_silence_between_speech_is_a_hold_and_one_at_the_end_is_not() -> None:
    found = figures(
        ("agent", 0, 2000, "the first part is done"),
        ("customer", 20_000, 22_000, "are you still there"),
        duration_ms=60_000,
    )
    assert found["holds"] == [{"start_ms": 2000, "end_ms": 20_000}]
    assert found["hold_ms"] == 18_000
    assert found["longest_silence_start_ms"] == 22_000


def test_a_short_silence_after_bear_with_me_is_a_hold() -> None:
    said = figures(
        ("agent", 0, 2000, "just bear with me please"),
        ("agent", 9000, 11_000, "thank you for waiting"),
        duration_ms=12_000,
    )
    unsaid = figures(
        ("agent", 0, 2000, "that is it then"), ("agent", 9000, 11_000, "thank you for waiting"), duration_ms=12_000
    )
    assert said["hold_ms"] == 7000 and unsaid["hold_ms"] == 0


def test_response_latency_is_the_median_pause_and_leaves_holds_out() -> None:
    found = figures(
        ("customer", 0, 1000, "what is my balance"),
        ("agent", 1600, 3000, "i will look that up"),
        ("customer", 3200, 4000, "thank you very much"),
        ("agent", 5000, 6000, "it is twelve pounds"),
        ("customer", 26_000, 27_000, "okay that is good"),
        duration_ms=28_000,
    )
    assert found["response_latency_agent_ms"] == 800
    assert found["response_latency_customer_ms"] == 200


def test_a_monologue_survives_back_channels_and_ends_with_an_answer() -> None:
    found = figures(
        ("agent", 0, 4000, "now let us go through all of the terms"),
        ("customer", 4100, 4400, "mhm"),
        ("agent", 4500, 9000, "the second part is about your deposit"),
        ("customer", 9500, 11_000, "i have a question about that"),
        ("agent", 11_500, 13_000, "go ahead with your question"),
        duration_ms=14_000,
    )
    assert found["longest_monologue_agent_ms"] == 9000


def test_music_marks_are_not_speech() -> None:
    found = figures(("agent", 0, 10_000, "[Music] ♪ hello there"), duration_ms=10_000)
    assert found["words"] == 2 and found["agent_talk_ms"] == 5000


def test_turns_without_words_still_count_by_their_text() -> None:
    turn = {"index": 0, "party": "agent", "start_ms": 0, "end_ms": 2000, "words": [], "text": "good morning to you"}
    found = talk_metrics(read({"turns": [turn], "duration_ms": 2000}))
    assert found["words"] == 4 and found["agent_talk_ms"] == 2000
