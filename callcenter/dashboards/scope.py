"""From an address and a user to a question to the warehouse, and from a figure back to the address of its calls."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone

from analytics.warehouse import CallFilter, VisibleTeams
from analytics.warehouse.buckets import Bucket
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.ranges import held


def visible(user: User) -> VisibleTeams:
    """Return the warehouse's access scope of this user: the one place where roles become scopes."""
    own = user.pk if user.is_agent else None
    restricted = user.sees_restricted_alerts
    if user.sees_all_teams:
        return VisibleTeams.all(restricted=restricted)
    return VisibleTeams.of(user.teams.values_list("pk", flat=True), own_agent_id=own, restricted=restricted)


def call_filter(user: User, query: CallQuery) -> CallFilter:
    """Return the warehouse filter that means the same calls as the address does, on the clock of this request."""
    one = lambda value: None if value in (None, "") else frozenset([value])  # noqa: E731
    return CallFilter(
        visible(user),
        start=query.start_time,
        end=query.end_time,
        team_ids=one(query.team),
        queue_ids=one(query.queue),
        agent_ids=one(query.agent),
        intents=one(query.intent),
        directions=one(query.direction),
        alert_categories=one(query.category),
        open_alerts=True if query.alerts == "open" else None,
        with_alerts=True if query.alerts == "any" else None,
        mood=query.mood or None,  # type: ignore[arg-type]
        reviewed={"yes": True, "no": False}.get(query.reviewed),
        weekday=query.weekday,
        hour=query.hour,
        time_zone=timezone.get_current_timezone_name(),
        ranges=tuple((measure.warehouse, least, most) for measure, least, most in held(query.limits)),
    )


def calls_link(query: CallQuery, *, back: str = "", **changes: Any) -> str:
    """Return the address of the calls behind a figure, and the way back; the warehouse knows understood calls only."""
    return query.link(reverse("calls:list"), **{"state": "ready", **changes, "back": back})


def bucket_of(query: CallQuery) -> Bucket:
    """Return how finely a period of this length is drawn."""
    if query.start is None or query.end is None:
        return "month" if query.start is None else "week"
    days = (query.end - query.start).days + 1
    if days <= 2:
        return "hour"
    return "day" if days <= 92 else "week" if days <= 740 else "month"
