"""Where the figures of a filter are summed: the smallest rollup that can answer exactly, the facts where none
can.

A period is cut into parts. Whole UTC days come from a daily rollup, the whole hours around them from an hourly
one, the minutes at both edges from the facts. So a period of any length reads few rows, in any time zone, and
the sum is the same to the last digit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Subquery,
    and_,
    cast,
    exists,
    extract,
    false,
    func,
    select,
    true,
    union_all,
)

from analytics.warehouse import rollups
from analytics.warehouse.filters import CallFilter, Scope, zone
from analytics.warehouse.measures import (
    NEGATIVE_AT_MOST,
    POSITIVE_AT_LEAST,
    RESTRICTED,
    named,
    row_columns,
    shown,
    with_hidden,
)
from analytics.warehouse.rollups import Rollup
from analytics.warehouse.tables import fact_alert, fact_call

SHARED = ("team_id", "queue_id", "agent_id", "direction", "intent")
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

Span = tuple[dt.datetime | None, dt.datetime | None]
Kind = Literal["days", "hours", "facts"]


def source(
    flt: CallFilter,
    *,
    by: Collection[str] = (),
    time_zone: str = "UTC",
    over_time: bool = False,
    measures: Collection[str] | None = None,
) -> Subquery:
    """Return rows with `at`, the dimensions in `by` and the measures, over exactly the calls of the filter.

    With `over_time`, `at` is good for cutting time into hours or longer in `time_zone`; within an hour, and
    without `over_time` at all, it is not precise.
    """
    if not answerable_by_rollup(flt, time_zone=time_zone):
        return _facts(flt, by, call_conditions(flt), measures).subquery("source")
    needed = _needed(flt) | set(by)
    daily = None if over_time or flt.weekday is not None or flt.hour is not None else _daily(needed)
    hourly = rollups.HOUR if needed & {"agent_id", "intent"} else rollups.HOUR_QUEUE
    parts: list[Select[Any]] = []
    for kind, span in cut(flt.start, flt.end, days=daily is not None):
        if kind == "facts":
            parts.append(_facts(flt, by, [*call_conditions(flt), *between(fact_call.c.started_at, *span)], measures))
        else:
            parts.append(_rollup(flt, by, daily if kind == "days" and daily is not None else hourly, span, measures))
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("source")


def answerable_by_rollup(flt: CallFilter, *, time_zone: str = "UTC") -> bool:
    """Tell whether the filter asks only for what the rollups know, on clocks that never leave the full hour."""
    beyond: Sequence[Any] = (
        flt.languages, flt.models, flt.alert_categories, flt.open_alerts, flt.mood, flt.reviewed,
        flt.with_alerts, flt.ranges or None,
    )  # fmt: skip
    clocks = {time_zone} | ({flt.time_zone} if flt.weekday is not None or flt.hour is not None else set())
    return all(value is None for value in beyond) and all(map(whole_hours, clocks))


def cut(start: dt.datetime | None, end: dt.datetime | None, *, days: bool) -> Iterator[tuple[Kind, Span]]:
    """Yield the parts of a period, without gap or overlap: whole days, whole hours, what is left at the edges.

    Parts and not one condition with OR: each is a short range of an index.
    """
    first_hour, last_hour = _up(start, HOUR), _down(end, HOUR)
    if first_hour is not None and last_hour is not None and first_hour >= last_hour:
        yield "facts", (start, end)  # no whole hour inside
        return
    if first_hour != start:
        yield "facts", (start, first_hour)
    if last_hour != end:
        yield "facts", (last_hour, end)
    first_day, last_day = _up(start, DAY), _down(end, DAY)
    if not days or (first_day is not None and last_day is not None and first_day >= last_day):
        yield "hours", (first_hour, last_hour)
        return
    if first_hour != first_day:
        yield "hours", (first_hour, first_day)
    yield "days", (first_day, last_day)
    if last_hour != last_day:
        yield "hours", (last_day, last_hour)


def call_conditions(flt: CallFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on `fact_call` that keep exactly the calls of the filter, the visible ones
    first.
    """
    call = fact_call.c
    conditions = shared_conditions(call, flt)
    conditions += between(call.started_at, flt.start, flt.end)
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
    if flt.reviewed is not None:
        conditions.append(call.reviewed_turns > 0 if flt.reviewed else call.reviewed_turns == 0)
    if flt.with_alerts is not None:
        seen = call.alerts if flt.visible.restricted else call.alerts - call.restricted_alerts
        conditions.append(seen > 0 if flt.with_alerts else seen == 0)
    for name, least, most in flt.ranges:
        value = cast(call.overtalk_ms, Float) / func.nullif(call.duration_ms, 0)
        measured: ColumnElement[Any] = value if name == "overtalk_ratio" else call[name]
        if least is not None:
            conditions.append(measured >= least)
        if most is not None:
            conditions.append(measured <= most)
    conditions += _clock_conditions(call.started_at, flt)
    if flt.alert_categories is not None:
        # An alias, because a query about alerts has fact_alert in its own FROM and would capture this one.
        found = fact_alert.alias("filtered_alert").c
        categories = flt.alert_categories if flt.visible.restricted else flt.alert_categories - RESTRICTED
        alert = [found.call_id == call.call_id, found.category.in_(categories)]
        if flt.open_alerts is not None:
            is_open = found.status == "open"
            # Open alerts *of these categories*: that is what a bar of the alerts chart counts.
            with_open = exists().where(*alert, is_open)
            conditions.append(with_open if flt.open_alerts else and_(exists().where(*alert), ~with_open))
        else:
            conditions.append(exists().where(*alert))
    elif flt.open_alerts is not None:
        known = call.open_alerts if flt.visible.restricted else call.open_alerts - call.restricted_open_alerts
        conditions.append(known > 0 if flt.open_alerts else known == 0)
    return conditions


