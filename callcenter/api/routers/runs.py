"""Runs: how far the work is, why it failed, once more."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from pydantic import Field

from callcenter.accounts.models import Role, User
from callcenter.api.paging import page
from callcenter.api.routers.calls import run_out
from callcenter.api.schemas import Problem, RunOut, RunPage, Text
from callcenter.core.errors import CallcenterError
from callcenter.pipeline import services
from callcenter.pipeline.models import Run

router = Router(tags=["runs"])


class RunQuery(Schema):
    """Filters; all may be combined."""

    state: Text = ""
    call: UUID | None = None
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=500)


@router.get("", response={200: RunPage, 422: Problem})
def list_runs(request: HttpRequest, filters: Query[RunQuery]) -> RunPage:
    """Return the visible runs, newest first."""
    wanted = {"state": filters.state, "call": filters.call}
    runs = Run.objects.visible_to(_user(request)).filter(**{k: v for k, v in wanted.items() if v})
    rows, following = page(runs, field="created_at", cursor=filters.cursor, limit=filters.limit)
    return RunPage(items=[run_out(run) for run in rows], next=following)


@router.get("/{uuid:run_id}", response={200: RunOut, 404: Problem})
def get_run(request: HttpRequest, run_id: UUID) -> RunOut:
    """Return one run."""
    return run_out(get_object_or_404(Run.objects.visible_to(_user(request)), pk=run_id))


@router.post("/{uuid:run_id}/retry", response={202: RunOut, 403: Problem, 404: Problem, 409: Problem})
def retry(request: HttpRequest, run_id: UUID) -> Status[RunOut]:
    """Put a failed run back in line."""
    run = get_object_or_404(Run.objects.visible_to(_user(request)), pk=run_id)
    if not _user(request).has_role(Role.SUPERVISOR, Role.OPERATOR):
        raise CallcenterError("Your role may not do this.", code="forbidden")
    return Status(202, run_out(services.retry(run=run, by=_user(request))))


def _user(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
