"""What an export says of a call or a turn: names, types and values, the same in every format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Turn
from callcenter.privacy.services.levels import level_for
from callcenter.privacy.services.seeing import show

Kind = Literal["text", "integer", "number", "time"]
Row = dict[str, Any]

CALL: dict[str, Kind] = {
    "call_id": "text", "external_id": "text", "started_at": "time", "duration_ms": "integer", "team": "text",
    "queue": "text", "agent": "text", "direction": "text", "customer_ref": "text", "language": "text",
}  # fmt: skip
UNDERSTOOD: dict[str, Kind] = {
    "intent": "text", "intent_probability": "number", "sentiment": "number", "sentiment_customer": "number",
    "sentiment_agent": "number", "alerts": "integer", "open_alerts": "integer", "alert_categories": "text",
    "model": "text", "mean_probability": "number",
}  # fmt: skip
METRICS: dict[str, Kind] = {
    "talk_ratio_agent": "number", "silence_ms": "integer", "longest_silence_ms": "integer", "overtalk_ms": "integer",
    "hold_ms": "integer", "turns": "integer", "words": "integer", "wpm_agent": "number", "wpm_customer": "number",
    "interruptions_agent": "integer", "interruptions_customer": "integer",
}  # fmt: skip
TURN: dict[str, Kind] = {
    "turn": "integer", "party": "text", "start_ms": "integer", "end_ms": "integer", "text": "text",
    "turn_mean_probability": "number", "turn_sentiment": "number", "review": "text",
}  # fmt: skip


def columns(scope: str) -> dict[str, Kind]:
    """Return the columns of an export in order, with their types."""
    return {**CALL, **(TURN if scope == "turns" else {**UNDERSTOOD, **METRICS})}


def rows_of(call: Call, user: User, scope: str) -> Iterator[Row]:
    """Yield the rows of one call as this user may read them."""
    base: Row = {
        "call_id": str(call.pk),
        "external_id": call.external_id,
        "started_at": call.started_at,
        "duration_ms": call.recording.duration_ms,
        "team": call.team.name,
        "queue": call.queue.name if call.queue else "",
        "agent": call.agent.username if call.agent else "",
        "direction": call.direction,
        "customer_ref": call.customer_ref,
        "language": call.language,
    }
    insight = getattr(call, "insight", None)
    document = (insight.document if insight else {}) or {}
    if scope == "turns":
        moods = {item["turn"]: item["score"] for item in document.get("sentiment", {}).get("turns", [])}
        turns = list(call.transcript.turns.all()) if call.transcript else []
        show(turns, level_for(user, call))
        for turn in turns:
            yield {**base, **_turn(turn, None if call.corrected_at else moods.get(turn.index))}
        return
    metrics = document.get("metrics", {}) or {}
    alerts = list(call.seen_alerts)  # type: ignore[attr-defined]
    yield {
        **base,
        "intent": insight.intent if insight else None,
        "intent_probability": insight.intent_probability if insight else None,
        "sentiment": insight.sentiment if insight else None,
        "sentiment_customer": insight.sentiment_customer if insight else None,
        "sentiment_agent": insight.sentiment_agent if insight else None,
        "alerts": len(alerts),
        "open_alerts": sum(alert.status == "open" for alert in alerts),
        "alert_categories": " ".join(sorted({alert.category for alert in alerts})),
        "model": call.transcript.model.rsplit("/", 1)[-1] if call.transcript else None,
        "mean_probability": call.transcript.mean_probability if call.transcript else None,
        **{name: metrics.get(name) for name in METRICS},
    }


def _turn(turn: Turn, mood: float | None) -> Row:
    return {
        "turn": turn.index,
        "party": turn.party,
        "start_ms": turn.start_ms,
        "end_ms": turn.end_ms,
        "text": turn.text,
        "turn_mean_probability": turn.mean_probability,
        "turn_sentiment": mood,
        "review": turn.review,
    }
