"""Times on pages are those of the person who reads them."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse
from django.utils import timezone


class OwnTimeZone:
    """Every page is drawn on the clock that its reader chose, else on the site's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = getattr(getattr(request, "user", None), "time_zone", "")
        if not name:
            return self.get_response(request)
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            # A zone that a newer machine knew: better the site's clock than no page.
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)
