"""Which alerts a route is told of, and when: severity, category, team, quiet hours, digests. Rows in, times out."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from callcenter.insights.models import RESTRICTED, Alert, Severity, Surge
from callcenter.insights.notifications.models import Route

_RANK = {key: rank for rank, key in enumerate(Severity.values)}


def wants(route: Route, alert: Alert) -> bool:
    """Return whether the route is to be told of the alert. The alert's call must be at hand."""
    if not route.enabled or (route.team_id is not None and route.team_id != alert.call.team_id):
        return False
    if alert.category in RESTRICTED:
        return route.tells_restricted
    if route.categories and alert.category not in route.categories:
        return False
    return _RANK.get(alert.severity, 0) >= _RANK.get(route.minimum_severity, 0)


def wants_surge(route: Route, surge: Surge) -> bool:
    """Return whether the route is to be told that a rate left its usual band."""
    if not route.enabled or not route.tells_surges or (route.team_id is not None and route.team_id != surge.team_id):
        return False
    if surge.kind != Surge.Kind.ALERT:
        return True
    if surge.key in RESTRICTED:
        return route.tells_restricted
    return not route.categories or surge.key in route.categories


def urgent(alert: Alert) -> bool:
    """Return whether neither quiet hours nor a digest holds the alert back."""
    return alert.category in RESTRICTED or alert.severity == Severity.CRITICAL


def due_at(route: Route, now: datetime, *, digest: bool = True) -> datetime:
    """Return when what happens now is told on this route, were it not urgent: now, or when its digest is due.

    What falls into the quiet hours waits for their end.
    """
    local = now.astimezone(ZoneInfo(route.time_zone))
    if not digest:
        pass
    elif route.digest == Route.Digest.HOURLY:
        local = local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    elif route.digest == Route.Digest.DAILY:
        at = local.replace(hour=route.daily_hour, minute=0, second=0, microsecond=0)
        local = at if at > local else at + timedelta(days=1)
    return _after_quiet(route, local).astimezone(now.tzinfo)


def is_quiet(route: Route, now: datetime) -> bool:
    """Return whether the route's quiet hours are on."""
    return _quiet(route, now.astimezone(ZoneInfo(route.time_zone)).time())


def _quiet(route: Route, at: time) -> bool:
    begin, end = route.quiet_from, route.quiet_until
    if begin is None or end is None or begin == end:
        return False
    return begin <= at < end if begin < end else at >= begin or at < end


def _after_quiet(route: Route, local: datetime) -> datetime:
    if not _quiet(route, local.time()):
        return local
    end = route.quiet_until or time()
    at = local.replace(hour=end.hour, minute=end.minute, second=end.second, microsecond=0)
    return at if at > local else at + timedelta(days=1)
