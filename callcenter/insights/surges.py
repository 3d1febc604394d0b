"""Rates that leave their usual band: negative calls, an intent, an alert category, by team and hour.

An hour is compared with the same hour of the week in the eight weeks before. With K of N calls in those, the count of
an hour with n calls follows a beta-binomial distribution (the binomial whose rate is known only as well as K of N tells
it), so little history makes a wide band by itself. It is a surge when so many or more would come by chance less than
once in ten thousand hours, the rate is at least twice the usual one, and there are calls enough to speak of.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from analytics.warehouse.measures import NEGATIVE_AT_MOST
from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.insights import events
from callcenter.insights.models import Alert, Insight, Surge

WEEKS, MIN_WEEKS = 8, 4
MIN_CALLS, MIN_COUNT, MIN_HISTORY = 8, 5, 30
CHANCE, TIMES = 1e-4, 2.0
#: Recordings come late; an hour is looked at again until it is this old.
LOOK_BACK = 6
Kind = Surge.Kind


@dataclass(frozen=True, slots=True)
class Rate:
    """One team's share in one hour: `count` of `calls`."""

    team: int
    kind: str
    key: str
    count: int
    calls: int


def tail(count: int, calls: int, before: int, of: int) -> float:
    """Return the chance of `count` or more in `calls`, when `of` calls before had `before` (beta-binomial)."""
    return math.fsum(_mass(k, calls, before, of) for k in range(count, calls + 1))


def upper(calls: int, before: int, of: int, chance: float = CHANCE) -> int:
    """Return the end of the usual band: the highest count that is no surprise."""
    above = 0.0
    for k in range(calls, -1, -1):
        above += _mass(k, calls, before, of)
        if above >= chance:
            return k
    return 0


def find(*, now: datetime | None = None) -> list[Surge]:
    """Look at the last full hours of every team; store what is new, tell of it after the commit, and return it."""
    end = (now or timezone.now()).replace(minute=0, second=0, microsecond=0)
    made: list[Surge] = []
    for back in range(1, LOOK_BACK + 1):
        made += _hour(end - timedelta(hours=back))
    if made:
        ids = [surge.pk for surge in made]
        transaction.on_commit(lambda: events.on_surges_raised(ids), robust=True)
    return made


def acknowledge(*, surge: Surge, by: User) -> Surge:
    """Say that somebody has looked at it."""
    with transaction.atomic():
        changed = Surge.objects.filter(pk=surge.pk, acknowledged_at=None).update(
            acknowledged_by=by, acknowledged_at=timezone.now()
        )
        if changed:
            audit.record("surge.acknowledged", surge, user=by)
    surge.refresh_from_db()
    return surge


def _hour(at: datetime) -> list[Surge]:
    hours = [at - timedelta(weeks=week) for week in range(1, WEEKS + 1)]
    rates = list(_rates(at))
    if not any(rate.calls >= MIN_CALLS and rate.count >= MIN_COUNT for rate in rates):
        return []
    counts: Counter[tuple[int, str, str]] = Counter()
    calls: Counter[int] = Counter()
    weeks: dict[int, int] = defaultdict(int)
    for hour in hours:
        seen: dict[int, int] = {}
        for rate in _rates(hour):
            counts[rate.team, rate.kind, rate.key] += rate.count
            seen[rate.team] = rate.calls
        for team, total in seen.items():
            calls[team] += total
            weeks[team] += 1
    made = []
    for rate in rates:
        before, of = counts[rate.team, rate.kind, rate.key], calls[rate.team]
        if rate.calls < MIN_CALLS or rate.count < MIN_COUNT or weeks[rate.team] < MIN_WEEKS or of < MIN_HISTORY:
            continue
        usual = before / of
        chance = tail(rate.count, rate.calls, before, of)
        if chance >= CHANCE or rate.count / rate.calls < TIMES * usual:
            continue
        surge, new = Surge.objects.get_or_create(
            team_id=rate.team,
            kind=rate.kind,
            key=rate.key,
            hour_at=at,
            defaults={
                "count": rate.count,
                "calls": rate.calls,
                "expected": usual * rate.calls,
                "upper": upper(rate.calls, before, of),
                "probability": chance,
                "weeks": weeks[rate.team],
            },
        )
        if new:
            made.append(surge)
    return made


def _rates(hour: datetime) -> Iterator[Rate]:
    """Yield the shares of an hour; every team with calls has at least its negative rate."""
    within: dict[str, Any] = {"call__started_at__gte": hour, "call__started_at__lt": hour + timedelta(hours=1)}
    insights = Insight.objects.filter(**within).order_by()
    totals = dict(insights.values_list("call__team").annotate(n=Count("pk")))
    negative = dict(insights.filter(sentiment__lte=NEGATIVE_AT_MOST).values_list("call__team").annotate(n=Count("pk")))
    for team, total in totals.items():
        yield Rate(team, Kind.NEGATIVE, "", negative.get(team, 0), total)
    intents = insights.exclude(intent="unknown").values_list("call__team", "intent").annotate(n=Count("pk"))
    for team, intent, count in intents:
        yield Rate(team, Kind.INTENT, intent, count, totals[team])
    alerts = (
        Alert.objects.filter(**within)
        .exclude(dismiss_kind=Alert.DismissKind.WRONG)
        .order_by()
        .values_list("call__team", "category")
        .annotate(n=Count("call", distinct=True))
    )
    for team, category, count in alerts:
        if team in totals:
            yield Rate(team, Kind.ALERT, category, min(count, totals[team]), totals[team])


def _mass(k: int, n: int, before: int, of: int) -> float:
    a, b = before + 0.5, of - before + 0.5
    log = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + _beta(k + a, n - k + b) - _beta(a, b)
    )  # fmt: skip
    return math.exp(log)


def _beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
