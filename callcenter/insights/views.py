"""Alerts: what needs a person, and what that person decided."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Case, Count, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import READERS, REVIEWERS, SUPERVISORS, person, roles_required
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call, CallQuerySet
from callcenter.calls.selectors import choices, intent_labels
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.paging import Key, paginate, parse_id, parse_time
from callcenter.insights import surges, triage
from callcenter.insights.models import RESTRICTED, Alert, Category, Rule, Severity, Surge
from callcenter.privacy.services import show_alerts, text_for

ASSIGNED = (("", _("Anybody")), ("me", _("Me")), ("nobody", _("Nobody")))
SURGES_SHOWN = timedelta(days=2)
STATUSES = (("open", _("Open")), ("acknowledged", _("Acknowledged")), ("dismissed", _("Dismissed")), ("all", _("All")))
#: What cannot wait comes before everything else, whatever its severity.
RANK = Case(
    When(category__in=RESTRICTED, then=Value(9)),
    *[When(severity=key, then=Value(rank)) for rank, key in enumerate(("low", "medium", "high", "critical"))],
    default=Value(0),
    output_field=IntegerField(),
)
_ID = Key("id", True, parse_id)
SORTS: dict[str, tuple[Any, tuple[Key, ...]]] = {
    "severity": (_("Gravest first"), (Key("rank", True, int), Key("call__started_at", True, parse_time), _ID)),
    "newest": (_("Newest call first"), (Key("call__started_at", True, parse_time), _ID)),
    "score": (_("Surest first"), (Key("score", True, float), _ID)),
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
    assigned = request.GET.get("assigned", "")
    rule_key = request.GET.get("rule", "").replace("\x00", "")[:80]
    sort = request.GET.get("sort", "severity")
    sort = sort if sort in SORTS else "severity"
    calls = _calls(query, user)
    alerts = Alert.objects.filter(call__in=calls).permitted_to(user)
    if query.category:
        alerts = alerts.filter(category=query.category)
    if severity:
        alerts = alerts.filter(severity=severity)
    if rule_key:
        alerts = alerts.filter(rule_key=rule_key)
    if assigned in ("me", "nobody"):
        alerts = alerts.filter(assigned_to=user if assigned == "me" else None)
    counts = {row["status"]: row["count"] for row in alerts.order_by().values("status").annotate(count=Count("pk"))}
    counts["all"] = sum(counts.values())
    shown = alerts if status == "all" else alerts.filter(status=status)
    page = paginate(
        shown.annotate(rank=RANK).select_related("call__agent", "call__team", "handled_by", "assigned_to"),
        SORTS[sort][1],
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    show_alerts(user, page.items)
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
        "narrowed": bool(query.params() or severity or assigned or rule_key),
        "assigned": assigned,
        "assignments": ASSIGNED,
        "rule_key": rule_key,
        "immediate": Alert.objects.visible_to(user).open().filter(category__in=RESTRICTED).count(),
        "surges": surges_shown(user),
    }
    return render(request, "insights/alerts.html", context)


def _calls(query: CallQuery, user: User) -> CallQuerySet:
    return replace(query, category="", alerts="").apply(Call.objects.visible_to(user), user=user)


def surges_shown(user: User) -> list[Surge]:
    """Return the surges of the last days that nobody has looked at yet, with the words for what surged."""
    since = timezone.now() - SURGES_SHOWN
    found = list(
        Surge.objects.visible_to(user).filter(acknowledged_at=None, hour_at__gte=since).select_related("team")[:10]
    )
    labels: dict[str, dict[str, Any]] = {"negative": {}, "intent": intent_labels(), "alert": dict(Category.choices)}
    for surge in found:
        name = labels[surge.kind].get(surge.key) or surge.key.replace("_", " ").capitalize()
        surge.label = f"{surge.get_kind_display()}: {name}" if surge.key else surge.get_kind_display()
    return found


@require_safe
@roles_required(*READERS)
def alert_page(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Show one alert: what was said, why it was raised, what people did with it."""
    user = person(request)
    found = Alert.objects.visible_to(user).select_related(
        "call__agent", "call__team", "call__queue", "call__recording", "handled_by", "assigned_to"
    )
    alert = get_object_or_404(found, pk=alert_id)
    audit.record("alert.view", alert, request=request)
    return render(request, "insights/alert.html", _alert_context(user, alert))


def _alert_context(user: User, alert: Alert, problem: str = "") -> dict[str, Any]:
    may_triage = user.has_role(*SUPERVISORS)
    show_alerts(user, [alert])
    history = list(alert.events.select_related("created_by", "person"))
    for event in history:
        event.text = text_for(user, alert.call, event.text)
    rule = Rule.objects.filter(key=alert.rule_key).first()
    return {
        "alert": alert,
        "call": alert.call,
        "may_triage": may_triage,
        "may_edit_rules": may_triage and rule is not None,
        "rule": rule,
        "history": history,
        "assignees": triage.assignees(alert) if may_triage else [],
        "problem": problem,
    }


