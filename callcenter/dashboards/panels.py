"""Every panel as CSV: the same figures, of the same filter, for who wants to go on working with them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

from django.utils import timezone
from sqlalchemy import Connection, Engine

from analytics.warehouse import CallFilter, queries
from analytics.warehouse.results import Figures
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.selectors import intent_labels
from callcenter.core.templatetags import cc
from callcenter.dashboards.scope import bucket_of, call_filter
from callcenter.insights.models import Category

Rows = Iterator[list[Any]]
FIGURES: tuple[tuple[str, str], ...] = (
    ("calls", "calls"),
    ("mean_handle_seconds", "average_handle_ms"),
    ("mean_hold_seconds", "average_hold_ms"),
    ("sentiment", "sentiment"),
    ("sentiment_agent", "sentiment_agent"),
    ("sentiment_customer", "sentiment_customer"),
    ("negative_share", "negative_share"),
    ("positive_share", "positive_share"),
    ("silence_ratio", "silence_ratio"),
    ("overtalk_ratio", "overtalk_ratio"),
    ("agent_talk_share", "talk_ratio_agent"),
    ("agent_words_per_minute", "wpm_agent"),
    ("customer_words_per_minute", "wpm_customer"),
    ("interruptions_per_call", "interruptions_per_call"),
    ("alerts", "alerts"),
    ("open_alerts", "open_alerts"),
    ("calls_with_open_alerts", "alerted_calls"),
    ("review_coverage", "review_coverage"),
    ("mean_word_probability", "mean_word_probability"),
    ("doubtful_calls", "doubtful_calls"),
)
NAMES = [name for name, _ in FIGURES]


def values(figures: Figures) -> list[Any]:
    """Return the figures in the order of NAMES; durations in seconds, nothing where there is nothing."""
    return [_value(name, getattr(figures, attribute)) for name, attribute in FIGURES]


def _value(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if name.endswith("_seconds"):
        return round(value / 1000, 1)
    return round(value, 4) if isinstance(value, float) else value


def _figures(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    change = queries.headline_with_previous(db, flt)
    yield ["figure", "value", "previous_period"]
    before = values(change.before) if change.before is not None else [""] * len(NAMES)
    yield from (list(row) for row in zip(NAMES, values(change.now), before, strict=True))


def _calls(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    zone = timezone.get_current_timezone_name()
    yield ["from", "to", *NAMES]
    for row in queries.calls_over_time(db, flt, bucket_of(query), zone):
        yield [row.start.isoformat(), row.end.astimezone(row.start.tzinfo).isoformat(), *values(row.figures)]


def _heat(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    yield ["weekday", "hour", *NAMES]
    for cell in queries.heatmap(db, flt, timezone.get_current_timezone_name()):
        yield [cell.weekday, cell.hour, *values(cell.figures)]


def _intents(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    labels = intent_labels()
    yield ["intent", "label", "share", "mentions", *NAMES]
    for row in queries.intents(db, flt):
        label = labels.get(row.intent) or cc.spoken(row.intent)
        yield [row.intent, label, round(row.share, 4), row.mentions, *values(row.figures)]


def _alerts(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    labels = dict(Category.choices)
    names = ["total", "open", "acknowledged", "dismissed", "open_critical", "open_high", "calls", "open_calls"]
    yield ["category", "label", *names]
    for row in queries.alerts_by_category(db, flt):
        label = labels.get(row.category, cc.spoken(row.category))
        yield [row.category, label, *(getattr(row, name) for name in names)]


def _agents(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    yield ["agent", "name", *NAMES]
    for row in queries.agents(db, flt):
        yield [row.username, row.name, *values(row.figures)]


def _queues(db: Connection, flt: CallFilter, query: CallQuery) -> Rows:
    yield ["queue", *NAMES]
    for row in queries.queues(db, flt):
        yield [row.name, *values(row.figures)]


PANELS: dict[str, Callable[[Connection, CallFilter, CallQuery], Rows]] = {
    "figures": _figures,
    "calls": _calls,
    "heat": _heat,
    "intents": _intents,
    "alerts": _alerts,
    "agents": _agents,
    "queues": _queues,
}


def csv_of(db: Engine, user: User, query: CallQuery, panel: str) -> str:
    """Return one panel as CSV. Raises KeyError for a panel that there is not."""
    rows, out = PANELS[panel], StringIO()
    writer = csv.writer(out)
    with db.connect() as raw:
        connection = raw.execution_options(postgresql_readonly=True)
        for row in rows(connection, call_filter(user, query), query):
            writer.writerow([harmless(cell) for cell in row])
    return out.getvalue()


def harmless(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula, whatever somebody is called."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
