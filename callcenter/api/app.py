"""/api/v1: the machine's door. Every query goes through `visible_to`; what is not visible is 404, not 403."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from callcenter.api.auth import AUTH
from callcenter.api.routers import alerts, calls, health, recordings, runs
from callcenter.core.errors import CallcenterError

api = NinjaAPI(
    title="Callcenter",
    version="1",
    urls_namespace="api-1",
    auth=AUTH,
    docs_url=None,
    description="Recordings in; who spoke, what was said, what the caller wanted and what is risky out.",
)
api.add_router("/recordings", recordings.router)
api.add_router("/calls", calls.router)
api.add_router("/alerts", alerts.router)
api.add_router("/runs", runs.router)
api.add_router("/health", health.router)

STATUS = {
    "busy": HTTPStatus.CONFLICT,
    "not_failed": HTTPStatus.CONFLICT,
    "idempotency_mismatch": HTTPStatus.CONFLICT,
    "no_transcript": HTTPStatus.CONFLICT,
    "forbidden": HTTPStatus.FORBIDDEN,
    "team_not_allowed": HTTPStatus.FORBIDDEN,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


@api.exception_handler(CallcenterError)
def on_known_error(request: HttpRequest, error: Any) -> HttpResponse:
    """A refusal that the caller can understand."""
    status = STATUS.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)
    return api.create_response(request, {"code": error.code, "message": error.message}, status=status)


@api.exception_handler(Http404)
def on_not_found(request: HttpRequest, error: Any) -> HttpResponse:
    """Absent and not visible look alike."""
    return api.create_response(request, {"code": "not_found", "message": "There is no such thing."}, status=404)


@api.exception_handler(AuthenticationError)
def on_nobody(request: HttpRequest, error: Any) -> HttpResponse:
    """No token and no session, or one that is not valid (any more); which of them is not said."""
    problem = {"code": "unauthorised", "message": "A valid token is needed: Authorization: Bearer cc_…"}
    return api.create_response(request, problem, status=401)


@api.exception_handler(HttpError)
def on_unreadable(request: HttpRequest, error: Any) -> HttpResponse:
    """A body that is not what its content type says, above all."""
    return api.create_response(request, {"code": "bad_request", "message": error.message}, status=error.status_code)


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: Any) -> HttpResponse:
    """Each wrong field by name; the values are not repeated."""
    parts = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors]
    return api.create_response(request, {"code": "invalid", "message": "; ".join(parts)}, status=422)
