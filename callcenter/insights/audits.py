"""What the rules miss: calls without alerts, drawn at random, listened to by a person, and the recall that follows.

Of N calls without an alert a random n are heard; m of them should have had one. Then about N * m / n calls were missed,
and recall is found / (found + missed), by calls. Its interval is Wilson's for m / n, carried through. Nothing else in
the house measures this: an alert that was not raised is on no page.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, CallQuerySet
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights.models import RESTRICTED, Alert, AuditItem, AuditSample, Category
from callcenter.review.estimate import wilson

MAX_SAMPLE = 200
Verdict = AuditItem.Verdict


def draw(*, by: User, size: int, since: datetime, until: datetime, team: Team | None = None) -> AuditSample:
    """Draw calls without alerts at random from those that this user may see. Raises CallcenterError for none."""
    if not 1 <= size <= MAX_SAMPLE:
        raise CallcenterError(
            gettext("A sample has 1 to {max_sample} calls.").format(max_sample=MAX_SAMPLE), code="bad_size"
        )
    if since >= until:
        raise CallcenterError(gettext("The period ends before it starts."), code="bad_period")
    calls = Call.objects.visible_to(by).filter(insight__isnull=False, started_at__gte=since, started_at__lt=until)
    if team is not None:
        calls = calls.filter(team=team)
    alerts = Alert.objects.filter(call=OuterRef("pk"))
    quiet = calls.filter(~Exists(alerts))
    heard = quiet.exclude(pk__in=AuditItem.objects.exclude(verdict="").values("call"))
    found = list(heard.order_by("?").values_list("pk", flat=True)[:size])
    if not found:
        raise CallcenterError(
            gettext("There is no call without alerts in this period that nobody has heard yet."), code="none"
        )
    with transaction.atomic():
        sample = AuditSample.objects.create(
            team=team, since=since, until=until, population=quiet.count(), alerted=_alerted(calls), created_by=by
        )
        AuditItem.objects.bulk_create(AuditItem(sample=sample, call_id=pk) for pk in found)
        audit.record("alert.audit_draw", sample, user=by, calls=len(found))
    return sample


def judge(*, item: AuditItem, by: User, verdict: str, categories: Collection[str] = (), note: str = "") -> AuditItem:
    """Keep what a reviewer found in a call. Raises CallcenterError for a miss without its category."""
    known = [c for c in Category.values if c in set(categories)]
    if verdict not in Verdict.values:
        raise CallcenterError(gettext("Choose what you found."), code="no_verdict")
    if verdict == Verdict.MISSED and not known:
        raise CallcenterError(gettext("Say which category was missed."), code="no_category")
    with transaction.atomic():
        item.verdict = verdict
        item.categories = known if verdict == Verdict.MISSED else []
        item.note = note.replace("\x00", "").strip()[:300]
        item.reviewed_by, item.reviewed_at = by, timezone.now()
        item.save()
        audit.record("alert.audit_judge", item, user=by, verdict=verdict)
    return item


def samples(user: User) -> Any:
    """Return the samples that this user may go through: of own teams, or everything for who sees all teams."""
    found = AuditSample.objects.select_related("team", "created_by")
    return found if user.sees_all_teams else found.filter(created_by=user) | found.filter(team__in=user.teams.all())


def items_of(sample: AuditSample, user: User) -> Any:
    """Return the calls of a sample that this user may see."""
    visible = Call.objects.visible_to(user)
    items = sample.items.filter(call__in=visible).select_related("call__agent", "call__team", "call__recording")
    return items.select_related("reviewed_by")


@dataclass(frozen=True, slots=True)
class Recall:
    """An estimate by calls; `low` and `high` are its 95 % interval."""

    label: str
    heard: int
    missed: int
    found: int
    recall: float
    low: float
    high: float


def recall(sample: AuditSample, user: User) -> Recall | None:
    """Return the recall over all categories that a sample shows, or None before anything was heard."""
    heard = list(items_of(sample, user).exclude(verdict=""))
    if not heard:
        return None
    missed = sum(item.verdict == Verdict.MISSED for item in heard)
    return _recall(gettext("All categories"), len(heard), missed, sample.alerted, sample.population)


def recall_by_category(sample: AuditSample, user: User) -> list[Recall]:
    """Return the same for every category that was missed at least once, as far as this user may see it."""
    heard = list(items_of(sample, user).exclude(verdict=""))
    calls = Call.objects.visible_to(user).filter(started_at__gte=sample.since, started_at__lt=sample.until)
    if sample.team_id:
        calls = calls.filter(team=sample.team_id)
    out = []
    for category, label in Category.choices:
        missed = sum(category in item.categories for item in heard)
        if missed and (category not in RESTRICTED or user.sees_restricted_alerts):
            out.append(_recall(str(label), len(heard), missed, _alerted(calls, category), sample.population))
    return out


def _recall(label: str, heard: int, missed: int, found: int, population: int) -> Recall:
    # Whoever has heard every call knows, and does not estimate.
    low, high = wilson(missed / heard, heard) if heard < population else (missed / heard, missed / heard)

    def of(share: float) -> float:
        whole = found + share * population
        return found / whole if whole else 1.0

    return Recall(label, heard, missed, found, of(missed / heard), of(high), of(low))


def _alerted(calls: CallQuerySet, category: str = "") -> int:
    """Return how many of the calls have an alert that nobody called a false alarm."""
    alerts = Alert.objects.filter(call=OuterRef("pk")).exclude(dismiss_kind=Alert.DismissKind.WRONG)
    if category:
        alerts = alerts.filter(category=category)
    return calls.filter(Exists(alerts)).count()
