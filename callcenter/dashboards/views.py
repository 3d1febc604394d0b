"""The first page and its relatives: how the calls are going, of everybody, one agent, one queue."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from sqlalchemy.exc import SQLAlchemyError

from callcenter.accounts.decorators import OPERATORS, READERS, SUPERVISORS, person, roles_required
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call
from callcenter.calls.ranges import described
from callcenter.calls.selectors import choices, intent_labels, visible_teams
from callcenter.core.templatetags import cc
from callcenter.dashboards import panels, people
from callcenter.dashboards.first_steps import first_steps
from callcenter.dashboards.models import SavedView
from callcenter.dashboards.selectors import WEEKDAYS, dashboard
from callcenter.insights.models import Category
from callcenter.insights.warehouse_doc import engine

log = structlog.get_logger("callcenter.dashboards")
DEFAULT_DAYS = 30
PERIODS = (
    ("today", gettext_lazy("Today")),
    ("7", gettext_lazy("7 days")),
    ("30", gettext_lazy("30 days")),
    ("90", gettext_lazy("90 days")),
    ("365", gettext_lazy("1 year")),
    ("all", gettext_lazy("All")),
)

MOOD_CALLS = {
    "negative": gettext_lazy("Negative calls"),
    "neutral": gettext_lazy("Neutral calls"),
    "positive": gettext_lazy("Positive calls"),
}


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show the figures of the visible calls; a model operator, who reads no calls, is sent to the machinery."""
    user = person(request)
    if not user.has_role(*READERS):
        if user.has_role(*OPERATORS):
            return redirect("pipeline:operations")
        raise PermissionDenied
    context = _context(request)
    context["any_calls"] = Call.objects.visible_to(user).exists()
    context["may_upload"] = user.has_role(*SUPERVISORS)
    context["first_steps"] = first_steps(user)
    context["views"] = (
        SavedView.objects.visible_to(user).filter(kind=SavedView.Kind.DASHBOARD).select_related("owner", "team")
    )
    if user.is_agent:
        context |= people.own_desk(user)
    return _answer(
        request, "dashboards/home.html", context,
        lambda: dashboard(engine(), user, context["query"], here=context["here"]),
    )  # fmt: skip


@require_safe
@roles_required(*READERS)
def panel_csv(request: HttpRequest, panel: str) -> HttpResponse:
    """Return one panel of the dashboard as a file."""
    if panel not in panels.PANELS:
        raise Http404
    user, query = person(request), CallQuery.parse(request.GET, days=DEFAULT_DAYS)
    try:
        text = panels.csv_of(engine(), user, query, panel)
    except SQLAlchemyError as error:
        log.error("warehouse_unreachable", error=type(error).__name__)
        return render(request, "problem.html", _unreachable(), status=503)
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{panel}-{timezone.localdate():%Y-%m-%d}.csv"'
    return response


@require_safe
@roles_required(*SUPERVISORS, "compliance")
def agents(request: HttpRequest) -> HttpResponse:
    """Show all agents side by side."""
    context = _context(request)
    return _answer(
        request, "dashboards/agents.html", context,
        lambda: {"agents": people.agents_table(engine(), person(request), context["query"], here=context["here"])},
    )  # fmt: skip


@require_safe
@roles_required(*READERS)
def agent(request: HttpRequest, agent_id: int) -> HttpResponse:
    """Show one agent: to supervisors beside the peers, to the agent alone."""
    user = person(request)
    found = get_object_or_404(people.agents_visible(user), pk=agent_id)
    context = _context(request)
    context |= {"agent": found, "may_coach": user.has_role(*SUPERVISORS)}
    context["note_call"] = _note_call(request, user, found)
    return _answer(
        request, "dashboards/agent.html", context,
        lambda: people.agent_page(engine(), user, found, context["query"], here=context["here"]),
    )  # fmt: skip


def _note_call(request: HttpRequest, user: User, found: User) -> dict[str, Any] | None:
    """Return the call and moment that a note shall be about, where the address names one of this agent's."""
    try:
        pk = uuid.UUID(request.GET.get("about", ""))
    except ValueError:
        return None
    call = Call.objects.visible_to(user).filter(pk=pk, agent=found).first()
    moment = request.GET.get("t", "")
    return None if call is None else {"call": call, "t": moment if moment.isdecimal() and len(moment) < 9 else ""}


@require_safe
@roles_required(*READERS)
def queues(request: HttpRequest) -> HttpResponse:
    """Show all queues side by side."""
    context = _context(request)
    return _answer(
        request, "dashboards/queues.html", context,
        lambda: {"queues": people.queues_table(engine(), person(request), context["query"], here=context["here"])},
    )  # fmt: skip


@require_safe
@roles_required(*READERS)
def queue(request: HttpRequest, queue_id: int) -> HttpResponse:
    """Show one queue."""
    user = person(request)
    found = get_object_or_404(people.queues_visible(user), pk=queue_id)
    context = _context(request) | {"queue": found}
    return _answer(
        request, "dashboards/queue.html", context,
        lambda: people.queue_page(engine(), user, found, context["query"], here=context["here"]),
    )  # fmt: skip


def _context(request: HttpRequest) -> dict[str, Any]:
    user = person(request)
    query = CallQuery.parse(request.GET, days=DEFAULT_DAYS)
    named = request.GET.get("period", "") or ("" if request.GET.get("start") or request.GET.get("end") else "30")
    offered = choices(user)
    return {
        "query": query,
        "period": named,
        "periods": PERIODS,
        "choices": offered,
        "chips": _chips(request, query),
        "teams_to_share": visible_teams(user),
        "clock": timezone.get_current_timezone_name(),
        "here": request.get_full_path()[:1500],
        "address": request.GET.urlencode(),
    }


def _chips(request: HttpRequest, query: CallQuery) -> list[dict[str, str]]:
    """Return the filters that have no field on the page, each with the address without it."""
    day = WEEKDAYS[query.weekday - 1] if query.weekday else ""
    hour = _("%(hour)s:00 to %(hour)s:59") % {"hour": query.hour} if query.hour is not None else ""
    alerts = {"open": _("Open alerts"), "any": _("Any alert")}.get(query.alerts, "")
    intent = intent_labels().get(query.intent) or cc.spoken(query.intent) if query.intent else ""
    shown = (
        ("intent", intent), ("category", dict(Category.choices).get(query.category, "")), ("alerts", alerts),
        ("mood", MOOD_CALLS.get(query.mood, "")), ("direction", dict(Call.Direction.choices).get(query.direction, "")),
        ("weekday", day), ("hour", hour),
        ("reviewed", {"yes": _("Looked at"), "no": _("Not looked at")}.get(query.reviewed, "")),
    )  # fmt: skip
    named = [(name, str(getattr(query, name)), str(label)) for name, label in shown if label]
    chips = []
    for name, value, label in (*named, *described(query.limits)):
        rest = request.GET.copy()
        rest.pop(name, None)
        chips.append({"name": name, "value": value, "label": label, "without": f"?{rest.urlencode()}"})
    return chips


def _answer(
    request: HttpRequest, template: str, context: dict[str, Any], figures: Callable[[], dict[str, Any]]
) -> HttpResponse:
    """Render the page; where the warehouse does not answer, say so instead of showing nothing."""
    try:
        context |= figures()
    except SQLAlchemyError as error:
        log.error("warehouse_unreachable", error=type(error).__name__)
        return render(request, template, {**context, "broken": True}, status=503)
    return render(request, template, context)


def _unreachable() -> dict[str, str]:
    return {"title": _("No figures right now"), "status": "503", "text": _("The warehouse cannot be reached.")}
