"""Alerts and their triage."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from pydantic import Field

from callcenter.accounts.models import Role, User
from callcenter.api.paging import page
from callcenter.api.schemas import (
    AlertDetail,
    AlertEventOut,
    AlertOut,
    AlertPage,
    Assignment,
    CommentIn,
    Dismissal,
    Problem,
    Text,
)
from callcenter.core.errors import CallcenterError
from callcenter.insights import triage
from callcenter.insights.models import Alert, AlertEvent
from callcenter.privacy.services import show_alerts, text_for

router = Router(tags=["alerts"])


class AlertQuery(Schema):
    """Filters; all may be combined."""

    status: Text = ""
    category: Text = ""
    severity: Text = ""
    call: UUID | None = None
    assigned_to: Text = ""
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=500)


@router.get("", response={200: AlertPage, 422: Problem})
def list_alerts(request: HttpRequest, filters: Query[AlertQuery]) -> AlertPage:
    """Return the visible alerts with their evidence, newest first."""
    wanted = {
        "status": filters.status,
        "category": filters.category,
        "severity": filters.severity,
        "call": filters.call,
        "assigned_to__username": filters.assigned_to,
    }
    alerts = Alert.objects.visible_to(_user(request)).filter(**{k: v for k, v in wanted.items() if v})
    alerts = alerts.select_related("assigned_to")
    rows, following = page(
        alerts.select_related("call"), field="created_at", cursor=filters.cursor, limit=filters.limit
    )
    show_alerts(_user(request), rows)
    return AlertPage(items=[AlertOut(**_values(alert)) for alert in rows], next=following)


@router.get("/{uuid:alert_id}", response={200: AlertDetail, 404: Problem})
def get_alert(request: HttpRequest, alert_id: UUID) -> AlertDetail:
    """Return one alert with its history and comments."""
    alert = get_object_or_404(Alert.objects.visible_to(_user(request)).select_related("assigned_to"), pk=alert_id)
    events = list(alert.events.select_related("created_by", "person"))
    for event in events:
        event.text = text_for(_user(request), alert.call, event.text)
    show_alerts(_user(request), [alert])
    return AlertDetail(**_values(alert), events=[_event(event) for event in events])


@router.post("/{uuid:alert_id}/acknowledge", response={200: AlertOut, 403: Problem, 404: Problem})
def acknowledge(request: HttpRequest, alert_id: UUID) -> AlertOut:
    """Say that the alert is true and that somebody has taken it on."""
    return _out(request, triage.acknowledge(alert=_triable(request, alert_id), by=_user(request)))


@router.post("/{uuid:alert_id}/dismiss", response={200: AlertOut, 403: Problem, 404: Problem, 422: Problem})
def dismiss(request: HttpRequest, alert_id: UUID, body: Dismissal) -> AlertOut:
    """Set the alert aside, and say why: `kind` tells a false alarm from a true alert that needs nothing."""
    alert = _triable(request, alert_id)
    return _out(request, triage.dismiss(alert=alert, by=_user(request), reason=body.reason, kind=body.kind))


@router.post("/{uuid:alert_id}/reopen", response={200: AlertOut, 403: Problem, 404: Problem})
def reopen(request: HttpRequest, alert_id: UUID) -> AlertOut:
    """Take a decision back."""
    return _out(request, triage.reopen(alert=_triable(request, alert_id), by=_user(request)))


@router.post("/{uuid:alert_id}/assign", response={200: AlertOut, 403: Problem, 404: Problem, 422: Problem})
def assign(request: HttpRequest, alert_id: UUID, body: Assignment) -> AlertOut:
    """Give the alert to a person who may see it (by user name), or with an empty name to nobody."""
    alert = _triable(request, alert_id)
    to = User.objects.filter(username=body.username, is_active=True).first() if body.username else None
    if body.username and to is None:
        raise CallcenterError("That person may not see this alert.", code="not_visible")
    return _out(request, triage.assign(alert=alert, by=_user(request), to=to))


@router.post("/{uuid:alert_id}/comments", response={201: AlertEventOut, 403: Problem, 404: Problem, 422: Problem})
def comment(request: HttpRequest, alert_id: UUID, body: CommentIn) -> Status[AlertEventOut]:
    """Add a remark to the alert's thread."""
    made = triage.comment(alert=_triable(request, alert_id), by=_user(request), text=body.text)
    return Status(201, _event(made))


def _triable(request: HttpRequest, alert_id: UUID) -> Alert:
    alert = get_object_or_404(Alert.objects.visible_to(_user(request)), pk=alert_id)
    if not _user(request).has_role(Role.SUPERVISOR):
        raise CallcenterError("Your role may not do this.", code="forbidden")
    return alert


def _out(request: HttpRequest, alert: Alert) -> AlertOut:
    show_alerts(_user(request), [alert])
    return AlertOut(**_values(alert))


def _values(alert: Alert) -> dict[str, Any]:
    own = {name: getattr(alert, name) for name in AlertOut.model_fields if name != "assigned_to"}
    return own | {"assigned_to": alert.assigned_to.username if alert.assigned_to else None}


def _event(event: AlertEvent) -> AlertEventOut:
    return AlertEventOut(
        kind=event.kind,
        text=event.text,
        person=event.person.username if event.person else None,
        by=event.created_by.username if event.created_by else None,
        at=event.created_at,
    )


def _user(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
