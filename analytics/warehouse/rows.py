"""How one call document turns into rows: pure functions, and the dimension rows that the facts refer to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.postgresql import insert

from analytics.warehouse.document import CallDocument, Insight, Metrics
from analytics.warehouse.measures import RESTRICTED
from analytics.warehouse.tables import (
    NONE_KEY,
    dim_agent,
    dim_date,
    dim_intent,
    dim_model,
    dim_queue,
    dim_team,
)

ROWS_VERSION = 2
"""Raise this when the same document shall give other rows: every call then counts as changed at its next
load.
"""

NO_QUEUE = "No queue"
NO_AGENT = "No agent"

_METRICS = tuple(name for name in Metrics.model_fields if name != "holds")


def digest(document: CallDocument) -> str:
    """Return what tells two documents apart, including the version of these functions."""
    return f"{ROWS_VERSION}:{document.sha256()}"


def call(document: CallDocument, document_sha256: str) -> dict[str, Any]:
    """Return the row of `fact_call`. Without an insight its measures are None and its intent is "unknown"."""
    insight = document.insight or Insight()
    metrics = insight.metrics
    return {
        "call_id": document.call_id,
        "external_id": document.external_id,
        "recording_sha256": document.recording_sha256,
        "started_at": document.started_at,
        "hour_at": document.started_at.replace(minute=0, second=0, microsecond=0),
        "date_key": document.started_at.date(),
        "team_id": document.team.id,
        "queue_id": document.queue.id or NONE_KEY,
        "agent_id": document.agent.id or NONE_KEY,
        "intent": insight.intent,
        "model": document.model,
        "direction": document.direction,
        "language": document.language,
        "customer_ref": document.customer_ref,
        "layout": document.layout,
        "transcribed_at": document.transcribed_at,
        "duration_ms": document.duration_ms,
        "words": document.words,
        "turns": len(document.turns),
        "mean_word_probability": document.mean_word_probability,
        "intent_probability": insight.intent_probability,
        "sentiment": insight.sentiment.score,
        "sentiment_agent": insight.sentiment.agent,
        "sentiment_customer": insight.sentiment.customer,
        "sentiment_customer_change": insight.sentiment.customer_change,
        **{name: getattr(metrics, name) for name in _METRICS},
        "holds": None if metrics.holds is None else len(metrics.holds),
        "alerts": len(document.alerts),
        "open_alerts": sum(alert.status == "open" for alert in document.alerts),
        "restricted_alerts": sum(alert.category in RESTRICTED for alert in document.alerts),
        "restricted_open_alerts": sum(
            alert.category in RESTRICTED and alert.status == "open" for alert in document.alerts
        ),
        "reviewed_turns": sum(turn.reviewed for turn in document.turns),
        "nlu_version": insight.nlu_version,
        "document_sha256": document_sha256,
    }


def turns(document: CallDocument) -> Iterator[dict[str, Any]]:
    """Yield the rows of `fact_turn`. Written out, because there are more of them than of everything else."""
    for turn in document.turns:
        yield {
            "call_id": document.call_id,
            "turn_index": turn.index,
            "party": turn.party,
            "start_ms": turn.start_ms,
            "end_ms": turn.end_ms,
            "words": turn.words,
            "sentiment": turn.sentiment,
            "mean_probability": turn.mean_probability,
        }


def alerts(document: CallDocument) -> Iterator[dict[str, Any]]:
    """Yield the rows of `fact_alert`."""
    for alert in document.alerts:
        yield {"call_id": document.call_id, "alert_id": alert.id, **alert.model_dump(exclude={"id"})}


def intents(document: CallDocument) -> Iterator[dict[str, Any]]:
    """Yield the rows of `fact_call_intent`, one per name; of two with one name the more probable counts."""
    if document.insight is None:
        return
    found = {one.name: one for one in sorted(document.insight.intents, key=lambda one: one.probability)}
    for name, one in found.items():
        yield {
            "call_id": document.call_id,
            "intent": name,
            "probability": one.probability,
            "is_primary": name == document.insight.intent,
            "turns": len(set(one.turns)),
        }


def write_dimensions(connection: Connection, documents: Sequence[CallDocument]) -> None:
    """Add the dimension rows that the documents refer to and correct names that changed (the last document
    wins).
    """
    days = {document.started_at.date() for document in documents}
    _write(connection, dim_date, {day: _day(day) for day in days})
    _write(connection, dim_team, {d.team.id: {"team_id": d.team.id, "name": d.team.name} for d in documents})
    _write(connection, dim_queue, {row["queue_id"]: row for row in map(_queue, documents)})
    _write(connection, dim_agent, {row["agent_id"]: row for row in map(_agent, documents)})
    names = {"unknown"}
    for document in documents:
        if document.insight is not None:
            names |= {document.insight.intent, *(one.name for one in document.insight.intents)}
    _write(connection, dim_intent, {name: {"intent": name} for name in names})
    _write(connection, dim_model, {d.model: {"model": d.model} for d in documents})


def _write(connection: Connection, table: Table, wanted: Mapping[Any, Mapping[str, Any]]) -> None:
    """Upsert only what differs: loaders that agree on the names never wait for each other's row locks."""
    (key,) = table.primary_key.columns
    standing = {
        row[key.name]: dict(row) for row in connection.execute(select(table).where(key.in_(list(wanted)))).mappings()
    }
    missing = [dict(row) for value, row in sorted(wanted.items()) if standing.get(value) != row]
    if not missing:
        return
    statement = insert(table)
    others = {column.name: statement.excluded[column.name] for column in table.columns if column is not key}
    if others:
        statement = statement.on_conflict_do_update(index_elements=[key], set_=others)
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement, missing)


def _queue(document: CallDocument) -> dict[str, Any]:
    if document.queue.id is None:
        return {"queue_id": NONE_KEY, "name": NO_QUEUE}
    return {"queue_id": document.queue.id, "name": document.queue.name}


def _agent(document: CallDocument) -> dict[str, Any]:
    agent = document.agent
    if agent.id is None:
        return {"agent_id": NONE_KEY, "username": "", "name": NO_AGENT}
    return {"agent_id": agent.id, "username": agent.username, "name": agent.name or agent.username}


def _day(day: dt.date) -> dict[str, Any]:
    iso = day.isocalendar()
    return {
        "date_key": day,
        "year": day.year,
        "quarter": (day.month + 2) // 3,
        "month": day.month,
        "day": day.day,
        "iso_year": iso.year,
        "iso_week": iso.week,
        "weekday": iso.weekday,
        "is_weekend": iso.weekday > 5,
    }