@require_POST
@roles_required(*SUPERVISORS)
def acknowledge(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Take an alert on."""
    return _act(request, alert_id, lambda alert: triage.acknowledge(alert=alert, by=person(request)))


@require_POST
@roles_required(*SUPERVISORS)
def dismiss(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Set an alert aside; the reason is asked for, since it measures the rule."""
    reason, kind = request.POST.get("reason", "").replace("\x00", ""), request.POST.get("kind", "wrong")
    return _act(
        request, alert_id, lambda alert: triage.dismiss(alert=alert, by=person(request), reason=reason, kind=kind)
    )


@require_POST
@roles_required(*SUPERVISORS)
def reopen(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Take a decision back."""
    return _act(request, alert_id, lambda alert: triage.reopen(alert=alert, by=person(request)))


@require_POST
@roles_required(*SUPERVISORS)
def assign(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Give an alert to somebody who may see it, or to nobody."""
    chosen = request.POST.get("to", "")
    to = User.objects.filter(pk=int(chosen)).first() if chosen.isdecimal() and len(chosen) < 11 else None
    return _act(request, alert_id, lambda alert: triage.assign(alert=alert, by=person(request), to=to))


@require_POST
@roles_required(*SUPERVISORS)
def comment(request: HttpRequest, alert_id: uuid.UUID) -> HttpResponse:
    """Add a remark to the alert's thread."""
    text = request.POST.get("text", "")
    return _act(request, alert_id, lambda alert: triage.comment(alert=alert, by=person(request), text=text).alert)


@require_POST
@roles_required(*SUPERVISORS)
def bulk(request: HttpRequest) -> HttpResponse:
    """Decide several alerts at once; those that need a decision of their own are left and counted."""
    ids = []
    for text in request.POST.getlist("alert")[: triage.MAX_BULK]:
        with contextlib.suppress(ValueError):
            ids.append(uuid.UUID(text))
    if not ids:
        messages.warning(request, gettext("No alert was selected."))
        return _back(request, None)
    action = request.POST.get("action", "")
    try:
        decided, single = triage.bulk(
            ids=ids,
            by=person(request),
            action=action,
            reason=request.POST.get("reason", "").replace("\x00", ""),
            kind=request.POST.get("kind", ""),
        )
    except CallcenterError as error:
        messages.error(request, error.message)
        return _back(request, None)
    if action == "acknowledge":
        said = ngettext("{count} alert acknowledged.", "{count} alerts acknowledged.", decided)
    else:
        said = ngettext("{count} alert dismissed.", "{count} alerts dismissed.", decided)
    messages.success(request, said.format(count=decided))
    if single:
        left = ngettext(
            "{count} alert on self-harm or threats is left: each needs a decision of its own.",
            "{count} alerts on self-harm or threats are left: each needs a decision of its own.",
            single,
        )
        messages.warning(request, left.format(count=single))
    return _back(request, None)


@require_POST
@roles_required(*REVIEWERS)
def acknowledge_surge(request: HttpRequest, surge_id: int) -> HttpResponse:
    """Say that somebody has looked at a surge."""
    surge = get_object_or_404(Surge.objects.visible_to(person(request)), pk=surge_id)
    surges.acknowledge(surge=surge, by=person(request))
    return _back(request, None)


def _act(request: HttpRequest, alert_id: uuid.UUID, act: Callable[[Alert], Alert]) -> HttpResponse:
    """Do one thing with a visible alert, and answer with its part of the page or with the page it came from."""
    user = person(request)
    alert = get_object_or_404(Alert.objects.visible_to(user), pk=alert_id)
    try:
        act(alert)
        problem = ""
    except CallcenterError as error:
        problem = error.message
    alert = Alert.objects.select_related("call", "handled_by", "assigned_to").get(pk=alert.pk)
    if request.headers.get("HX-Request"):
        if request.POST.get("part") == "desk":
            return render(request, "insights/_desk.html", _alert_context(user, alert, problem))
        return render(request, "insights/_triage.html", {"alert": alert, "may_triage": True, "problem": problem})
    if problem:
        messages.error(request, problem)
    else:
        messages.success(request, gettext("The alert is {status}.").format(status=alert.get_status_display().lower()))
    return _back(request, alert)


def _back(request: HttpRequest, alert: Alert | None) -> HttpResponse:
    target = request.POST.get("next", "")
    if target and url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return redirect(target)
    return redirect(alert.call) if alert is not None else redirect("insights:alerts")
