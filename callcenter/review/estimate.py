"""How many words are wrong, how sure that is, and when correcting stops paying. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Z95 = 1.959964
#: Looking at a segment takes this long besides listening to it twice.
SECONDS_EACH = 8.0
#: Correcting stops paying when the next segments promise less than this share of what correcting has brought so far.
STOP_SHARE = 0.25
#: Fewer reviewed segments than this prove nothing about what pays.
ENOUGH_SEGMENTS = 20


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """An estimated word error rate with its 95 % interval, all shares 0..1 (errors may exceed words: cut at 1)."""

    rate: float
    low: float
    high: float
    words: int
    wrong: int
    segments: int
    calls: int


def error_rate(sampled: Iterable[tuple[str, int, int]]) -> ErrorRate | None:
    """Return the error rate of (call, words, wrong words) of spot-checked segments, or None without any word.

    The interval is Wilson's score interval with the number of words divided by the design effect: words of one call
    are wrong together, so they count for less than as many words of different calls. The design effect is the
    variance of the ratio estimator over calls, divided by the one of independent words (Kish 1965); with errors in
    fewer than two calls it cannot be told and is taken as the mean number of words of a call, which is the worst case.
    """
    by_call: dict[str, tuple[int, int]] = {}
    segments = 0
    for call, words, wrong in sampled:
        old = by_call.get(call, (0, 0))
        by_call[call] = (old[0] + words, old[1] + min(words, wrong) if words else old[1])
        segments += 1
    words = sum(w for w, _ in by_call.values())
    wrong = sum(e for _, e in by_call.values())
    if not words:
        return None
    rate = wrong / words
    low, high = wilson(rate, words / _design_effect(list(by_call.values()), rate))
    return ErrorRate(rate, low, high, words, wrong, segments, len(by_call))


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a share seen in `count` trials (may be fractional)."""
    if count <= 0:
        return 0.0, 1.0
    z2 = Z95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _design_effect(calls: Sequence[tuple[int, int]], rate: float) -> float:
    words = sum(w for w, _ in calls)
    count = len(calls)
    worst = words / count
    if count < 2 or sum(e > 0 for _, e in calls) < 2 or not 0 < rate < 1:
        return max(1.0, worst if count < 2 or rate > 0 else 1.0)
    between = sum((e - rate * w) ** 2 for w, e in calls) * count / (count - 1) / words**2
    return max(1.0, between / (rate * (1 - rate) / words))


@dataclass(frozen=True, slots=True)
class Worth:
    """Whether going on pays: wrong words found for each minute so far, and promised by the next segments."""

    found_per_minute: float
    promised_per_minute: float
    calibration: float
    pays: bool
    known: bool


def worth(done: Sequence[tuple[float, int, int]], following: Sequence[tuple[float, int]]) -> Worth:
    """Compare the next segments with those done. `done` holds (expected, wrong, ms), `following` (expected, ms).

    The expectation is scaled by what it has proved to be worth so far: wrong words found for each one expected
    (between a quarter and four, and one while little is known). A segment is taken to cost twice its length to listen
    to, and eight seconds. Going on pays while the next segments promise, for each minute of work, at least a quarter
    of the wrong words that correcting has found for each minute so far.
    """
    known = len(done) >= ENOUGH_SEGMENTS
    expected, wrong = sum(e for e, _, _ in done), sum(w for _, w, _ in done)
    calibration = min(4.0, max(0.25, wrong / expected)) if known and expected > 0 else 1.0
    found = wrong / minutes([ms for _, _, ms in done]) if done else 0.0
    promised = calibration * sum(e for e, _ in following) / minutes([ms for _, ms in following]) if following else 0.0
    pays = bool(following) and (not known or promised >= STOP_SHARE * found)
    return Worth(found, promised, calibration, pays, known)


def minutes(lengths_ms: Sequence[int]) -> float:
    """Return the minutes of work that segments of these lengths take."""
    return max(1e-9, sum(2 * ms / 1000 + SECONDS_EACH for ms in lengths_ms) / 60)
