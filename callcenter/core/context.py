"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the product's name, the debug flag and the open-alert count shown in the navigation."""
    context: dict[str, Any] = {"product_name": "Callcenter", "time_zone": settings.TIME_ZONE}
    if getattr(request, "user", None) is not None and request.user.is_authenticated:
        from callcenter.insights.selectors import open_alert_count

        context["open_alert_count"] = open_alert_count(request.user)
    return context