def local_time(at: ColumnElement[Any], time_zone: str) -> ColumnElement[Any]:
    """Return the wall clock time of a moment in this zone."""
    return func.timezone(zone(time_zone).key, at)


def shared_conditions(columns: Any, flt: CallFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on what facts and rollups have in common, the visible scope first."""
    visible = flt.visible
    conditions: list[ColumnElement[bool]] = []
    if visible.team_ids is Scope.ALL:
        conditions.append(true())
    else:
        conditions.append(columns.team_id.in_(visible.team_ids) if visible.team_ids else false())
    if visible.own_agent_id is not None:
        conditions.append(columns.agent_id == visible.own_agent_id)
    for name, values in _asked(flt):
        if values is not None:
            conditions.append(columns[name].in_(values))
    return conditions


def between(
    column: ColumnElement[Any], start: dt.datetime | None, end: dt.datetime | None
) -> list[ColumnElement[bool]]:
    """Return the conditions that keep a moment within a period that may be open at either end."""
    conditions: list[ColumnElement[bool]] = []
    if start is not None:
        conditions.append(column >= start)
    if end is not None:
        conditions.append(column < end)
    return conditions


def _asked(flt: CallFilter) -> Iterator[tuple[str, frozenset[Any] | None]]:
    yield from zip(SHARED, (flt.team_ids, flt.queue_ids, flt.agent_ids, flt.directions, flt.intents), strict=True)


def _needed(flt: CallFilter) -> set[str]:
    needed = {name for name, values in _asked(flt) if values is not None}
    return needed | ({"agent_id"} if flt.visible.own_agent_id is not None else set())


def _daily(needed: set[str]) -> Rollup | None:
    if "intent" not in needed:
        return rollups.DAY_AGENT
    return None if "agent_id" in needed else rollups.DAY_INTENT


def _clock_conditions(at: ColumnElement[Any], flt: CallFilter) -> list[ColumnElement[bool]]:
    local = func.timezone(flt.time_zone, at)
    conditions: list[ColumnElement[bool]] = []
    if flt.weekday is not None:
        conditions.append(extract("isodow", local) == flt.weekday)
    if flt.hour is not None:
        conditions.append(extract("hour", local) == flt.hour)
    return conditions


def _rollup(
    flt: CallFilter, by: Collection[str], rollup: Rollup, span: Span, names: Collection[str] | None
) -> Select[Any]:
    columns = rollup.table.c
    at = columns[rollup.time]
    conditions = [*shared_conditions(columns, flt), *between(at, *span), *_clock_conditions(at, flt)]
    measures = shown(columns, restricted=flt.visible.restricted, names=names)
    return select(at.label("at"), *(columns[name] for name in by), *measures).where(*conditions)


def _facts(
    flt: CallFilter,
    by: Collection[str],
    conditions: Sequence[ColumnElement[bool]],
    names: Collection[str] | None,
) -> Select[Any]:
    columns, wanted = fact_call.c, named(names)
    kept: list[ColumnElement[Any]] = [columns.started_at.label("at"), *(columns[name] for name in by)]
    if flt.visible.restricted:
        return select(*kept, *row_columns(wanted)).where(*conditions)
    inner = select(*kept, *row_columns(with_hidden(wanted))).where(*conditions).subquery()
    outer = [inner.c.at, *(inner.c[name] for name in by)]
    return select(*outer, *shown(inner.c, restricted=False, names=wanted))


def _up(moment: dt.datetime | None, step: dt.timedelta) -> dt.datetime | None:
    floor = _down(moment, step)
    return floor if floor is None or floor == moment else floor + step


def _down(moment: dt.datetime | None, step: dt.timedelta) -> dt.datetime | None:
    if moment is None:
        return None
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if step == HOUR else hour.replace(hour=0)


@lru_cache(maxsize=256)
def whole_hours(time_zone: str) -> bool:
    """Tell whether this zone was never off the full hour since 1970; where it was, a UTC hour straddles two
    local ones.
    """
    where = zone(time_zone)
    months = (dt.datetime(year, month, 15, tzinfo=dt.UTC) for year in range(1970, 2041) for month in range(1, 13))
    offsets = (moment.astimezone(where).utcoffset() or dt.timedelta() for moment in months)
    return all(offset % HOUR == dt.timedelta() for offset in offsets)
