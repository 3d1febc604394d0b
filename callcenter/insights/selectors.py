"""Reads about insights that more than one page needs."""

from __future__ import annotations

from callcenter.accounts.models import Role, Team, User
from callcenter.insights.models import Alert

#: The badge counts no further: it is on every page, and nobody acts differently on 1,000 than on 20,000.
COUNTED = 1000


def open_alert_count(user: User) -> int:
    """Return how many open alerts this user may see, at most COUNTED."""
    return Alert.objects.visible_to(user).open().order_by()[:COUNTED].count()


def uncovered_teams(user: User) -> list[Team]:
    """Return this user's teams in which only an administrator would see an alert on self-harm or threats."""
    able = User.objects.filter(is_active=True, restricted_alerts=True)
    if able.filter(role=Role.COMPLIANCE).exists():
        return []
    covered = able.filter(role=Role.SUPERVISOR).values("teams")
    teams = Team.objects.all() if user.sees_all_teams else user.teams.all()
    return list(teams.exclude(pk__in=covered.filter(teams__isnull=False)))
