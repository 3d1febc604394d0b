"""The dashboard's figures, all from the warehouse, each with the address of the calls behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from sqlalchemy import Connection, Engine

from analytics.warehouse import CallFilter, queries
from analytics.warehouse.results import AgentRow, BucketRow, Figures, HeatCell, QueueRow
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.selectors import intent_labels
from callcenter.core.templatetags import cc
from callcenter.dashboards import peers
from callcenter.dashboards.scope import bucket_of, call_filter, calls_link
from callcenter.dashboards.tiles import MEASURES, tiles
from callcenter.insights.models import Category

WEEKDAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
INTENTS_SHOWN = 12
AGENTS_SHOWN = 12
INTENT_MEASURES = ("calls", "sentiment_calls", "sentiment_sum", "duration_ms")
QUEUE_MEASURES = (
    "calls", "duration_ms", "sentiment_calls", "sentiment_sum", "negative_calls", "silence_ms", "measured_ms",
    "open_alerts",
)  # fmt: skip


def dashboard(db: Engine, user: User, query: CallQuery, *, here: str = "") -> dict[str, Any]:
    """Return everything that the dashboard shows for this user and filter. `here` is the way back to it."""
    flt = call_filter(user, query)
    with db.connect() as raw:
        connection = raw.execution_options(postgresql_readonly=True)
        head = headline(connection, flt)
        if not head[0].calls:
            return {"figures": head[0], "compared": head[1] is not None}
        agents = queries.agents(connection, flt)
        return {
            "figures": head[0],
            "compared": head[1] is not None and head[1].calls > 0,
            **trend(connection, flt, query, head, here=here),
            "moods": moods(head[0], query, here=here),
            "intents": intents(connection, flt, query, here=here)[:INTENTS_SHOWN],
            "categories": categories(connection, flt, query, here=here),
            "agents": agent_rows(agents, query, here=here)[:AGENTS_SHOWN],
            "agent_count": len(agents),
            "queues": queue_rows(queries.queues(connection, flt, QUEUE_MEASURES), query, here=here),
        }


def headline(db: Connection, flt: CallFilter) -> tuple[Figures, Figures | None]:
    """Return the figures of the period and, where it has a length, of the one before."""
    change = queries.headline_with_previous(db, flt)
    return change.now, change.before


def trend(
    db: Connection, flt: CallFilter, query: CallQuery, head: tuple[Figures, Figures | None], *, here: str = ""
) -> dict[str, Any]:
    """Return tiles and the charts over time: the period, the one before it, and the hours of the week."""
    bucket, zone = bucket_of(query), timezone.get_current_timezone_name()
    series = queries.calls_over_time(db, flt, bucket, zone, MEASURES)
    earlier: list[BucketRow] = []
    if head[1] is not None and head[1].calls:
        earlier = queries.calls_over_time(db, flt.previous(), bucket, zone, ("calls",))
    points = [_point(row, query, bucket, here) for row in series]
    for point, row in zip(points, earlier, strict=False):
        point["before"] = row.figures.calls
    return {
        "tiles": tiles(*head, series, query, back=here),
        "charts": {
            "bucket": bucket,
            "calls": points,
            "heat": [_heat(cell, query, here) for cell in queries.heatmap(db, flt, zone, ("calls",))],
            "weekdays": WEEKDAYS,
        },
    }


def _point(row: BucketRow, query: CallQuery, bucket: str, here: str) -> dict[str, Any]:
    zone = timezone.get_current_timezone()
    first = row.start.astimezone(zone)
    last = (row.end - timedelta(seconds=1)).astimezone(zone)
    changes: dict[str, Any] = {
        "start": max(first.date(), query.start) if query.start else first.date(),
        "end": min(last.date(), query.end) if query.end else last.date(),
    }
    if bucket == "hour":
        changes["hour"] = first.hour
    day = dateformat.format(first, gettext("d M"))
    label = {"hour": f"{day} {first:%H}:00", "day": day, "week": day, "month": dateformat.format(first, gettext("M Y"))}
    figures = row.figures
    return {
        "label": label[bucket],
        "calls": figures.calls,
        "before": None,
        "agent": figures.sentiment_agent,
        "customer": figures.sentiment_customer,
        "score": figures.sentiment,
        "url": calls_link(query, back=here, **changes),
    }


def _heat(cell: HeatCell, query: CallQuery, here: str) -> dict[str, Any]:
    return {
        "weekday": cell.weekday,
        "day": WEEKDAYS[cell.weekday - 1],
        "hour": cell.hour,
        "calls": cell.figures.calls,
        "url": calls_link(query, back=here, weekday=cell.weekday, hour=cell.hour),
    }


def moods(figures: Figures, query: CallQuery, *, here: str = "") -> list[dict[str, Any]]:
    """Return how many calls were of which mood."""
    total = figures.sentiment_calls or 1
    counts = {
        "negative": figures.negative_calls,
        "neutral": figures.neutral_calls,
        "positive": figures.positive_calls,
    }
    return [
        {"name": name, "calls": count, "share": count / total, "width": round(100 * count / total, 2),
         "url": calls_link(query, back=here, mood=name)}
        for name, count in counts.items()
    ]  # fmt: skip


def intents(db: Connection, flt: CallFilter, query: CallQuery, *, here: str = "") -> list[dict[str, Any]]:
    """Return what callers wanted, most frequent first, with the share that it had before."""
    labels = intent_labels()
    rows = [row for row in queries.intents(db, flt, False, INTENT_MEASURES) if row.figures.calls]
    before = {}
    if flt.start is not None and flt.end is not None:
        before = {row.intent: row.share for row in queries.intents(db, flt.previous(), False, ("calls",))}
    most = max((row.figures.calls for row in rows), default=1)
    return [
        {
            "name": row.intent,
            "label": labels.get(row.intent) or cc.spoken(row.intent),
            "calls": row.figures.calls,
            "share": row.share,
            "change": round((row.share - before.get(row.intent, 0.0)) * 100, 1) if before else None,
            "width": round(100 * row.figures.calls / most, 1),
            "sentiment": row.figures.sentiment,
            "handle_ms": row.figures.average_handle_ms,
            "url": calls_link(query, back=here, intent=row.intent),
        }
        for row in rows
    ]


def categories(db: Connection, flt: CallFilter, query: CallQuery, *, here: str = "") -> list[dict[str, Any]]:
    """Return the alerts by category, most open ones first."""
    labels = dict(Category.choices)
    rows = queries.alerts_by_category(db, flt)
    before = {}
    if flt.start is not None and flt.end is not None:
        before = {row.category: row.total for row in queries.alerts_by_category(db, flt.previous())}
    most = max((row.open for row in rows), default=1) or 1
    return [
        {
            "name": row.category,
            "label": labels.get(row.category, cc.spoken(row.category)),
            "open": row.open,
            "total": row.total,
            "before": before.get(row.category, 0) if before else None,
            "acknowledged": row.acknowledged,
            "dismissed": row.dismissed,
            "calls": row.open_calls,
            "grave": row.open_critical + row.open_high,
            "width": round(100 * row.open / most, 1),
            "url": calls_link(query, back=here, category=row.category, alerts="open"),
            "triage": query.link(reverse("insights:alerts"), category=row.category, alerts=""),
        }
        for row in rows
    ]


def agent_rows(rows: Sequence[AgentRow], query: CallQuery, *, here: str = "") -> list[dict[str, Any]]:
    """Return agents side by side, with what makes one unlike the others."""
    compared = peers.compare(rows)
    plain = replace(query, agent=None)
    return [
        {
            "row": row,
            "name": row.name or row.username or gettext("No agent"),
            "url": calls_link(query, back=here, agent=row.agent_id),
            "page": plain.link(reverse("dashboards:agent", args=[row.agent_id])) if row.agent_id else "",
            "outliers": [one for one in compared.get(row.agent_id, []) if one.outlier],
            "few": row.agent_id not in compared,
        }
        for row in rows
    ]


def queue_rows(rows: Sequence[QueueRow], query: CallQuery, *, here: str = "") -> list[dict[str, Any]]:
    """Return queues side by side."""
    plain = replace(query, queue=None)
    return [
        {
            "row": row,
            "name": row.name,
            "url": calls_link(query, back=here, queue=row.queue_id),
            "page": plain.link(reverse("dashboards:queue", args=[row.queue_id])) if row.queue_id else "",
        }
        for row in rows
    ]
