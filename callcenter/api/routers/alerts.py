"""Alerts and their triage."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema
from pydantic import Field

from callcenter.accounts.models import Role, User
from callcenter.api.paging import page
from callcenter.api.schemas import AlertOut, AlertPage, Dismissal, Problem, Text
from callcenter.core.errors import CallcenterError
from callcenter.insights import services
from callcenter.insights.models import Alert

router = Router(tags=["alerts"])


class AlertQuery(Schema):
    """Filters; all may be combined."""

    status: Text = ""
    category: Text = ""
    severity: Text = ""
    call: UUID | None = None
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
    }
    alerts = Alert.objects.visible_to(_user(request)).filter(**{k: v for k, v in wanted.items() if v})
    rows, following = page(alerts, field="created_at", cursor=filters.cursor, limit=filters.limit)
    return AlertPage(items=[_out(alert) for alert in rows], next=following)


@router.post("/{uuid:alert_id}/acknowledge", response={200: AlertOut, 403: Problem, 404: Problem})
def acknowledge(request: HttpRequest, alert_id: UUID) -> AlertOut:
    """Say that somebody has taken the alert on."""
    return _out(services.acknowledge(alert=_triable(request, alert_id), by=_user(request)))


@router.post("/{uuid:alert_id}/dismiss", response={200: AlertOut, 403: Problem, 404: Problem, 422: Problem})
def dismiss(request: HttpRequest, alert_id: UUID, body: Dismissal) -> AlertOut:
    """Say that the alert is wrong or irrelevant, and why."""
    return _out(services.dismiss(alert=_triable(request, alert_id), by=_user(request), reason=body.reason))


def _triable(request: HttpRequest, alert_id: UUID) -> Alert:
    alert = get_object_or_404(Alert.objects.visible_to(_user(request)), pk=alert_id)
    if not _user(request).has_role(Role.SUPERVISOR):
        raise CallcenterError("Your role may not do this.", code="forbidden")
    return alert


def _out(alert: Alert) -> AlertOut:
    return AlertOut(**{name: getattr(alert, name) for name in AlertOut.model_fields})


def _user(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
