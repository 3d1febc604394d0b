"""The calls list and the call page."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

import structlog
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from sqlalchemy.exc import SQLAlchemyError

from callcenter.accounts.decorators import READERS, SUPERVISORS, person, roles_required
from callcenter.accounts.models import User
from callcenter.calls import call_page, ranges, selectors
from callcenter.calls.facets import facets
from callcenter.calls.filters import MOODS, PARTIES, STATES, CallQuery
from callcenter.calls.models import Call
from callcenter.calls.ranges import described
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.dashboards.models import SavedView
from callcenter.dashboards.people import agents_visible
from callcenter.insights.models import Category
from callcenter.review.selectors import sitting

log = structlog.get_logger("callcenter.calls")


@require_safe
@roles_required(*READERS)
def call_list(request: HttpRequest) -> HttpResponse:
    """List the calls that match the address."""
    user = person(request)
    query = CallQuery.parse(request.GET)
    sort = request.GET.get("sort", "newest")
    sort = sort if sort in selectors.SORTS else "newest"
    found = selectors.calls_page(
        user,
        query,
        sort=sort,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    kept = _kept(request)
    context = {
        "query": query,
        "sort": sort,
        "sorts": [(name, label) for name, (label, _keys) in selectors.SORTS.items()],
        "found": found,
        "page": found.page,
        "choices": selectors.choices(user),
        "states": STATES.items(),
        "moods": MOODS,
        "parties": PARTIES.items(),
        "categories": Category.choices,
        "directions": Call.Direction.choices,
        "intent_labels": selectors.intent_labels(),
        "any_calls": bool(found.page.items) or Call.objects.visible_to(user).exists(),
        "may_upload": user.has_role(*SUPERVISORS),
        "export": query.link(reverse("exports:list"), new="1"),
        "back": _way_back(request),
        # What is wrong with a range is said at its fields.
        "problems": [text for text in query.problems if text not in {fault.text for fault in query.faults}],
        "ranges": ranges.fields(query.limits, query.faults),
        "limits": [(text, query.link(request.path, **{name: "", **kept})) for name, _, text in described(query.limits)],
        "searches": SavedView.objects.visible_to(user).filter(kind=SavedView.Kind.CALLS).select_related("team"),
        "teams_to_share": selectors.visible_teams(user),
        "address": request.GET.urlencode(),
    }
    return render(request, "calls/list.html", context)


@require_safe
@roles_required(*READERS)
def call_facets(request: HttpRequest) -> HttpResponse:
    """Return the part of the list that counts what each further filter would leave; it comes after the calls."""
    query = CallQuery.parse(request.GET)
    context: dict[str, object] = {}
    try:
        context["found"] = facets(person(request), query, **_kept(request))
    except SQLAlchemyError as error:
        log.error("warehouse_unreachable", error=type(error).__name__)
    return render(request, "calls/_facets.html", context)


def _kept(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of the list that are no filter."""
    sort = request.GET.get("sort", "")
    return {"sort": sort if sort in selectors.SORTS else "", "back": _way_back(request)}


def _way_back(request: HttpRequest) -> str:
    """Return the page of figures that led here, where it is one of ours."""
    back = request.GET.get("back", "")[:1500]
    return back if back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None) else ""


@require_safe
@roles_required(*READERS)
def call_detail(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Show one call. Every view is written to the audit log."""
    user = person(request)
    calls = Call.objects.visible_to(user).select_related("recording", "team", "agent", "queue", "insight", "transcript")
    call = get_object_or_404(calls, pk=call_id)
    audit.record("call.view", call, request=request)
    context = call_page.build(call, user)
    context["sitting"] = sitting(call, user, request.GET.get("from", ""), request.GET.get("t", ""))
    context["coach"] = _coach(call, user, request.GET.get("t", ""))
    return render(request, "calls/detail.html", context)


def _coach(call: Call, user: User, moment: str) -> str:
    """Return where this user writes the call's agent a note about this moment of it; empty for who may not."""
    if not user.has_role(*SUPERVISORS) or not agents_visible(user).filter(pk=call.agent_id).exists():
        return ""
    about = {"about": str(call.pk), "t": moment if moment.isdecimal() and len(moment) < 9 else "0"}
    return f"{reverse('dashboards:agent', args=[call.agent_id])}?{urlencode(about)}#note"


@require_safe
@roles_required(*READERS)
def progress(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Return the progress of the open run; when it has ended, the page is told to load itself anew."""
    call = get_object_or_404(Call.objects.visible_to(person(request)), pk=call_id)
    run = call.runs.order_by("-created_at").first()
    answer = render(request, "calls/_progress.html", {"call": call, "run": run})
    if run is None or run.ended:
        answer["HX-Refresh"] = "true"
    return answer


@require_POST
@roles_required(*SUPERVISORS)
def swap(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Exchange agent and customer; everything that depends on it is computed again."""
    from callcenter.calls.services.parties import swap_parties

    call = get_object_or_404(Call.objects.visible_to(person(request)), pk=call_id)
    try:
        swap_parties(call=call, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Agent and customer are swapped. What depends on it is being computed again."))
    return redirect(call)


@require_POST
@roles_required(*SUPERVISORS)
def reprocess(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Send the call through the pipeline again, with today's models and rules."""
    from callcenter.pipeline.services import reprocess as start_again

    call = get_object_or_404(Call.objects.visible_to(person(request)), pk=call_id)
    try:
        start_again(call=call, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The call is being processed again."))
    return redirect(call)
