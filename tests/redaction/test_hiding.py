"""Hiding what was found: in texts, in transcripts, and in sound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analytics.redaction import (
    ALWAYS_HIDDEN,
    CARDS_ONLY,
    LEVELS,
    Level,
    MuteRefused,
    RedactionError,
    Span,
    find,
    mute,
    mute_plan,
    redact_document,
    redact_text,
    scrub,
)
from tests.nlu.calls import call

TEXT = "My name is Martin Doyle and the card is 4242 4242 4242 4242"


def span(kind: str = "card_number", **changes: Any) -> Span:
    plain = Span(kind, 0, 0, 1, 0, 4, 1_000, 2_000, 0, "a rule", 0.9)
    return replace(plain, **changes)


@pytest.mark.parametrize("level", [*LEVELS, Level("mine", frozenset()), (), ["email"]])
def test_a_card_number_is_hidden_at_every_level(level: Any) -> None:
    assert "4242" not in scrub(TEXT, level)


def test_a_level_shows_the_kinds_that_it_does_not_hide() -> None:
    assert scrub(TEXT, "strict") == "My name is [name] and the card is [card-number]"
    assert scrub(TEXT, "cards_only") == "My name is Martin Doyle and the card is [card-number]"


@pytest.mark.parametrize("level", ["nobody", ["shoe size"]])
def test_an_unknown_level_or_kind_is_refused(level: Any) -> None:
    with pytest.raises(RedactionError):
        scrub("hello", level)


def test_nothing_and_none_scrub_to_an_empty_text() -> None:
    assert scrub(None) == scrub("") == ""


def test_a_scrubbed_text_scrubs_to_itself() -> None:
    once = scrub(TEXT)
    assert scrub(once) == once


def test_overlapping_spans_give_one_placeholder_of_the_gravest_kind() -> None:
    spans = [span("name", start=0, end=8), span("card_number", start=4, end=12)]
    assert redact_text("abcd efgh ijk rest", spans) == "[card-number]k rest"


def test_spans_of_another_text_are_refused_without_quoting_it() -> None:
    with pytest.raises(RedactionError, match="does not lie in a text of 5") as error:
        redact_text("short", [span(end=99)])
    assert "short" not in str(error.value)


def test_a_redacted_transcript_keeps_its_words_in_place_and_leaves_the_given_one_alone() -> None:
    document = call(("agent", "Your card number?"), ("customer", "It's 4242 4242 4242 4242 okay"))
    out = redact_document(document, find(document))
    assert [w["text"] for w in out["turns"][1]["words"]] == ["It's", "[card-number]", "", "", "", "okay"]
    assert out["turns"][1]["text"] == "It's [card-number] okay"
    assert out["turns"][1]["words"][2]["start_ms"] == document["turns"][1]["words"][2]["start_ms"]
    assert document["turns"][1]["words"][1]["text"] == "4242"


def test_a_stale_text_beside_the_words_does_not_survive_redaction() -> None:
    document = call(("customer", "It's 4242 4242 4242 4242"))
    document["turns"][0]["text"] = "four two, typed otherwise"
    assert redact_document(document, find(document))["turns"][0]["text"] == "It's [card-number]"


def test_a_transcript_without_words_is_redacted_by_its_text() -> None:
    document = {"turns": [{"index": 5, "text": "it is 4242 4242 4242 4242."}]}
    assert redact_document(document, find(document))["turns"][0]["text"] == "it is [card-number]."


def test_spans_of_turns_or_words_that_are_not_there_are_refused() -> None:
    document = call(("customer", "hello there"))
    with pytest.raises(RedactionError, match="turns"):
        redact_document(document, [span(turn=7)])
    with pytest.raises(RedactionError, match="words"):
        redact_document(document, [span(end_word=9)])


def test_intervals_are_padded_merged_and_kept_within_the_recording() -> None:
    spans = [span(start_ms=100, end_ms=900), span(start_ms=1_200, end_ms=1_500), span(start_ms=4_900, end_ms=5_000)]
    assert mute_plan(spans, 5_000, 200).channels == (((0, 1_700), (4_700, 5_000)),)


def test_a_card_is_muted_on_every_channel_and_a_name_on_its_own() -> None:
    spans = [span(channel=1), span("name", channel=1, start_ms=3_000, end_ms=3_500)]
    plan = mute_plan(spans, 5_000, 0, channels=2, kinds=["name"])
    assert plan.channels == (((1_000, 2_000),), ((1_000, 2_000), (3_000, 3_500)))
    assert plan.muted_ms == 1_500


def test_kinds_that_nobody_wants_muted_are_left_audible() -> None:
    assert mute_plan([span("name", start_ms=None, end_ms=None)], 5_000).channels == ((),)


@pytest.mark.parametrize("kind", sorted(ALWAYS_HIDDEN))
@pytest.mark.parametrize("times", [(None, None), (None, 5), (5, None), (9_000, 9_500), (800, 100), (-5, 100)])
def test_a_card_whose_place_is_not_known_closes_the_recording(kind: str, times: tuple[int | None, int | None]) -> None:
    with pytest.raises(MuteRefused, match=f"{kind} in turn 0"):
        mute_plan([span(kind, start_ms=times[0], end_ms=times[1])], 5_000)


def test_a_card_found_in_words_without_times_closes_the_recording() -> None:
    with pytest.raises(MuteRefused, match="no times"):
        mute_plan(find({"turns": [{"index": 0, "text": "4242 4242 4242 4242"}]}), 5_000)


@pytest.mark.parametrize(("duration", "padding", "channels"), [(-1, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_a_senseless_plan_is_refused(duration: int, padding: int, channels: int) -> None:
    with pytest.raises(RedactionError):
        mute_plan([], duration, padding, channels=channels)


def test_muting_keeps_the_length_silences_the_interval_and_touches_nothing_else() -> None:
    samples = np.ones((2, 16_000 * 5), np.float32)
    out = mute(samples, mute_plan([span("name", channel=1)], 5_000, 250, channels=2, kinds=["name"]))
    assert out.shape == samples.shape and out.dtype == np.float32
    assert not out[1, 12_000:36_000].any()
    assert (out[0] == 1).all() and (out[1, :11_800] == 1).all() and (out[1, 36_200:] == 1).all()
    assert (samples == 1).all()


def test_sound_fades_in_and_out_so_that_nothing_clicks() -> None:
    out = mute(np.ones((1, 80_000), np.float32), mute_plan([span()], 5_000, 0))
    assert float(np.abs(np.diff(out[0])).max()) < 0.02


def test_a_mute_up_to_the_end_reaches_the_last_sample() -> None:
    out = mute(np.ones((1, 80_100), np.float32), mute_plan([span(end_ms=5_000)], 5_000))
    assert not out[0, 20_000:].any()


@pytest.mark.parametrize(
    "samples",
    [
        np.ones(80_000, np.float32),
        np.ones((1, 80_000), np.int16),
        np.ones((2, 80_000), np.float32),
        np.ones((1, 8_000), np.float32),
    ],
)
def test_sound_that_does_not_fit_the_plan_is_refused(samples: Any) -> None:
    with pytest.raises(RedactionError):
        mute(samples, mute_plan([span()], 5_000))


def test_an_empty_plan_changes_nothing_and_empty_sound_stays_empty() -> None:
    assert mute(np.zeros((1, 0), np.float32), mute_plan([], 0)).shape == (1, 0)
    assert CARDS_ONLY.hides == ALWAYS_HIDDEN
