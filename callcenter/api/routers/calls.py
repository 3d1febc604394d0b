"""Calls, their transcripts and what was understood."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from pydantic import Field

from callcenter.accounts.models import Role, User
from callcenter.api import subtitles
from callcenter.api.paging import page
from callcenter.api.schemas import CallPage, CallSummary, Problem, RunOut, Text
from callcenter.calls.models import Call, Turn
from callcenter.calls.selectors import open_alerts_of
from callcenter.calls.services.parties import swap_parties
from callcenter.calls.services.transcripts import current_document
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights.models import Alert
from callcenter.insights.services import alert_document
from callcenter.pipeline import services as pipeline
from callcenter.pipeline.models import Run
from callcenter.privacy.services import document_for, texts_for

router = Router(tags=["calls"])


class CallQuery(Schema):
    """Filters; all may be combined."""

    q: Text = ""
    team: Text = ""
    queue: Text = ""
    agent: Text = ""
    intent: Text = ""
    direction: Text = ""
    external_id: Text = ""
    customer_ref: Text = ""
    start: datetime | None = None
    end: datetime | None = None
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=500)


@router.get("", response={200: CallPage, 422: Problem})
def list_calls(request: HttpRequest, filters: Query[CallQuery]) -> CallPage:
    """Return the visible calls, newest first."""
    calls = _described(Call.objects.visible_to(_user(request)), _user(request))
    exact = {
        "team__slug": filters.team,
        "queue__name": filters.queue,
        "agent__username": filters.agent,
        "insight__intent": filters.intent,
        "direction": filters.direction,
        "external_id": filters.external_id,
        "customer_ref": filters.customer_ref,
        "started_at__gte": filters.start,
        "started_at__lt": filters.end,
    }
    calls = calls.filter(**{key: value for key, value in exact.items() if value})
    if filters.q:
        said = Turn.objects.filter(search=SearchQuery(filters.q, search_type="websearch", config="english"))
        calls = calls.filter(transcript__in=said.values("transcript"))
    rows, following = page(calls, field="started_at", cursor=filters.cursor, limit=filters.limit)
    return CallPage(items=[_summary(call) for call in rows], next=following)


@router.get("/{uuid:call_id}", response={200: CallSummary, 404: Problem})
def get_call(request: HttpRequest, call_id: UUID) -> CallSummary:
    """Return one call."""
    user = _user(request)
    call = get_object_or_404(_described(Call.objects.visible_to(user), user), pk=call_id)
    audit.record("call.view", call, request=request, door="api")
    return _summary(call)


@router.get("/{uuid:call_id}/transcript", response={200: dict[str, Any], 404: Problem, 409: Problem})
def get_transcript(request: HttpRequest, call_id: UUID) -> dict[str, Any]:
    """Return the transcript as it reads now: turns by party with word times and probabilities."""
    return _document(request, call_id)


@router.get("/{uuid:call_id}/transcript.{fmt}", response={200: None, 404: Problem, 409: Problem, 422: Problem})
def get_transcript_as(request: HttpRequest, call_id: UUID, fmt: Literal["srt", "vtt", "txt", "json"]) -> HttpResponse:
    """Return the transcript as SubRip, WebVTT, plain text or JSON."""
    document = _document(request, call_id)
    if fmt == "json":
        import json

        body, kind = json.dumps(document, ensure_ascii=False, indent=1), "application/json"
    else:
        body, kind = (
            {
                "srt": (subtitles.srt, "application/x-subrip"),
                "vtt": (subtitles.vtt, "text/vtt"),
                "txt": (subtitles.plain, "text/plain"),
            }[fmt][0](document),
            {"srt": "application/x-subrip", "vtt": "text/vtt", "txt": "text/plain"}[fmt],
        )
    response = HttpResponse(body, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="call-{call_id}.{fmt}"'
    return response


@router.get("/{uuid:call_id}/insight", response={200: dict[str, Any], 404: Problem})
def get_insight(request: HttpRequest, call_id: UUID) -> dict[str, Any]:
    """Return intents, sentiment, talk metrics and alerts of a call."""
    call = get_object_or_404(Call.objects.visible_to(_user(request)).select_related("insight"), pk=call_id)
    user = _user(request)
    audit.record("call.view_insight", call, request=request, door="api")
    insight = getattr(call, "insight", None)
    alerts = Alert.objects.filter(call=call).permitted_to(_user(request)).order_by("start_ms", "rule_key")
    return {
        "call_id": str(call.pk),
        "understood": insight is not None,
        **(texts_for(user, call, insight.document) if insight else {}),
        "alerts": texts_for(user, call, [alert_document(alert) for alert in alerts]),
    }


@router.post("/{uuid:call_id}/swap-parties", response={202: RunOut, 403: Problem, 404: Problem, 409: Problem})
def swap(request: HttpRequest, call_id: UUID) -> Status[RunOut]:
    """Exchange agent and customer and understand the call again."""
    call = _changeable(request, call_id)
    return Status(202, run_out(swap_parties(call=call, by=_user(request))))


@router.post("/{uuid:call_id}/reprocess", response={202: RunOut, 403: Problem, 404: Problem, 409: Problem})
def reprocess(request: HttpRequest, call_id: UUID) -> Status[RunOut]:
    """Run the whole pipeline again with the model served now."""
    call = _changeable(request, call_id)
    return Status(202, run_out(pipeline.reprocess(call=call, by=_user(request))))


def run_out(run: Run) -> RunOut:
    """Return a run as the API shows it."""
    return RunOut(**{name: getattr(run, name) for name in RunOut.model_fields})


def _changeable(request: HttpRequest, call_id: UUID) -> Call:
    call = get_object_or_404(Call.objects.visible_to(_user(request)), pk=call_id)
    if not _user(request).has_role(Role.SUPERVISOR):
        raise CallcenterError("Your role may not do this.", code="forbidden")
    return call


def _document(request: HttpRequest, call_id: UUID) -> dict[str, Any]:
    calls = Call.objects.visible_to(_user(request)).select_related("transcript", "recording")
    call = get_object_or_404(calls, pk=call_id)
    audit.record("call.view_transcript", call, request=request, door="api")
    return document_for(_user(request), call, current_document(call))


def _described(calls: QuerySet[Call], user: User) -> QuerySet[Call]:
    newest = Run.objects.filter(call=OuterRef("pk")).order_by("-created_at").values("state")[:1]
    return calls.select_related("recording", "team", "queue", "agent", "insight").annotate(
        run_state=Subquery(newest), open_alerts=Count("alerts", filter=open_alerts_of(user))
    )


def _summary(call: Any) -> CallSummary:
    insight = getattr(call, "insight", None)
    return CallSummary(
        id=call.pk,
        external_id=call.external_id,
        started_at=call.started_at,
        duration_ms=call.recording.duration_ms,
        team=call.team.name,
        queue=call.queue.name if call.queue else "",
        agent=call.agent.username if call.agent else "",
        direction=call.direction,
        customer_ref=call.customer_ref,
        language=call.language,
        layout=call.recording.layout,
        parties_swapped=call.parties_swapped,
        state=call.run_state or "",
        intent=insight.intent if insight else "",
        sentiment=insight.sentiment if insight else None,
        open_alerts=call.open_alerts,
    )


def _user(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
