"""What the API takes and gives. Times are integer milliseconds; dates are ISO 8601 with zone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


#: Text that the database takes; the NUL character, which it does not, is answered with 422.
Text = Annotated[str, AfterValidator(_storable)]


class Problem(Schema):
    """Every refusal: a stable code for machines and a sentence for people."""

    code: str
    message: str


class RecordingRow(Schema):
    """One uploaded file: received, checking, done, duplicate or refused."""

    id: int
    filename: str
    state: str
    reason: str
    code: str
    batch_id: UUID
    call_id: UUID | None


class CallSummary(Schema):
    id: UUID
    external_id: str
    started_at: datetime
    duration_ms: int
    team: str
    queue: str
    agent: str
    direction: str
    customer_ref: str
    language: str
    layout: str
    parties_swapped: bool
    state: str
    intent: str
    sentiment: float | None
    open_alerts: int


class CallPage(Schema):
    """One page of calls, newest first; `next` is the cursor of the following page or null."""

    items: list[CallSummary]
    next: str | None


class AlertOut(Schema):
    id: UUID
    call_id: UUID
    category: str
    severity: str
    status: str
    party: str
    start_ms: int
    end_ms: int
    quote: str
    word_ids: list[str]
    transcription_confidence: float | None
    components: list[Any]
    score: float
    listen_first: bool
    #: The evidence is too thin to say anything; somebody must listen.
    thin: bool
    rule_key: str
    rule_version: str
    assigned_to: str | None
    dismiss_kind: str
    dismiss_reason: str
    handled_at: datetime | None
    created_at: datetime


class AlertEventOut(Schema):
    """One entry of an alert's history; a comment is one of kind `comment`."""

    kind: str
    text: str
    person: str | None
    by: str | None
    at: datetime


class AlertDetail(AlertOut):
    events: list[AlertEventOut]


class Assignment(Schema):
    username: Text = ""


class CommentIn(Schema):
    text: Text


class AlertPage(Schema):
    items: list[AlertOut]
    next: str | None


class Dismissal(Schema):
    """`kind` is one of wrong, handled, irrelevant, duplicate, test; only `wrong` counts against the rule."""

    reason: Text
    kind: Text = "wrong"


class RunOut(Schema):
    id: UUID
    call_id: UUID
    state: str
    stage: str
    progress: float
    attempt: int
    failures: int
    error_code: str
    error_message: str
    error_permanent: bool
    created_at: datetime
    finished_at: datetime | None
    seconds: dict[str, float]


class RunPage(Schema):
    items: list[RunOut]
    next: str | None


class Health(Schema):
    status: str
    database: bool
    broker: bool
