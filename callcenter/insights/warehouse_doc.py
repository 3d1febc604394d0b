"""The one versioned document a call is loaded into the warehouse with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import F, Func, IntegerField, QuerySet
from sqlalchemy import Engine

from callcenter.calls.models import Call, Turn
from callcenter.insights.models import Alert

SCHEMA_VERSION = 1


def engine() -> Engine:
    """Return this process's warehouse engine."""
    from analytics.warehouse import shared

    return shared(settings.ANALYTICS_DATABASE_URL)


def load_into_warehouse(call: Call) -> None:
    """Upsert the call as it stands. Loading twice changes nothing."""
    from analytics.warehouse import loader

    loader.load_call(engine(), call_document(call))


def load_calls(ids: Iterable[Any]) -> None:
    """Upsert many calls, a few queries for each five hundred of them."""
    from analytics.warehouse import loader

    for some in batched(ids, loader.BATCH):
        loader.load_many(engine(), call_documents(Call.objects.filter(pk__in=some)))


def call_document(call: Call) -> dict[str, Any]:
    """Return the call document, version 1 (see docs/warehouse.md). It holds no transcript text and no quotes."""
    return next(call_documents(Call.objects.filter(pk=call.pk)))


def call_documents(calls: QuerySet[Call], *, chunk: int = 500) -> Iterator[dict[str, Any]]:
    """Yield the documents of these calls in their order, with five queries a chunk however many calls there are."""
    related = calls.select_related("recording", "team", "queue", "agent", "transcript", "insight")
    numbered = related.defer("recording__info", "transcript__mapping", "transcript__warnings")
    for some in batched(numbered.iterator(chunk_size=chunk), chunk):
        turns, alerts = _turns(some), _alerts(some)
        for call in some:
            yield _document(call, turns[call.transcript_id], alerts[call.pk])


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most `size` items."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _turns(calls: list[Call]) -> dict[Any, list[dict[str, Any]]]:
    """Return the turns by transcript. Words are counted where they lie: reading them would be most of the work."""
    count = Func(F("words"), function="jsonb_array_length", output_field=IntegerField())
    rows = (
        Turn.objects.filter(transcript__in=[call.transcript_id for call in calls])
        .order_by("transcript", "index")
        .values_list("transcript", "index", "party", "start_ms", "end_ms", count, "mean_probability", "review")
    )
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for transcript, index, party, start_ms, end_ms, words, probability, review in rows:
        found[transcript].append(
            {
                "index": index,
                "party": party,
                "start_ms": start_ms,
                "end_ms": end_ms,
                "words": words,
                "mean_probability": probability,
                "reviewed": bool(review),
            }
        )
    return found


def _alerts(calls: list[Call]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for alert in Alert.objects.filter(call__in=calls).order_by("call", "start_ms", "pk"):
        found[alert.call_id].append(
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
        )
    return found


def _document(call: Call, turns: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> dict[str, Any]:
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
        "turns": [{**turn, "sentiment": sentiments.get(turn["index"])} for turn in turns],
        "alerts": alerts,
    }
