"""Changes that people make around dashboards: saved views, coaching notes, their own clock."""

from __future__ import annotations

from urllib.parse import urlencode
from zoneinfo import available_timezones

from django.db import transaction
from django.db.models.functions import Lower
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call
from callcenter.calls.selectors import SORTS
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.dashboards.models import CoachingNote, SavedView

MAX_VIEWS = 50
Kind = SavedView.Kind


def clean_query(text: str, *, kind: str = Kind.DASHBOARD) -> str:
    """Return of an address's parameters only those that the page knows, so that a saved view holds nothing else."""
    params = QueryDict(text.lstrip("?"), encoding="utf-8")
    period = params.get("period", "")
    # A period by name moves with the days; days that it stands for today would not.
    query = CallQuery.parse(params) if not period else CallQuery.parse(_without(params, "period", "start", "end"))
    known = query.params()
    if period in ("today", "7", "30", "90", "365", "all"):
        known["period"] = period
    if kind == Kind.CALLS and params.get("sort", "") in SORTS:
        known["sort"] = params["sort"]
    return urlencode(known)


def _without(params: QueryDict, *names: str) -> QueryDict:
    kept = params.copy()
    for name in names:
        kept.pop(name, None)
    return kept


def save_view(*, owner: User, name: str, query: str, team: Team | None = None, kind: str = Kind.DASHBOARD) -> SavedView:
    """Keep the view under this name; an own view of the same page and name is replaced.

    Raises:
        CallcenterError: no name, too many views, too long an address, or a team that the owner does not see.
    """
    name = " ".join(name.replace("\x00", "").split())[:80]
    kept = clean_query(query, kind=kind)
    if not name:
        raise CallcenterError(_("Give the view a name."), code="name_missing")
    if team is not None and not (owner.sees_all_teams or owner.teams.filter(pk=team.pk).exists()):
        raise CallcenterError(_("A view can be shared with your own teams."), code="foreign_team")
    if len(kept) > 1000:
        # Cut off, it would be another search under this name.
        raise CallcenterError(_("This search is too long to be saved; use fewer words."), code="too_long")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)
        mine = owner.saved_views.filter(kind=kind)
        own = mine.annotate(lower=Lower("name")).filter(lower=name.lower()).first()
        if own is None and mine.count() >= MAX_VIEWS:
            raise CallcenterError(
                _("You have %(max_views)s views; delete one first.") % {"max_views": MAX_VIEWS}, code="too_many_views"
            )
        view = own or SavedView(owner=owner, kind=kind)
        view.name, view.query, view.team = name, kept, team
        view.save()
        audit.record("view.save", view, user=owner, shared=team.pk if team else None)
    return view


def delete_view(*, view: SavedView, by: User) -> None:
    """Delete an own view, for everybody it was shared with too."""
    if view.owner_id != by.pk:
        raise CallcenterError(_("Only its owner can delete a view."), code="not_owner")
    with transaction.atomic():
        audit.record("view.delete", view, user=by)
        view.delete()


def write_note(*, agent: User, by: User, text: str, call: Call | None = None, at_ms: int | None = None) -> CoachingNote:
    """Tell an agent something. The caller has checked that `by` sees the agent and the call.

    Raises:
        CallcenterError: nothing was written, or the call is not one of this agent's.
    """
    text = text.replace("\x00", "").strip()
    if not text:
        raise CallcenterError(_("Write what the agent should read."), code="text_missing")
    if len(text) > 2000:
        raise CallcenterError(_("A note has at most 2,000 characters."), code="too_long")
    if agent.role != Role.AGENT:
        raise CallcenterError(_("Coaching notes are for agents."), code="not_an_agent")
    if call is not None and call.agent_id != agent.pk:
        raise CallcenterError(_("That call is not one of this agent's."), code="foreign_call")
    with transaction.atomic():
        note = CoachingNote.objects.create(
            agent=agent, author=by, call=call, at_ms=at_ms if call is not None else None, text=text
        )
        audit.record("note.write", note, user=by, agent=agent.pk, call=str(call.pk) if call else None)
    return note


def delete_note(*, note: CoachingNote, by: User) -> None:
    """Take a note back; only its author and administrators can."""
    if note.author_id != by.pk and not by.has_role(Role.ADMIN):
        raise CallcenterError(_("Only its author can take a note back."), code="not_author")
    with transaction.atomic():
        audit.record("note.delete", note, user=by, agent=note.agent_id)
        note.delete()


def mark_seen(*, agent: User) -> int:
    """Note that the agent has seen the own notes; return how many were new."""
    with transaction.atomic():
        new = list(CoachingNote.objects.select_for_update().filter(agent=agent, seen_at=None))
        for note in new:
            audit.record("note.seen", note, user=agent)
        CoachingNote.objects.filter(pk__in=[note.pk for note in new]).update(seen_at=timezone.now())
    return len(new)


def set_time_zone(*, user: User, name: str) -> None:
    """Set the clock of this person's pages; empty means the site's. Raises CallcenterError for an unknown zone."""
    if name and name not in available_timezones():
        raise CallcenterError(_("That time zone is not known."), code="unknown_zone")
    user.time_zone = name
    user.save(update_fields=["time_zone"])
