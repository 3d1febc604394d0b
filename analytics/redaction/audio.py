"""Hiding spans in sound: which stretches of which channels fall silent, and making them so at the same length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.redaction.kinds import ALWAYS_HIDDEN, RedactionError, Span

# Recognisers place a word's ends a fifth of a second beside the truth at times.
PADDING_MS = 250
FADE_MS = 8
LENGTH_TOLERANCE_MS = 1_000


class MuteRefused(RedactionError):
    """The recording must not be kept or played as it is, and what to mute is not known. The message says which span."""


@dataclass(frozen=True, slots=True)
class MutePlan:
    """What to mute in a recording of `duration_ms`: per channel, (start_ms, end_ms) in order and apart."""

    duration_ms: int
    channels: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def muted_ms(self) -> int:
        """How many milliseconds are muted on the channel on which most are."""
        return max((sum(end - start for start, end in channel) for channel in self.channels), default=0)


def mute_plan(
    spans: Iterable[Span],
    duration_ms: int,
    padding_ms: int = PADDING_MS,
    *,
    channels: int = 1,
    kinds: Iterable[str] = ALWAYS_HIDDEN,
) -> MutePlan:
    """Return the intervals to mute for the spans of `kinds` (card numbers and security codes always among them).

    A card's are muted on every channel, since the other line may carry an echo; others on their own channel, or on
    all where none is known. Raises MuteRefused where such a span has no times or lies outside of the recording, and
    RedactionError for a duration or padding below zero or no channel.
    """
    if duration_ms < 0 or padding_ms < 0 or channels < 1:
        raise RedactionError("a mute plan needs a duration and a padding of zero or more and at least one channel")
    wanted = ALWAYS_HIDDEN | set(kinds)
    raw: list[list[tuple[int, int]]] = [[] for _ in range(channels)]
    for span in spans:
        if span.kind not in wanted:
            continue
        start, end = _times(span, duration_ms)
        everywhere = span.kind in ALWAYS_HIDDEN or span.channel is None or not 0 <= span.channel < channels
        interval = (max(0, start - padding_ms), min(duration_ms, end + padding_ms))
        for channel in range(channels) if everywhere else (span.channel or 0,):
            raw[channel].append(interval)
    return MutePlan(duration_ms, tuple(_merged(intervals) for intervals in raw))


def _times(span: Span, duration_ms: int) -> tuple[int, int]:
    place = f"a {span.kind} in turn {span.turn}, words {span.first_word} to {span.end_word - 1},"
    if span.start_ms is None or span.end_ms is None:
        raise MuteRefused(f"{place} has no times, so the recording cannot be muted there and must stay closed")
    if not 0 <= span.start_ms <= span.end_ms or span.start_ms > duration_ms:
        raise MuteRefused(f"{place} lies outside of the recording of {duration_ms} ms, which must stay closed")
    return span.start_ms, span.end_ms


def _merged(intervals: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif end > start:
            out.append((start, end))
    return tuple(out)


def mute(samples: npt.NDArray[np.float32], plan: MutePlan, sample_rate: int = 16_000) -> npt.NDArray[np.float32]:
    """Return a copy of `samples`, float32 [channels, samples], that is exactly zero in the plan's intervals.

    Outside of them sound fades over FADE_MS, so that nothing clicks. Raises RedactionError where the array is not of
    that shape and kind, has another number of channels than the plan, or is more than a second longer or shorter.
    """
    if samples.ndim != 2 or samples.dtype != np.float32:
        raise RedactionError("muting needs float32 samples of shape [channels, samples]")
    if sample_rate <= 0:
        raise RedactionError("muting needs a sample rate above zero")
    if samples.shape[0] != len(plan.channels):
        raise RedactionError(f"the recording has {samples.shape[0]} channels and the plan {len(plan.channels)}")
    length = samples.shape[1]
    if abs(length * 1000 / sample_rate - plan.duration_ms) > LENGTH_TOLERANCE_MS:
        raise RedactionError(
            f"the recording is {length * 1000 // sample_rate} ms long and the plan is for {plan.duration_ms} ms"
        )
    out = samples.copy()
    fade = max(1, sample_rate * FADE_MS // 1000)
    ramp = np.linspace(1.0, 0.0, fade, endpoint=False, dtype=np.float32)
    for channel, intervals in zip(out, plan.channels, strict=True):
        for start_ms, end_ms in intervals:
            start = min(length, start_ms * sample_rate // 1000)
            end = min(length, -(-end_ms * sample_rate // 1000))
            if end_ms >= plan.duration_ms:
                end = length
            before, after = min(fade, start), min(fade, length - end)
            channel[start - before : start] *= ramp[fade - before :]
            channel[start:end] = 0.0
            channel[end : end + after] *= ramp[::-1][:after]
    return out
