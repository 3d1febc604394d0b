"""The rollups are recomputed from the facts for exactly the hours, days and teams that changed.

Recomputing and not adding differences: a rollup that was wrong for whatever reason is right after the next
load. The finest one comes from the facts, the coarser ones from it, which costs a fraction and gives the same
sums, because all of them are exact.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Select,
    Table,
    and_,
    case,
    cast,
    delete,
    distinct,
    except_,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.warehouse.measures import ROW, row_columns, sum_columns
from analytics.warehouse.tables import (
    fact_alert,
    fact_call,
    rollup_day_agent,
    rollup_day_alert,
    rollup_day_intent,
    rollup_hour,
    rollup_hour_queue,
)

Group = tuple[dt.datetime, int]
"""One UTC hour (or day) and one team."""

ALERT_COUNTS = ("total", "open", "acknowledged", "dismissed", "open_critical", "open_high", "calls", "open_calls")


@dataclass(frozen=True, slots=True)
class Rollup:
    """One rollup of calls: its table, the column of its time, and what else it tells apart."""

    table: Table
    time: str
    dimensions: tuple[str, ...]

    @property
    def daily(self) -> bool:
        return self.time == "day_at"

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.time, *self.dimensions)


HOUR = Rollup(rollup_hour, "hour_at", ("team_id", "queue_id", "agent_id", "direction", "intent"))
HOUR_QUEUE = Rollup(rollup_hour_queue, "hour_at", ("team_id", "queue_id", "direction"))
DAY_AGENT = Rollup(rollup_day_agent, "day_at", ("team_id", "queue_id", "agent_id", "direction"))
DAY_INTENT = Rollup(rollup_day_intent, "day_at", ("team_id", "queue_id", "direction", "intent"))
COARSER = (HOUR_QUEUE, DAY_AGENT, DAY_INTENT)
ALL = (HOUR, *COARSER)
TABLES = (*(rollup.table for rollup in ALL), rollup_day_alert)


def day_of(moment: dt.datetime) -> dt.datetime:
    """Return the start of the UTC day of this moment."""
    return moment.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def recompute(connection: Connection, groups: Collection[Group]) -> None:
    """Make the rollups of these hours and teams equal to the facts. The caller holds the locks of their days."""
    if not groups:
        return
    hours = _groups(groups, "hours")
    days = _groups({(day_of(hour), team_id) for hour, team_id in groups}, "days")
    for rollup in ALL:
        # A statement at a time, the finest first: the coarser ones read what it has become.
        touched = days if rollup.daily else hours
        _delete(connection, rollup.table, rollup.time, touched)
        _fill(connection, rollup, touched)
    _delete(connection, rollup_day_alert, "day_at", days)
    _fill_alerts(connection, days)


def rebuild(connection: Connection) -> None:
    """Make all rollups equal to the facts."""
    for rollup in ALL:
        connection.execute(delete(rollup.table))
        _fill(connection, rollup, None)
    connection.execute(delete(rollup_day_alert))
    _fill_alerts(connection, None)


def drift(engine: Engine) -> int:
    """Return how many rows of the rollups differ from the facts: 0, always, or something is broken."""
    total = 0
    with engine.connect() as connection:
        for rollup in ALL:
            names = [*rollup.keys, *ROW]
            total += _differing(connection, _from_facts(rollup, None), rollup.table, names)
        names = [*_ALERT_KEYS, *ALERT_COUNTS]
        total += _differing(connection, _alerts(None), rollup_day_alert, names)
    return total


def _differing(connection: Connection, truth: Select[Any], table: Table, names: Sequence[str]) -> int:
    made = truth.subquery()
    stored = select(*(table.c[name] for name in names))
    computed = select(*(made.c[name] for name in names))
    one_way, other_way = except_(stored, computed).subquery(), except_(computed, stored).subquery()
    different = union_all(select(one_way), select(other_way)).subquery()
    return connection.scalar(select(func.count()).select_from(different)) or 0


def _groups(groups: Collection[Group], name: str) -> Any:
    """Return the groups as a table of two columns, so that any number of them is one parameter each."""
    ordered = sorted(groups)
    moments = cast(literal([moment for moment, _ in ordered], ARRAY(DateTime(timezone=True))), ARRAY(DateTime(True)))
    teams = cast(literal([team for _, team in ordered], ARRAY(BigInteger)), ARRAY(BigInteger))
    return func.unnest(moments, teams).table_valued("at", "team_id", name=name).render_derived()


def _delete(connection: Connection, table: Table, time: str, groups: Any) -> None:
    connection.execute(delete(table).where(table.c[time] == groups.c.at, table.c.team_id == groups.c.team_id))


def _fill(connection: Connection, rollup: Rollup, groups: Any) -> None:
    made = _from_facts(rollup, groups) if rollup is HOUR else _from_hours(rollup, groups)
    connection.execute(insert(rollup.table).from_select([*rollup.keys, *ROW], made))


def _day(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.date_trunc("day", column, "UTC")


def _from_facts(rollup: Rollup, groups: Any) -> Select[Any]:
    call = fact_call.c
    time = _day(call.hour_at).label("day_at") if rollup.daily else call.hour_at
    rows = select(time, *(call[name] for name in rollup.dimensions), *row_columns())
    if groups is not None:
        rows = rows.join_from(fact_call, groups, (call.hour_at == groups.c.at) & (call.team_id == groups.c.team_id))
    source = rows.subquery()
    keys: list[ColumnElement[Any]] = [source.c[name] for name in rollup.keys]
    return select(*keys, *sum_columns(source.c)).group_by(*keys)


def _from_hours(rollup: Rollup, groups: Any) -> Select[Any]:
    fine = rollup_hour.c
    time = _day(fine.hour_at) if rollup.daily else fine.hour_at
    keys: list[ColumnElement[Any]] = [time.label(rollup.time), *(fine[name] for name in rollup.dimensions)]
    made = select(*keys, *sum_columns(fine)).group_by(time, *(fine[name] for name in rollup.dimensions))
    if groups is None:
        return made
    within = and_(fine.team_id == groups.c.team_id, *_spans(rollup, fine.hour_at, groups))
    return made.join_from(rollup_hour, groups, within)


def _spans(rollup: Rollup, column: ColumnElement[Any], groups: Any) -> list[ColumnElement[bool]]:
    if not rollup.daily:
        return [column == groups.c.at]
    # A range and not a truncated column: the index on team and hour answers it.
    return [column >= groups.c.at, column < groups.c.at + dt.timedelta(days=1)]


_ALERT_KEYS = ("day_at", "team_id", "queue_id", "direction", "category")


def alert_counts(alert: Any) -> list[ColumnElement[Any]]:
    """Return the counts that a row about alerts has, labelled with the names of `ALERT_COUNTS`."""
    is_open = alert.status == "open"

    def count(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count().filter(condition)

    return [
        func.count().label("total"),
        count(is_open).label("open"),
        count(alert.status == "acknowledged").label("acknowledged"),
        count(alert.status == "dismissed").label("dismissed"),
        count(is_open & (alert.severity == "critical")).label("open_critical"),
        count(is_open & (alert.severity == "high")).label("open_high"),
        func.count(distinct(alert.call_id)).label("calls"),
        func.count(distinct(case((is_open, alert.call_id)))).label("open_calls"),
    ]


def _fill_alerts(connection: Connection, groups: Any) -> None:
    connection.execute(insert(rollup_day_alert).from_select([*_ALERT_KEYS, *ALERT_COUNTS], _alerts(groups)))


def _alerts(groups: Any) -> Select[Any]:
    call, alert = fact_call.c, fact_alert.c
    day = _day(call.hour_at)
    keys: list[ColumnElement[Any]] = [call.team_id, call.queue_id, call.direction, alert.category]
    made = select(day.label("day_at"), *keys, *alert_counts(alert)).group_by(day, *keys)
    joined = fact_call.join(fact_alert, alert.call_id == call.call_id)
    if groups is not None:
        end = groups.c.at + dt.timedelta(days=1)
        within = (call.team_id == groups.c.team_id) & (call.started_at >= groups.c.at) & (call.started_at < end)
        joined = joined.join(groups, within)
    return made.select_from(joined)
