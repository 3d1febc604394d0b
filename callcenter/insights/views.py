"""Alerts: what needs a person, and what that person decided."""

from __future__ import annotations

import uuid
from dataclasses import replace

from django.contrib import messages
from django.db.models import Case, Count, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import READERS, SUPERVISORS, person, roles_required
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call, CallQuerySet
from callcenter.calls.selectors import choices
from callcenter.core.errors import CallcenterError
from callcenter.core.paging import Key, paginate, parse_id, parse_time
from callcenter.insights import services
from callcenter.insights.models import Alert, Category, Severity

STATUSES = (("open", "Open"), ("acknowledged", "Acknowledged"), ("dismissed", "Dismissed"), ("all", "All"))
RANK = Case(
    *[When(severity=key, then=Value(rank)) for rank, key in enumerate(("low", "medium", "high", "critical"))],
    default=Value(0),
    output_field=IntegerField(),
)
_ID = Key("id", True, parse_id)
SORTS: dict[str, tuple[str, tuple[Key, ...]]] = {
    "severity": ("Gravest first", (Key("rank", True, int), Key("call__started_at", True, parse_time), _ID)),
    "newest": ("Newest call first", (Key("call__started_at", True, parse_time), _ID)),
    "score": ("Surest first", (Key("score", True, float), _ID)),
}


@require_safe
@roles_required(*READERS)
def alert_list(request: HttpRequest) -> HttpResponse:
    """List the alerts that match the address; open ones unless it says otherwise."""
    user = person(request)
    query = CallQuery.parse(request.GET)
    status = request.GET.get("status", "open")
    status = status if status in dict(STATUSES) else "open"
    severity = request.GET.get("severity", "")
    severity = severity if severity in Severity.values else ""
    sort = request.GET.get("sort", "severity")
    sort = sort if sort in SORTS else "severity"
    calls = _calls(query, user)
    alerts = Alert.objects.filter(call__in=calls)
    if query.category:
        alerts = alerts.filter(category=query.category)
    if severity:
        alerts = alerts.filter(severity=severity)
    counts = {row["status"]: row["count"] for row in alerts.order_by().values("status").annotate(count=Count("pk"))}
    counts["all"] = sum(counts.values())
    shown = alerts if status == "all" else alerts.filter(status=status)
    page = paginate(
        shown.annotate(rank=RANK).select_related("call__agent", "call__team", "handled_by"),
        SORTS[sort][1],
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    context = {
        "query": query,
        "status": status,
        "severity": severity,
        "sort": sort,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
        "statuses": [
            {"key": key, "label": label, "count": counts.get(key, 0), "active": key == status}
            for key, label in STATUSES
        ],
        "page": page,
        "choices": choices(user),
        "categories": Category.choices,
        "severities": Severity.choices,
        "may_triage": user.has_role(*SUPERVISORS),
        "narrowed": bool(query.params() or severity),
    }
    return render(request, "insights/alerts.html", context)


def _calls(query: CallQuery, user: User) -> CallQuerySet:
    return replace(query, category="", alerts="").apply(Call.objects.visible_to(user))


@require_POST
@roles_required(*SUPERVISORS)
def acknowledge(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Take an alert on."""
    alert = get_object_or_404(Alert.objects.visible_to(person(request)), pk=alert_id)
    return _decided(request, services.acknowledge(alert=alert, by=person(request)))


@require_POST
@roles_required(*SUPERVISORS)
def dismiss(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Set an alert aside; the reason is asked for, since it measures the rule."""
    alert = get_object_or_404(Alert.objects.visible_to(person(request)), pk=alert_id)
    try:
        alert = services.dismiss(alert=alert, by=person(request), reason=request.POST.get("reason", ""))
    except CallcenterError as error:
        if request.headers.get("HX-Request"):
            return _row(request, alert, problem=error.message)
        messages.error(request, error.message)
        return _back(request, alert)
    return _decided(request, alert)


def _decided(request: HttpRequest, alert: Alert) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return _row(request, alert)
    messages.success(request, f"The alert is {alert.get_status_display().lower()}.")
    return _back(request, alert)


def _row(request: HttpRequest, alert: Alert, problem: str = "") -> HttpResponse:
    context = {"alert": alert, "may_triage": True, "problem": problem}
    return render(request, "insights/_triage.html", context)


def _back(request: HttpRequest, alert: Alert) -> HttpResponse:
    target = request.POST.get("next", "")
    if target and url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return redirect(target)
    return redirect(alert.call)
