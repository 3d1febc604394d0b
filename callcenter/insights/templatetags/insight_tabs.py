"""The tabs over what belongs to alerts: only those that exist here and that this user may open."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.decorators import READERS, REVIEWERS, SUPERVISORS

register = template.Library()
#: Key (what a page passes as `here`), words, address by name, who may open it.
TABS = (
    ("alerts", _("Alerts"), "insights:alerts", READERS),
    ("rules", _("Rules"), "insights:rules", SUPERVISORS),
    ("quality", _("Quality"), "insights:quality", REVIEWERS),
    ("intents", _("Intents"), "intents:list", SUPERVISORS),
    ("answers", _("Answers"), "answers:list", READERS),
    ("notifications", _("Notifications"), "notifications:list", SUPERVISORS),
)


@register.simple_tag(takes_context=True)
def insight_tab_list(context: Any, here: str = "") -> list[dict[str, Any]]:
    """Return the tabs of the signed-in user; none at all where only one would be left."""
    user = context["request"].user
    tabs = []
    for key, label, name, roles in TABS:
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        if user.has_role(*roles):
            tabs.append({"label": label, "url": url, "active": key == here})
    return tabs if len(tabs) > 1 else []
