"""Reads about insights that more than one page needs."""

from __future__ import annotations

from callcenter.accounts.models import User
from callcenter.insights.models import Alert

#: The badge counts no further: it is on every page, and nobody acts differently on 1,000 than on 20,000.
COUNTED = 1000


def open_alert_count(user: User) -> int:
    """Return how many open alerts this user may see, at most COUNTED."""
    return Alert.objects.visible_to(user).open().order_by()[:COUNTED].count()
