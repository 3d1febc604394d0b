"""The one versioned document a call is loaded into the warehouse with."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from sqlalchemy import Engine

from callcenter.calls.models import Call

SCHEMA_VERSION = 1


def engine() -> Engine:
    """Return this process's warehouse engine."""
    from analytics.warehouse import shared

    return shared(settings.ANALYTICS_DATABASE_URL)


def load_into_warehouse(call: Call) -> None:
    """Upsert the call as it stands. Loading twice changes nothing."""
    from analytics.warehouse import loader

    loader.load_call(engine(), call_document(call))


def call_document(call: Call) -> dict[str, Any]:
    """Return the call document, version 1 (see docs/warehouse.md). It holds no transcript text and no quotes."""
    call = Call.objects.select_related("recording", "team", "queue", "agent", "transcript", "insight").get(pk=call.pk)
    transcript = call.transcript
    insight = getattr(call, "insight", None)
    understood = dict(insight.document) if insight else {}
    sentiments = {t["turn"]: t["score"] for t in understood.get("sentiment", {}).get("turns", [])}
    keys = ("intent", "intent_probability", "intents", "metrics", "nlu_version")
    summary = {key: understood[key] for key in keys if key in understood}
    # The curve by turn goes with the turns; saying it twice would let the two disagree.
    summary["sentiment"] = {k: v for k, v in understood.get("sentiment", {}).items() if k != "turns"}
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
        "insight": summary if insight else None,
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
