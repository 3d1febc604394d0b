"""The bell in the navigation."""

from __future__ import annotations

from typing import Any

from django import template

from callcenter.insights.notifications import inbox

register = template.Library()


@register.simple_tag
def unread_notices(user: Any) -> int:
    """Return how many notices wait for the signed-in user."""
    return inbox.unread_count(user)
