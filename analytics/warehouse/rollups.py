"""The hourly rollup is recomputed from the facts for exactly the hours and teams that changed.

Recomputing and not adding differences: a rollup that was wrong for whatever reason is right after the next
load.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    delete,
    except_,
    func,
    insert,
    select,
    tuple_,
    union_all,
)

from analytics.warehouse.measures import ROW, row_columns, sum_columns
from analytics.warehouse.tables import fact_call, rollup_hour

Group = tuple[dt.datetime, int]
"""One UTC hour and one team: what is locked and recomputed together."""

DIMENSIONS = ("hour_at", "team_id", "queue_id", "agent_id", "direction", "intent")


def recompute(connection: Connection, groups: Collection[Group]) -> None:
    """Make the rollup of these groups equal to the facts. The caller holds the groups' locks."""
    if not groups:
        return
    pairs = sorted(groups)
    connection.execute(delete(rollup_hour).where(tuple_(rollup_hour.c.hour_at, rollup_hour.c.team_id).in_(pairs)))
    _insert(connection, tuple_(fact_call.c.hour_at, fact_call.c.team_id).in_(pairs))


def rebuild(connection: Connection) -> None:
    """Make the whole rollup equal to the facts."""
    connection.execute(delete(rollup_hour))
    _insert(connection, None)


def drift(engine: Engine) -> int:
    """Return how many rows of the rollup differ from the facts: 0, always, or something is broken."""
    names = [*DIMENSIONS, *ROW]
    truth = _from_facts(None).subquery()
    stored = select(*(rollup_hour.c[name] for name in names))
    computed = select(*(truth.c[name] for name in names))
    one_way, other_way = except_(stored, computed).subquery(), except_(computed, stored).subquery()
    different = union_all(select(one_way), select(other_way)).subquery()
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(different)) or 0


def _insert(connection: Connection, condition: ColumnElement[bool] | None) -> None:
    connection.execute(insert(rollup_hour).from_select([*DIMENSIONS, *ROW], _from_facts(condition)))


def _from_facts(condition: ColumnElement[bool] | None) -> Select[Any]:
    rows = select(*(fact_call.c[name] for name in DIMENSIONS), *row_columns())
    if condition is not None:
        rows = rows.where(condition)
    source = rows.subquery()
    dimensions: Sequence[ColumnElement[Any]] = [source.c[name] for name in DIMENSIONS]
    return select(*dimensions, *sum_columns(source.c)).group_by(*dimensions)
