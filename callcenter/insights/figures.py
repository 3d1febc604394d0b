"""How good the rules are and how long people wait: precision with its interval, times to the first answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, Q
from django.utils import timezone

from callcenter.accounts.models import Team, User
from callcenter.insights.models import Alert
from callcenter.review.estimate import wilson

RECENT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % Wilson interval; `share` is None where nothing was judged yet."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float:
        return wilson(self.hits / self.of, self.of)[0] if self.of else 0.0

    @property
    def high(self) -> float:
        return wilson(self.hits / self.of, self.of)[1] if self.of else 1.0


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """What became of a rule's alerts, as far as this reader may see them."""

    recent: int = 0
    open: int = 0
    precision: Share = Share(0, 0)


CONFIRMED = Q(status=Alert.Status.ACKNOWLEDGED) | Q(
    status=Alert.Status.DISMISSED, dismiss_kind__in=[Alert.DismissKind.HANDLED, Alert.DismissKind.IRRELEVANT]
)
WRONG = Q(status=Alert.Status.DISMISSED, dismiss_kind=Alert.DismissKind.WRONG)


def by_rule(user: User) -> dict[str, RuleFigures]:
    """Return the figures of every rule that has raised an alert in a call of this user.

    Confirmed is what was acknowledged or set aside as true; duplicates and test calls say nothing about the rule.
    """
    since = timezone.now() - RECENT
    rows = (
        Alert.objects.visible_to(user)
        .order_by()
        .values("rule_key")
        .annotate(
            recent=Count("pk", filter=Q(call__started_at__gte=since)),
            open=Count("pk", filter=Q(status=Alert.Status.OPEN)),
            confirmed=Count("pk", filter=CONFIRMED),
            wrong=Count("pk", filter=WRONG),
        )
    )
    return {
        row["rule_key"]: RuleFigures(
            row["recent"], row["open"], Share(row["confirmed"], row["confirmed"] + row["wrong"])
        )
        for row in rows
    }


class Percentile(Aggregate):
    """A percentile of times, as PostgreSQL computes it."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(percentile)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()

    def __init__(self, expression: Any, percentile: float, **extra: Any) -> None:
        super().__init__(expression, percentile=float(percentile), **extra)


@dataclass(frozen=True, slots=True)
class Answer:
    """How long alerts of one team waited for the first acknowledgement or dismissal; and what still waits."""

    team: str
    handled: int
    median: timedelta | None
    p90: timedelta | None
    waiting: int
    oldest: timedelta | None


def time_to_acknowledge(user: User, *, days: int = 30) -> list[Answer]:
    """Return, per visible team with alerts in these days, median and 90th percentile of the time to a first answer."""
    now = timezone.now()
    alerts = Alert.objects.visible_to(user).filter(created_at__gte=now - timedelta(days=days)).order_by()
    waited = ExpressionWrapper(F("first_handled_at") - F("created_at"), output_field=DurationField())
    handled: dict[Any, Any] = {
        row["call__team"]: row
        for row in alerts.filter(first_handled_at__isnull=False)
        .values("call__team")
        .annotate(n=Count("pk"), median=Percentile(waited, 0.5), p90=Percentile(waited, 0.9))
    }
    waiting: dict[Any, Any] = {
        row["call__team"]: row
        for row in alerts.filter(status=Alert.Status.OPEN, first_handled_at__isnull=True)
        .values("call__team")
        .annotate(n=Count("pk"), oldest=Percentile(ExpressionWrapper(now - F("created_at"), DurationField()), 1.0))
    }
    names = Team.objects.in_bulk(list(handled.keys() | waiting.keys()))
    out = [
        Answer(
            team=names[pk].name,
            handled=handled.get(pk, {}).get("n", 0),
            median=handled.get(pk, {}).get("median"),
            p90=handled.get(pk, {}).get("p90"),
            waiting=waiting.get(pk, {}).get("n", 0),
            oldest=waiting.get(pk, {}).get("oldest"),
        )
        for pk in names
    ]
    return sorted(out, key=lambda row: row.team)
