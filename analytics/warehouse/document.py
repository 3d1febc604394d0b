"""The call document, version 1: what the loader takes, checked; an error names the path in the document.

Unknown keys are ignored, so the understanding side may say more than the warehouse keeps. Text that was said
(quotes, words) is never read, so it cannot get into the warehouse.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

SCHEMA_VERSION = 1
_MAX_INT = 2**31 - 1
_MAX_BIGINT = 2**63 - 1
_SLACK = 1e-6
_SHOWN_ERRORS = 5


class DocumentError(ValueError):
    """A call document cannot be loaded. `errors` are pairs of path and reason; no value is repeated in
    them.
    """

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        shown = "; ".join(f"{path}: {reason}" for path, reason in errors[:_SHOWN_ERRORS])
        more = f" (and {len(errors) - _SHOWN_ERRORS} more)" if len(errors) > _SHOWN_ERRORS else ""
        super().__init__(shown + more)
        self.errors = errors

    @property
    def path(self) -> str:
        """The path of the first error, for example `turns[3].start_ms`."""
        return self.errors[0][0]


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("holds a NUL character, which PostgreSQL cannot store")
    return value


def _utc(value: dt.datetime) -> dt.datetime:
    try:
        moment = value.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("is out of range") from None
    if moment.year < 1970:
        raise ValueError("lies before 1970")
    return moment


def _empty_for_none(value: Any) -> Any:
    return "" if value is None else value


def _rounded(value: Any) -> Any:
    return round(value) if isinstance(value, float) and value == value and abs(value) <= _MAX_INT else value


def _text_for_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _clamp(low: float, high: float) -> AfterValidator:
    # Ratios of rounded milliseconds may leave their range by a rounding error; more than that is a mistake.
    # Adding 0.0 takes the sign off a zero: the database does not keep it, and it would make two digests of one call.
    return AfterValidator(lambda value: min(max(value, low), high) + 0.0)


Str = Annotated[str, AfterValidator(_no_nul)]
OptionalStr = Annotated[Str, BeforeValidator(_empty_for_none)]
VersionStr = Annotated[Str, BeforeValidator(_text_for_number)]
Utc = Annotated[AwareDatetime, AfterValidator(_utc)]
Key = Annotated[int, Field(ge=1, le=_MAX_BIGINT)]
Int = Annotated[int, BeforeValidator(_rounded), Field(ge=0, le=_MAX_INT)]
Ratio = Annotated[float, Field(ge=-_SLACK, le=1 + _SLACK), _clamp(0.0, 1.0)]
Sentiment = Annotated[float, Field(ge=-1 - _SLACK, le=1 + _SLACK), _clamp(-1.0, 1.0)]
Change = Annotated[float, Field(ge=-2 - _SLACK, le=2 + _SLACK), _clamp(-2.0, 2.0)]
Rate = Annotated[float, Field(ge=0, le=100_000)]
Party = Literal["agent", "customer", "unknown"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class _Span(_Part):
    start_ms: Int
    end_ms: Int

    @model_validator(mode="after")
    def _in_order(self) -> _Span:
        if self.end_ms < self.start_ms:
            raise ValueError("end_ms is before start_ms")
        return self


class Team(_Part):
    id: Key
    name: Str


class Queue(_Part):
    id: Key | None = None
    name: OptionalStr = ""


class Agent(_Part):
    id: Key | None = None
    username: OptionalStr = ""
    name: OptionalStr = ""


class Turn(_Span):
    index: Int
    party: Party
    words: Int = 0
    sentiment: Sentiment | None = None
    mean_probability: Ratio | None = None
    reviewed: bool = False


class Alert(_Span):
    id: uuid.UUID
    category: Annotated[Str, Field(min_length=1)]
    severity: Literal["low", "medium", "high", "critical"]
    status: Literal["open", "acknowledged", "dismissed"]
    party: Party = "unknown"
    score: Ratio | None = None
    rule_key: OptionalStr = ""
    rule_version: VersionStr = ""
    created_at: Utc | None = None


class IntentFound(_Part):
    name: Annotated[Str, Field(min_length=1)]
    probability: Ratio = 0.0
    turns: tuple[int, ...] = ()


class SentimentFound(_Part):
    score: Sentiment | None = None
    agent: Sentiment | None = None
    customer: Sentiment | None = None
    customer_change: Change | None = None


class Metrics(_Part):
    talk_ratio_agent: Ratio | None = None
    agent_talk_ms: Int | None = None
    customer_talk_ms: Int | None = None
    silence_ms: Int | None = None
    silence_ratio: Ratio | None = None
    longest_silence_ms: Int | None = None
    overtalk_ms: Int | None = None
    interruptions_agent: Int | None = None
    interruptions_customer: Int | None = None
    wpm_agent: Rate | None = None
    wpm_customer: Rate | None = None
    longest_monologue_agent_ms: Int | None = None
    longest_monologue_customer_ms: Int | None = None
    response_latency_agent_ms: Int | None = None
    response_latency_customer_ms: Int | None = None
    hold_ms: Int | None = None
    holds: tuple[_Span, ...] | None = None


class Insight(_Part):
    nlu_version: OptionalStr = ""
    intent: Annotated[Str, Field(min_length=1)] = "unknown"
    intent_probability: Ratio | None = None
    intents: tuple[IntentFound, ...] = ()
    sentiment: SentimentFound = SentimentFound()
    metrics: Metrics = Metrics()


class CallDocument(_Part):
    """One call as the operational side describes it. `insight` is None where understanding did not run."""

    schema_version: Literal[1]
    call_id: uuid.UUID
    external_id: OptionalStr = ""
    recording_sha256: OptionalStr = ""
    started_at: Utc
    duration_ms: Int
    direction: Literal["inbound", "outbound", "unknown"] = "unknown"
    language: OptionalStr = ""
    customer_ref: OptionalStr = ""
    team: Team
    queue: Queue = Queue()
    agent: Agent = Agent()
    layout: OptionalStr = ""
    model: OptionalStr = ""
    transcribed_at: Utc | None = None
    mean_word_probability: Ratio | None = None
    words: Int = 0
    insight: Insight | None = None
    turns: tuple[Turn, ...] = ()
    alerts: tuple[Alert, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _none_is_absent(cls, value: Any) -> Any:
        """`queue` and `agent` may be null as a whole; both spellings mean a call without one."""
        if not isinstance(value, Mapping):
            return value
        return {k: v for k, v in value.items() if not (k in ("queue", "agent") and v is None)}

    @model_validator(mode="after")
    def _unique(self) -> CallDocument:
        if len({turn.index for turn in self.turns}) != len(self.turns):
            raise ValueError("two turns have the same index")
        if len({alert.id for alert in self.alerts}) != len(self.alerts):
            raise ValueError("two alerts have the same id")
        return self

    def sha256(self) -> str:
        """Return a digest of everything that the warehouse keeps of this document, stable between
        processes.
        """
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def parse(document: Mapping[str, Any] | CallDocument) -> CallDocument:
    """Return the checked document.

    Raises:
        DocumentError: with every path that is wrong and why.
    """
    if isinstance(document, CallDocument):
        return document
    try:
        return CallDocument.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise DocumentError([(_path(e["loc"]), _reason(e["msg"])) for e in found]) from None


def _path(loc: tuple[str | int, ...]) -> str:
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path or "document"


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
