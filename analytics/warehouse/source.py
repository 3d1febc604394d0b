"""Where the figures of a filter are summed: the hourly rollup where it can answer exactly, the facts where it
cannot.

The rollup knows hour, team, queue, agent, direction and intent. A filter on anything else reads the facts. A
period that begins or ends within an hour reads its whole hours from the rollup and only the two edges from
the facts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    exists,
    extract,
    false,
    func,
    select,
    true,
    union_all,
)

from analytics.warehouse.filters import CallFilter, Scope, zone
from analytics.warehouse.measures import NEGATIVE_AT_MOST, POSITIVE_AT_LEAST, ROW, row_columns
from analytics.warehouse.tables import fact_alert, fact_call, rollup_hour

_SHARED = ("team_id", "queue_id", "agent_id", "direction", "intent")
_HOUR = dt.timedelta(hours=1)


def source(flt: CallFilter, *, time_zone: str = "UTC") -> Subquery:
    """Return rows with `at`, the rollup's dimensions and the measures, over exactly the calls of the filter.

    `at` is good for cutting time into hours or longer in `time_zone`; within an hour it is not precise.
    """
    if not answerable_by_rollup(flt, time_zone=time_zone):
        return _facts(call_conditions(flt)).subquery("source")
    start = None if flt.start is None else _hour_from(flt.start)
    end = None if flt.end is None else _hour_until(flt.end)
    if start is not None and end is not None and start >= end:
        return _facts(call_conditions(flt)).subquery("source")  # no whole hour inside
    shared = _shared_conditions(rollup_hour.c, flt)
    parts: list[Select[Any]] = [_rollup([*shared, *_between(rollup_hour.c.hour_at, start, end)])]
    outside: list[ColumnElement[bool]] = []
    if start is not None and flt.start != start:
        outside.append(fact_call.c.started_at < start)
    if end is not None and flt.end != end:
        outside.append(fact_call.c.started_at >= end)
    # Two parts and not one OR: each is a short range of an index.
    parts += [_facts([*call_conditions(flt), edge]) for edge in outside]
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("source")


def answerable_by_rollup(flt: CallFilter, *, time_zone: str = "UTC") -> bool:
    """Tell whether the filter asks only for what the rollup knows, on a clock that never leaves the full
    hour.
    """
    beyond: Sequence[Any] = (
        flt.languages, flt.models, flt.alert_categories, flt.open_alerts, flt.mood, flt.weekday, flt.hour,
    )  # fmt: skip
    return all(value is None for value in beyond) and _whole_hours(time_zone)


def call_conditions(flt: CallFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on `fact_call` that keep exactly the calls of the filter, the visible ones
    first.
    """
    call = fact_call.c
    conditions = _shared_conditions(call, flt)
    conditions += _between(call.started_at, flt.start, flt.end)
    if flt.languages is not None:
        conditions.append(call.language.in_(flt.languages))
    if flt.models is not None:
        conditions.append(call.model.in_(flt.models))
    if flt.mood == "negative":
        conditions.append(call.sentiment <= NEGATIVE_AT_MOST)
    elif flt.mood == "positive":
        conditions.append(call.sentiment >= POSITIVE_AT_LEAST)
    elif flt.mood == "neutral":
        conditions.append(and_(call.sentiment > NEGATIVE_AT_MOST, call.sentiment < POSITIVE_AT_LEAST))
    local = func.timezone(flt.time_zone, call.started_at)
    if flt.weekday is not None:
        conditions.append(extract("isodow", local) == flt.weekday)
    if flt.hour is not None:
        conditions.append(extract("hour", local) == flt.hour)
    if flt.alert_categories is not None:
        # An alias, because a query about alerts has fact_alert in its own FROM and would capture this one.
        found = fact_alert.alias("filtered_alert").c
        alert = [found.call_id == call.call_id, found.category.in_(flt.alert_categories)]
        if flt.open_alerts is not None:
            is_open = found.status == "open"
            # Open alerts *of these categories*: that is what a bar of the alerts chart counts.
            with_open = exists().where(*alert, is_open)
            conditions.append(with_open if flt.open_alerts else and_(exists().where(*alert), ~with_open))
        else:
            conditions.append(exists().where(*alert))
    elif flt.open_alerts is not None:
        conditions.append(call.open_alerts > 0 if flt.open_alerts else call.open_alerts == 0)
    return conditions


def local_time(at: ColumnElement[Any], time_zone: str) -> ColumnElement[Any]:
    """Return the wall clock time of a moment in this zone."""
    return func.timezone(zone(time_zone).key, at)


def _shared_conditions(columns: Any, flt: CallFilter) -> list[ColumnElement[bool]]:
    visible = flt.visible
    conditions: list[ColumnElement[bool]] = []
    if visible.team_ids is Scope.ALL:
        conditions.append(true())
    else:
        conditions.append(columns.team_id.in_(visible.team_ids) if visible.team_ids else false())
    if visible.own_agent_id is not None:
        conditions.append(columns.agent_id == visible.own_agent_id)
    asked: tuple[frozenset[Any] | None, ...] = (
        flt.team_ids, flt.queue_ids, flt.agent_ids, flt.directions, flt.intents,
    )  # fmt: skip
    for name, values in zip(_SHARED, asked, strict=True):
        if values is not None:
            conditions.append(columns[name].in_(values))
    return conditions


def _between(
    column: ColumnElement[Any], start: dt.datetime | None, end: dt.datetime | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if start is not None:
        conditions.append(column >= start)
    if end is not None:
        conditions.append(column < end)
    return conditions


def _rollup(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    columns = rollup_hour.c
    measures = [columns[name].label(name) for name in ROW]
    return select(columns.hour_at.label("at"), *(columns[name] for name in _SHARED), *measures).where(*conditions)


def _facts(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    columns = fact_call.c
    return select(columns.started_at.label("at"), *(columns[name] for name in _SHARED), *row_columns()).where(
        *conditions
    )


def _hour_from(moment: dt.datetime) -> dt.datetime:
    floor = _hour_until(moment)
    return floor if floor == moment else floor + _HOUR


def _hour_until(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


@lru_cache(maxsize=256)
def _whole_hours(time_zone: str) -> bool:
    """Tell whether this zone was never off the full hour since 1970; where it was, a UTC hour straddles two
    local ones.
    """
    where = zone(time_zone)
    months = (dt.datetime(year, month, 15, tzinfo=dt.UTC) for year in range(1970, 2041) for month in range(1, 13))
    offsets = (moment.astimezone(where).utcoffset() or dt.timedelta() for moment in months)
    return all(offset % _HOUR == dt.timedelta() for offset in offsets)
