"""When generated calls come: a trend over the year, a season, weekdays, hours of the day, and a few bad days."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

WEEKDAY = (1.25, 1.12, 1.02, 1.0, 0.96, 0.34, 0.14)
HOUR = (0, 0, 0, 0, 0, 0, 0.05, 0.3, 1.1, 1.7, 1.9, 1.7, 1.1, 1.2, 1.6, 1.55, 1.3, 1.0, 0.6, 0.35, 0.12, 0, 0, 0)
SURGES = 4
SURGE_FACTOR = 1.7


def moments(
    *, count: int, days: int, now: datetime, zone: ZoneInfo, rng: Random
) -> Iterator[tuple[datetime, float, bool]]:
    """Yield `count` starts until now, each with its place in the period (0..1) and whether the day is a surge."""
    until = now.astimezone(zone).date()
    dates = [until - timedelta(days=days - 1 - number) for number in range(days)]
    surges = set(rng.sample(range(days), min(SURGES, days)))
    weights = [_weight(day, number / days, rng) * (SURGE_FACTOR if number in surges else 1.0)
               for number, day in enumerate(dates)]  # fmt: skip
    total = sum(weights)
    edges, run = [0], 0.0
    for weight in weights:
        run += weight
        edges.append(round(count * run / total))
    for number, (first, last) in enumerate(pairwise(edges)):
        midnight = datetime.combine(dates[number], time.min)
        for second in sorted(_second(rng) for _ in range(last - first)):
            moment = (midnight + timedelta(seconds=second)).replace(tzinfo=zone)
            if moment > now:
                moment = now - timedelta(seconds=60 + rng.random() * 10_000)
            yield moment, number / days, number in surges


def _weight(day: date, place: float, rng: Random) -> float:
    season = 1 + 0.18 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 15) / 365)
    return WEEKDAY[day.weekday()] * season * (1 + 0.2 * place) * max(0.5, rng.gauss(1.0, 0.07))


def _second(rng: Random) -> float:
    hour = rng.choices(range(24), HOUR)[0]
    return hour * 3600 + rng.random() * 3600
