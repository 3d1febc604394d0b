"""How many calls of a filter each team, queue, agent, direction, intent, mood and alert category has.

What the rollups can answer they answer. Otherwise the facts are read once for all of it: first counted by everything
together, which leaves few rows, then those by each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Subquery, case, func, literal, select, tuple_

from analytics.warehouse.filters import CallFilter
from analytics.warehouse.measures import NEGATIVE_AT_MOST, POSITIVE_AT_LEAST, RESTRICTED, sum_columns
from analytics.warehouse.queries import alerts_by_category
from analytics.warehouse.reading import fetch
from analytics.warehouse.source import answerable_by_rollup, call_conditions, source
from analytics.warehouse.tables import fact_alert, fact_call

KEYS = ("team_id", "queue_id", "agent_id", "direction", "intent")
MEASURES = ("calls", "reviewed_calls", "sentiment_calls", "negative_calls", "positive_calls")
MOOD, REVIEWED, CATEGORY = "mood", "reviewed", "category"
NAMES = (*KEYS, MOOD, REVIEWED, CATEGORY)


_call = fact_call.c
_FACTS: Mapping[str, ColumnElement[Any]] = {
    **{name: _call[name] for name in KEYS},
    MOOD: case(
        (_call.sentiment <= NEGATIVE_AT_MOST, literal("negative")),
        (_call.sentiment >= POSITIVE_AT_LEAST, literal("positive")),
        (_call.sentiment.is_not(None), literal("neutral")),
    ),
    REVIEWED: case((_call.reviewed_turns > 0, literal("yes")), else_=literal("no")),
}


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """For each name in `NAMES` that was asked for, how many calls of a filter have which value."""

    by: dict[str, dict[Any, int]]


def facets(db: Engine | Connection, flt: CallFilter, names: Collection[str] = NAMES) -> FacetCounts:
    """Return the counts by these names; values that no call has are left out."""
    wanted = [name for name in (*KEYS, MOOD, REVIEWED) if name in names]
    by: dict[str, dict[Any, int]] = {name: {} for name in wanted}
    if answerable_by_rollup(flt):
        _of_rollups(db, flt, by)
    elif wanted:
        _of_facts(db, flt, by)
    if CATEGORY in names:
        by[CATEGORY] = _categories(db, flt)
    return FacetCounts(by)


def _of_rollups(db: Engine | Connection, flt: CallFilter, by: dict[str, dict[Any, int]]) -> None:
    keys = [name for name in KEYS if name in by]
    # A daily rollup knows agents or intents, not both.
    for group in ([name for name in keys if name != "intent"], [name for name in keys if name == "intent"]):
        if group:
            rows = source(flt, by=group, measures=["calls"])
            _count(db, select(*(rows.c[name] for name in group), rows.c.calls).subquery("rows"), group, by)
    if MOOD in by or REVIEWED in by:
        (total,) = fetch(db, select(*sum_columns(source(flt, measures=MEASURES).c, MEASURES)))
        negative, positive = total["negative_calls"], total["positive_calls"]
        neutral = total["sentiment_calls"] - negative - positive
        moods = {"negative": negative, "neutral": neutral, "positive": positive}
        looked = {"yes": total["reviewed_calls"], "no": total["calls"] - total["reviewed_calls"]}
        for name, counts in ((MOOD, moods), (REVIEWED, looked)):
            if name in by:
                by[name] = {value: int(count) for value, count in counts.items() if count}


def _of_facts(db: Engine | Connection, flt: CallFilter, by: dict[str, dict[Any, int]]) -> None:
    columns = [_FACTS[name].label(name) for name in by]
    rows = select(*columns, func.count().label("calls")).where(*call_conditions(flt)).group_by(*columns)
    _count(db, rows.subquery("rows"), list(by), by)


def _count(db: Engine | Connection, rows: Subquery, keys: Sequence[str], by: dict[str, dict[Any, int]]) -> None:
    columns = [rows.c[name] for name in keys]
    sets = func.grouping_sets(*(tuple_(column) for column in columns))
    statement = select(func.grouping(*columns).label("apart"), *columns, func.sum(rows.c.calls).label("calls"))
    for row in fetch(db, statement.group_by(sets)):
        # A set bit says that the row is not counted by that column; exactly one is unset.
        name = next(name for n, name in enumerate(keys) if not row["apart"] >> (len(keys) - 1 - n) & 1)
        if row[name] is not None:
            by[name][row[name]] = int(row["calls"])


def _categories(db: Engine | Connection, flt: CallFilter) -> dict[Any, int]:
    """Return how many calls have a visible alert of each category; an open one, where open ones are asked for."""
    beyond = (flt.agent_ids, flt.intents, flt.visible.own_agent_id, flt.weekday, flt.hour)
    if answerable_by_rollup(flt) and all(value is None for value in beyond):
        return {row.category: row.calls for row in alerts_by_category(db, flt) if row.calls}
    alert = fact_alert.c
    found = (
        select(alert.category, alert.call_id)
        .join(fact_call, fact_call.c.call_id == alert.call_id)
        .where(*call_conditions(flt))
        .distinct()
    )
    if flt.open_alerts:
        found = found.where(alert.status == "open")
    if not flt.visible.restricted:
        found = found.where(alert.category.not_in(RESTRICTED))
    rows = found.subquery("found")
    statement = select(rows.c.category, func.count().label("calls")).group_by(rows.c.category)
    return {row["category"]: int(row["calls"]) for row in fetch(db, statement)}
