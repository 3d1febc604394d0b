"""Hours, days, weeks and months on a local clock, without gaps, right on the days that have 23 or 25
hours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Literal
from zoneinfo import ZoneInfo

Bucket = Literal["hour", "day", "week", "month"]
BUCKETS: tuple[Bucket, ...] = ("hour", "day", "week", "month")
MAX_FILLED = 5000
"""More buckets than this are not filled up: nobody can look at them, and the empty ones are left out."""


def check(bucket: str) -> None:
    """Raise ValueError unless this is a bucket."""
    if bucket not in BUCKETS:
        raise ValueError(f"a bucket is one of {', '.join(BUCKETS)}, not {bucket!r}")


def floor(moment: dt.datetime, bucket: Bucket, where: ZoneInfo) -> dt.datetime:
    """Return the start of the bucket that this moment lies in, in that zone."""
    if bucket == "hour":
        local = moment.astimezone(where)
        past = dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (moment.astimezone(dt.UTC) - past).astimezone(where)
    day = moment.astimezone(where).date()
    if bucket == "week":
        day -= dt.timedelta(days=day.weekday())
    elif bucket == "month":
        day = day.replace(day=1)
    return _midnight(day, where)


def following(start: dt.datetime, bucket: Bucket, where: ZoneInfo) -> dt.datetime:
    """Return the start of the bucket after the one that starts here."""
    if bucket == "hour":
        return (start.astimezone(dt.UTC) + dt.timedelta(hours=1)).astimezone(where)
    day = start.astimezone(where).date()
    if bucket == "day":
        day += dt.timedelta(days=1)
    elif bucket == "week":
        day += dt.timedelta(days=7)
    else:
        day = (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return _midnight(day, where)


def filled(
    found: Iterable[dt.datetime],
    bucket: Bucket,
    where: ZoneInfo,
    start: dt.datetime | None,
    end: dt.datetime | None,
) -> list[dt.datetime]:
    """Return every bucket start from `start` (else the first found) to `end` (else the last found), in order,
    as UTC.

    `end` is exclusive. With more than MAX_FILLED buckets only those found are returned.
    """
    known = {moment.astimezone(dt.UTC) for moment in found}
    first = start if start is not None else min(known, default=None)
    last = end - dt.timedelta(microseconds=1) if end is not None else max(known, default=None)
    if first is None or last is None or last < first:
        return sorted(known)
    grid: set[dt.datetime] = set()
    for moment in _steps(floor(first, bucket, where), last, bucket, where):
        if len(grid) >= MAX_FILLED:
            return sorted(known)
        grid.add(moment.astimezone(dt.UTC))
    return sorted(grid | known)


def _steps(moment: dt.datetime, last: dt.datetime, bucket: Bucket, where: ZoneInfo) -> Iterator[dt.datetime]:
    while moment.astimezone(dt.UTC) <= last.astimezone(dt.UTC):
        yield moment
        moment = following(moment, bucket, where)


def _midnight(day: dt.date, where: ZoneInfo) -> dt.datetime:
    # Through UTC, because a day whose clocks go forward at midnight starts at one o'clock.
    return dt.datetime(day.year, day.month, day.day, tzinfo=where).astimezone(dt.UTC).astimezone(where)
