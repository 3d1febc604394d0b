"""When generated calls come: a trend over the year, a season, weekdays, hours of the day, and a few bad days."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
    # Of today only the hours that have passed: a call from the future, or from the dead of night, gives it away.
    so_far = _hours_until(now.astimezone(zone).time())
    weights[-1] *= sum(so_far) / sum(HOUR)
    total = sum(weights)
    edges, run = [0], 0.0
    for weight in weights:
        run += weight
        edges.append(round(count * run / total))
    for number, (first, last) in enumerate(pairwise(edges)):
        midnight = datetime.combine(dates[number], time.min)
        hours = so_far if number == days - 1 else HOUR
        for second in sorted(_second(rng, hours) for _ in range(last - first)):
            moment = (midnight + timedelta(seconds=second)).replace(tzinfo=zone)
            yield min(moment, now), number / days, number in surges


def _weight(day: date, place: float, rng: Random) -> float:
    season = 1 + 0.18 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 15) / 365)
    return WEEKDAY[day.weekday()] * season * (1 + 0.2 * place) * max(0.5, rng.gauss(1.0, 0.07))


def _second(rng: Random, hours: Sequence[float]) -> float:
    hour = rng.choices(range(len(hours)), hours)[0]
    return hour * 3600 + rng.random() * 3600


def _hours_until(moment: time) -> list[float]:
    """Return the weights of the hours that begin before this time of day, the last one in proportion."""
    part = (moment.minute * 60 + moment.second) / 3600
    return [*HOUR[: moment.hour], HOUR[moment.hour] * part]
