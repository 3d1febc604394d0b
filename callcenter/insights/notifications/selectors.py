"""Reads of the notification pages."""

from __future__ import annotations

from django.db.models import Count, Max, Q, QuerySet

from callcenter.accounts.models import User
from callcenter.core.paging import Key, Page, paginate, parse_id, parse_time
from callcenter.insights.notifications.models import Delivery, Route

State = Delivery.State
LOG_KEYS = (Key("created_at", True, parse_time), Key("id", True, parse_id))


def routes(user: User) -> QuerySet[Route]:
    """Return the routes of this user with what is waiting, what failed in all and when something last arrived."""
    return (
        Route.objects.visible_to(user)
        .select_related("team")
        .annotate(
            waiting=Count("deliveries", filter=Q(deliveries__state__in=Delivery.OPEN)),
            failed=Count("deliveries", filter=Q(deliveries__state=State.FAILED)),
            last_sent=Max("deliveries__sent_at"),
        )
    )


def log(route: Route, *, state: str = "", after: str = "", before: str = "") -> Page[Delivery]:
    """Return one page of a route's deliveries, newest first."""
    rows = Delivery.objects.filter(route=route).select_related("created_by", "surge")
    if state:
        rows = rows.filter(state=state)
    return paginate(rows.annotate(alerts=Count("items")), LOG_KEYS, after=after, before=before, size=20)
