"""What machines ask of the site, and the pages shown when something is not there or broke."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from callcenter.pipeline import broker


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when database and broker answer, else 503; says no more than which of them does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = True
    except DatabaseError:
        database = False
    checks = {"database": database, "broker": broker.ping()}
    healthy = all(checks.values())
    answer = JsonResponse({"status": "ok" if healthy else "failing", **checks}, status=200 if healthy else 503)
    answer["Cache-Control"] = "no-store"
    return answer


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus, given the METRICS_TOKEN as a bearer token; without one set, there is no such page."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    from callcenter.core.metrics import registry

    expected = settings.ENV.METRICS_TOKEN
    if not expected:
        return HttpResponse(status=404)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not secrets.compare_digest(given.encode(), expected.encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)


def _problem(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        code = {400: "bad_request", 403: "forbidden", 404: "not_found"}.get(status, "error")
        return JsonResponse({"code": code, "message": f"{title}."}, status=status)
    context = {"status": status, "title": title, "text": text}
    return render(request, "problem.html", context, status=status)


def not_allowed(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """403: signed in, but the role does not include this."""
    text = _("Your role does not include this page. If it should, ask an administrator.")
    return _problem(request, 403, _("Not for your role"), text)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """404: not there, or not visible to this user; deliberately the same answer."""
    text = _("It may have been removed, or it belongs to a team whose calls you do not see.")
    return _problem(request, 404, _("Nothing is here"), text)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """400: the request could not be understood."""
    return _problem(
        request, 400, _("That request was not understood"), _("Go back, load the page again and try once more.")
    )


def broke(request: HttpRequest) -> HttpResponse:
    """500: a bug of ours. Uses no database and no context processor, since either may be what broke."""
    from django.template.loader import render_to_string

    if request.path.startswith("/api/"):
        return JsonResponse({"code": "server_error", "message": _("Something broke on our side.")}, status=500)
    return HttpResponse(render_to_string("500.html"), status=500)
