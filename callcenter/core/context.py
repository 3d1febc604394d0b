"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.decorators import BATCH_READERS, EDITORS, OPERATORS, READERS
from callcenter.accounts.models import Role
from callcenter.core import help, keys
from callcenter.core.languages import script_address

COUNTED = {"review:queue": _("corrections to approve"), "privacy:masks": _("recordings to decide on")}


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the product's name and, for a signed-in user, the navigation with the open-alert count."""
    context: dict[str, Any] = {
        "product_name": "Callcenter",
        "time_zone": settings.TIME_ZONE,
        "languages": settings.LANGUAGES,
        "language": get_language() or settings.LANGUAGE_CODE,
        "script_words": script_address(),
    }
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and not request.headers.get("HX-Request"):
        from callcenter.insights.selectors import open_alert_count
        from callcenter.privacy.selectors import failed_count
        from callcenter.review.selectors import pending_count

        context["open_alert_count"] = open_alert_count(user)
        context["navigation"] = _navigation(
            request, context["open_alert_count"], pending_count(user), failed_count(user)
        )
        context |= _guidance(request, context["navigation"])
    return context


def _guidance(request: HttpRequest, navigation: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the help that fits this page and the keys that hold on it."""
    view_name = request.resolver_match.view_name if request.resolver_match else ""
    reachable = [
        *navigation,
        {"name": "notifications:inbox", "url": reverse("notifications:inbox"), "label": gettext("Inbox")},
        {"name": "help", "url": reverse("help"), "label": gettext("Help")},
    ]
    return {
        "help_url": help.section_for(view_name),
        "key_jumps": keys.jumps(reachable),
        "key_everywhere": keys.EVERYWHERE,
        "key_groups": keys.groups(view_name, may_correct=request.user.has_role(*EDITORS)),  # type: ignore[union-attr]
    }


def _navigation(request: HttpRequest, open_alerts: int, waiting: int, masks: int) -> list[dict[str, Any]]:
    """Return only the pages that this user may open, in the order of a working day."""
    entries = (
        ("dashboards:home", _("Dashboard"), "layout-dashboard", READERS, 0),
        ("calls:list", _("Calls"), "phone", READERS, 0),
        ("insights:alerts", _("Alerts"), "alert-triangle", READERS, open_alerts),
        ("review:queue", _("Review"), "pencil-check", EDITORS, waiting),
        ("privacy:masks", _("Privacy"), "shield-lock", (Role.COMPLIANCE,), masks),
        ("calls:batches", _("Batches"), "upload", BATCH_READERS, 0),
        ("learning:overview", _("Learning"), "school", OPERATORS, 0),
        ("pipeline:operations", _("Operations"), "server-2", OPERATORS, 0),
    )
    # What raises alerts is reached by the tabs of their page.
    here = "/alerts/" if request.path.startswith(("/rules/", "/intents/", "/notifications/")) else request.path
    return [
        {
            "name": name,
            "url": url,
            "label": label,
            "icon": icon,
            "count": count,
            "counted": COUNTED.get(name, _("open alerts")),
            "active": here == url or (url != "/" and here.startswith(url)),
        }
        for name, label, icon, roles, count in entries
        if request.user.has_role(*roles)  # type: ignore[union-attr]
        for url in [reverse(name)]
    ]
