"""What people change around dashboards: views, notes, their clock. Every view here takes a POST or leads away."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import READERS, SUPERVISORS, person, roles_required
from callcenter.accounts.models import Role
from callcenter.calls.models import Call
from callcenter.calls.selectors import visible_teams
from callcenter.core.errors import CallcenterError
from callcenter.dashboards import people, services
from callcenter.dashboards.models import CoachingNote, SavedView

PAGES = {SavedView.Kind.DASHBOARD: "dashboards:home", SavedView.Kind.CALLS: "calls:list"}


@require_safe
@roles_required(*READERS)
def view_open(request: HttpRequest, view_id: int) -> HttpResponse:
    """Lead to the page with the filters of a saved view."""
    view = get_object_or_404(SavedView.objects.visible_to(person(request)), pk=view_id)
    return redirect(_page(view.kind, view.query))


@require_POST
@roles_required(*READERS)
def view_save(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the dashboard or of the calls list under a name, for oneself or a team."""
    user, query = person(request), request.POST.get("query", "")
    kind = request.POST.get("kind", "")
    kind = kind if kind in SavedView.Kind.values else SavedView.Kind.DASHBOARD
    chosen = request.POST.get("team", "")
    team = visible_teams(user).filter(pk=int(chosen)).first() if chosen.isdecimal() and len(chosen) < 10 else None
    try:
        if chosen and team is None:
            raise CallcenterError(_("A view can be shared with your own teams."), code="foreign_team")
        view = services.save_view(owner=user, name=request.POST.get("name", ""), query=query, team=team, kind=kind)
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(_page(kind, query))
    calls = kind == SavedView.Kind.CALLS
    said = _("The search “%(name)s” is saved.") if calls else _("The view “%(name)s” is saved.")
    messages.success(request, said % {"name": view.name})
    return redirect("dashboards:view", view.pk)


@require_POST
@roles_required(*READERS)
def view_delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Delete an own view."""
    view = get_object_or_404(SavedView, pk=view_id, owner=person(request))
    services.delete_view(view=view, by=person(request))
    calls = view.kind == SavedView.Kind.CALLS
    said = _("The search “%(name)s” is deleted.") if calls else _("The view “%(name)s” is deleted.")
    messages.success(request, said % {"name": view.name})
    return redirect(PAGES[SavedView.Kind(view.kind)])


def _page(kind: str, query: str) -> str:
    kept = services.clean_query(query, kind=kind)
    return f"{reverse(PAGES[SavedView.Kind(kind)])}?{kept}" if kept else reverse(PAGES[SavedView.Kind(kind)])


@require_safe
@roles_required(*READERS)
def notes(request: HttpRequest) -> HttpResponse:
    """Show an agent the own notes, which then count as seen; show supervisors what they and others wrote."""
    user = person(request)
    found = CoachingNote.objects.visible_to(user).select_related("agent", "author", "call")
    shown = list(found[:100])
    if user.is_agent:
        services.mark_seen(agent=user)
    return render(request, "dashboards/notes.html", {"notes": shown, "may_coach": user.has_role(*SUPERVISORS)})


@require_POST
@roles_required(*SUPERVISORS)
def note_write(request: HttpRequest, agent_id: int) -> HttpResponse:
    """Write a note to an agent, perhaps about a moment of a call."""
    user = person(request)
    agent = get_object_or_404(people.agents_visible(user), pk=agent_id)
    call = _call(request, user)
    moment = request.POST.get("t", "")
    at_ms = int(moment) if moment.isdecimal() and len(moment) < 9 else None
    try:
        services.write_note(agent=agent, by=user, text=request.POST.get("text", ""), call=call, at_ms=at_ms)
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("%(name)s sees the note from now on.") % {"name": agent.name})
    return _back(request, reverse("dashboards:agent", args=[agent.pk]))


def _call(request: HttpRequest, user: object) -> Call | None:
    text = request.POST.get("call", "")
    if not text:
        return None
    try:
        pk = uuid.UUID(text)
    except ValueError:
        return None
    return get_object_or_404(Call.objects.visible_to(user), pk=pk)  # type: ignore[arg-type]


@require_POST
@roles_required(*SUPERVISORS)
def note_delete(request: HttpRequest, note_id: int) -> HttpResponse:
    """Take a note back."""
    user = person(request)
    note = get_object_or_404(CoachingNote.objects.visible_to(user), pk=note_id)
    try:
        services.delete_note(note=note, by=user)
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The note is taken back."))
    return _back(request, reverse("dashboards:notes"))


@require_POST
@login_required
def time_zone(request: HttpRequest) -> HttpResponse:
    """Choose the clock of the own pages."""
    try:
        services.set_time_zone(user=person(request), name=request.POST.get("time_zone", "").strip())
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Times are shown on your clock from now on."))
    fallback = reverse("dashboards:home" if person(request).role != Role.OPERATOR else "accounts:profile")
    return _back(request, fallback)


def _back(request: HttpRequest, fallback: str) -> HttpResponse:
    target = request.POST.get("next", "")
    if target and url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        return redirect(target)
    return redirect(fallback)
