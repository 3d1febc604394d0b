"""The one versioned document a call is loaded into the warehouse with."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from sqlalchemy import Engine

from callcenter.calls.models import Call

SCHEMA_VERSION = 1


@lru_cache(maxsize=2)
def _engine(url: str) -> Engine:
    from analytics.warehouse import connect

    return connect(url)


def engine() -> Engine:
    """Return the warehouse's engine; the same object for the same URL."""
    return _engine(settings.ANALYTICS_DATABASE_URL)


def load_into_warehouse(call: Call) -> None:
    """Upsert the call as it stands. Loading twice changes nothing."""
    from analytics.warehouse import loader

    loader.load_call(engine(), call_document(call))


def call_document(call: Call) -> dict[str, Any]:
    """Return the call document, version 1 (see docs/warehouse.md). It holds no transcript text and no quotes."""
    call = Call.objects.select_related("recording", "team", "queue", "agent", "transcript", "insight").get(
        pk=call.pk
    )
    transcript = call.transcript
    insight = getattr(call, "insight", None)
    understood = dict(insight.document) if insight else {}
    sentiments = {t["turn"]: t["score"] for t in understood.get("sentiment", {}).get("turns", [])}
    summary = {
        "intent": understood.get("intent", "unknown"),
        "intent_probability": understood.get("intent_probability", 0.0),
        "intents": [{k: v for k, v in i.items() if k != "turns"} for i in understood.get("intents", [])],
        "sentiment": {k: v for k, v in understood.get("sentiment", {}).items() if k != "turns"},
        "metrics": {k: v for k, v in understood.get("metrics", {}).items() if k != "holds"},
        "nlu_version": understood.get("nlu_version", ""),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "call_id": str(call.pk),
        "external_id": call.external_id,
        "recording_sha256": call.recording.sha256,
        "started_at": call.started_at.isoformat(),
        "duration_ms": call.recording.duration_ms,
        "direction": call.direction,
        "language": call.language,
        "customer_ref": call.customer_ref,
        "team": {"id": call.team_id, "name": call.team.name},
        "queue": {"id": call.queue_id, "name": call.queue.name if call.queue else ""},
        "agent": {
            "id": call.agent_id,
            "username": call.agent.username if call.agent else "",
            "name": call.agent.name if call.agent else "",
        },
        "layout": call.recording.layout,
        "model": transcript.model if transcript else "",
        "transcribed_at": transcript.created_at.isoformat() if transcript else None,
        "mean_word_probability": transcript.mean_probability if transcript else None,
        "words": transcript.word_count if transcript else 0,
        "insight": summary,
        "turns": [
            {
                "index": turn.index,
                "party": turn.party,
                "start_ms": turn.start_ms,
                "end_ms": turn.end_ms,
                "words": len(turn.words),
                "sentiment": sentiments.get(turn.index),
                "mean_probability": turn.mean_probability,
            }
            for turn in (transcript.turns.all() if transcript else [])
        ],
        "alerts": [
            {
                "id": str(alert.pk),
                "category": alert.category,
                "severity": alert.severity,
                "status": alert.status,
                "party": alert.party,
                "start_ms": alert.start_ms,
                "end_ms": alert.end_ms,
                "score": alert.score,
                "rule_key": alert.rule_key,
                "rule_version": alert.rule_version,
                "created_at": alert.created_at.isoformat(),
            }
            for alert in call.alerts.all()
        ],
    }
