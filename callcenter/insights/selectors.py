"""Reads about insights that more than one page needs."""

from __future__ import annotations

from callcenter.accounts.models import User
from callcenter.insights.models import Alert


def open_alert_count(user: User) -> int:
    """Return how many open alerts this user may see."""
    return Alert.objects.visible_to(user).open().count()
