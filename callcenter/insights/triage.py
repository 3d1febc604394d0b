"""What people decide on alerts: take on, set aside with a reason, open again, give to somebody, talk about it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights import services
from callcenter.insights.models import RESTRICTED, Alert, AlertEvent
from callcenter.privacy.services import typed

Kind = AlertEvent.Kind
Status = Alert.Status
MAX_COMMENT = 2000
MAX_BULK = 500


def acknowledge(*, alert: Alert, by: User) -> Alert:
    """Mark an alert as true and taken on: it counts for its rule."""
    return _decide(alert, by, Status.ACKNOWLEDGED, Kind.ACKNOWLEDGED)


def dismiss(*, alert: Alert, by: User, reason: str, kind: str = Alert.DismissKind.WRONG) -> Alert:
    """Set an alert aside. Raises CallcenterError without a reason: the reasons measure the rule."""
    if kind not in Alert.DismissKind.values:
        raise CallcenterError(gettext("Choose why this alert is dismissed."), code="reason_missing")
    if not reason.strip():
        raise CallcenterError(gettext("Say why this alert is dismissed."), code="reason_missing")
    return _decide(alert, by, Status.DISMISSED, Kind.DISMISSED, kind=kind, reason=typed(reason.strip())[:300])


def reopen(*, alert: Alert, by: User) -> Alert:
    """Take a decision back; the history keeps it."""
    return _decide(alert, by, Status.OPEN, Kind.REOPENED)


def assign(*, alert: Alert, by: User, to: User | None) -> Alert:
    """Give an alert to a person who may see it, or to nobody. Raises CallcenterError for anybody else."""
    if to is not None and not assignees(alert).filter(pk=to.pk).exists():
        raise CallcenterError(gettext("That person may not see this alert."), code="not_visible")
    with transaction.atomic():
        alert = Alert.objects.select_for_update().get(pk=alert.pk)
        if alert.assigned_to_id == (to.pk if to else None):
            return alert
        alert.assigned_to, alert.touched = to, True
        alert.save(update_fields=["assigned_to", "touched"])
        _event(alert, by, Kind.ASSIGNED if to else Kind.UNASSIGNED, person=to)
        audit.record("alert.assigned", alert, user=by, to=to.pk if to else None)
    return alert


def comment(*, alert: Alert, by: User, text: str) -> AlertEvent:
    """Add a remark to the thread. Raises CallcenterError for an empty one."""
    said = text.replace("\x00", "").strip()
    if not said:
        raise CallcenterError(gettext("Write something first."), code="empty")
    if len(said) > MAX_COMMENT:
        raise CallcenterError(
            gettext("A comment may have {max_comment:,} letters.").format(max_comment=MAX_COMMENT), code="too_long"
        )
    with transaction.atomic():
        Alert.objects.filter(pk=alert.pk).update(touched=True)
        event = _event(alert, by, Kind.COMMENT, text=typed(said)[:MAX_COMMENT])
        audit.record("alert.comment", alert, user=by)
    return event


def bulk(*, ids: Iterable[uuid.UUID], by: User, action: str, reason: str = "", kind: str = "") -> tuple[int, int]:
    """Acknowledge or dismiss several open alerts; return how many were decided and how many must be decided singly.

    Alerts on self-harm and threats are never dismissed in a heap. Raises CallcenterError for what dismiss() refuses.
    """
    if action not in ("acknowledge", "dismiss"):
        raise CallcenterError(gettext("Choose what to do with the selected alerts."), code="no_action")
    if action == "dismiss" and not (reason.strip() and kind in Alert.DismissKind.values):
        raise CallcenterError(gettext("Say why these alerts are dismissed."), code="reason_missing")
    wanted = list(dict.fromkeys(ids))[:MAX_BULK]
    alerts = list(Alert.objects.visible_to(by).open().filter(pk__in=wanted).order_by("pk"))
    single = [a for a in alerts if action == "dismiss" and a.category in RESTRICTED]
    decided = 0
    with transaction.atomic():
        for alert in alerts:
            if alert not in single:
                if action == "dismiss":
                    dismiss(alert=alert, by=by, reason=reason, kind=kind)
                else:
                    acknowledge(alert=alert, by=by)
                decided += 1
    return decided, len(single)


def assignees(alert: Alert) -> Any:
    """Return the people who may see this alert and could look after it, by name."""
    call = Call.objects.select_related("agent").get(pk=alert.call_id)
    over_all = Q(role__in=[Role.ADMIN, Role.COMPLIANCE]) | Q(is_superuser=True)
    in_team = Q(role=Role.SUPERVISOR, teams=call.team_id)
    own = Q(pk=call.agent_id, teams=call.team_id) if call.agent_id else Q(pk__in=[])
    people = User.objects.filter(over_all | in_team | own, is_active=True)
    if alert.restricted:
        right = Q(restricted_alerts=True, role__in=[Role.SUPERVISOR, Role.COMPLIANCE])
        people = people.filter(right | Q(role=Role.ADMIN) | Q(is_superuser=True))
    return people.distinct().order_by("display_name", "username")


def _decide(alert: Alert, by: User, status: str, event: str, *, kind: str = "", reason: str = "") -> Alert:
    with transaction.atomic():
        alert = Alert.objects.select_for_update().get(pk=alert.pk)
        before = alert.status
        now = timezone.now()
        alert.status = status
        alert.handled_by = by if status != Status.OPEN else None
        alert.handled_at = now if status != Status.OPEN else None
        alert.dismiss_kind, alert.dismiss_reason = kind, reason
        alert.first_handled_at = alert.first_handled_at or alert.handled_at
        alert.touched = True
        alert.save(
            update_fields=[
                "status", "handled_by", "handled_at", "dismiss_kind", "dismiss_reason", "first_handled_at", "touched",
            ]
        )  # fmt: skip
        _event(alert, by, event, text=reason)
        audit.record(f"alert.{status if status != Status.OPEN else 'reopened'}", alert, user=by, before=before)
        # Robust: the decision stands, whatever the warehouse's server does; a rebuild brings it up to date.
        transaction.on_commit(lambda: services.load_into_warehouse(alert.call), robust=True)
    return alert


def _event(alert: Alert, by: User, kind: str, *, text: str = "", person: User | None = None) -> AlertEvent:
    return AlertEvent.objects.create(alert=alert, kind=kind, text=text, person=person, created_by=by)
