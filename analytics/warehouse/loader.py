"""Call documents become facts: idempotent, in one transaction, safe when the same call is loaded twice at
once.

Locks, always taken in this order and sorted within each step, so no two loaders can wait for each other:
the shared "loading" lock (which `truncate_all` takes exclusively), the calls, the days and teams of the
rollups. They are advisory locks, because the rows that they guard may not exist yet. Dimension rows come after
them. Facts go in by COPY, which is what makes a back-load of years a matter of minutes.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import BigInteger, Connection, Engine, Table, delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from analytics.warehouse import rollups, rows
from analytics.warehouse.document import CallDocument, DocumentError, parse
from analytics.warehouse.tables import (
    SCHEMA,
    Base,
    fact_alert,
    fact_call,
    fact_call_intent,
    fact_turn,
)

BATCH = 500
_TRIES = 3
_PASSING = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the same work may succeed now
_LOADING_KEY = 0x77686C6F6164  # "whload"

_Result = TypeVar("_Result")
Document = Mapping[str, Any] | CallDocument


class CopyFailedError(SQLAlchemyError):
    """The database refused rows. Its own message is not passed on: it would repeat the values of a row."""

    def __init__(self, table: str, sqlstate: str | None) -> None:
        super().__init__(f"the warehouse refused rows of {table} (SQLSTATE {sqlstate or 'unknown'})")
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of a batch: calls written, calls that already stood so, and documents refused (position,
    reason).
    """

    loaded: int = 0
    unchanged: int = 0
    refused: tuple[tuple[int, str], ...] = field(default=())


def load_call(engine: Engine, document: Document, *, force: bool = False) -> bool:
    """Make the warehouse say of this call exactly what the document says; return whether anything had to
    change.

    A call that is there already is replaced with its turns, alerts and intents, and the rollups follow, also
    when the call moved to another hour or team. `force` writes even if the document is the one already
    loaded.

    Raises:
        DocumentError: naming the path that is wrong; nothing was written.
    """
    checked = parse(document)
    return _retrying(engine, partial(_apply, documents=[checked], force=force)) > 0


def load_many(
    engine: Engine, documents: Iterable[Document], *, batch_size: int = BATCH, force: bool = False
) -> LoadReport:
    """Load any number of documents, `batch_size` to a transaction; a bad one is reported and the rest go on.

    Of two documents for one call the later wins. Memory holds one batch.
    """
    loaded = seen = 0
    refused: list[tuple[int, str]] = []
    numbered = enumerate(documents)
    while chunk := list(itertools.islice(numbered, batch_size)):
        checked: dict[uuid.UUID, CallDocument] = {}
        for position, document in chunk:
            try:
                one = parse(document)
            except DocumentError as error:
                refused.append((position, str(error)))
            else:
                checked[one.call_id] = one
        batch = list(checked.values())
        seen += len(batch)
        loaded += _retrying(engine, partial(_apply, documents=batch, force=force))
    return LoadReport(loaded=loaded, unchanged=seen - loaded, refused=tuple(refused))


def delete_call(engine: Engine, call_id: uuid.UUID | str) -> bool:
    """Remove every trace of this call from facts and rollups; return whether it was there.

    Raises:
        ValueError: `call_id` is not a UUID.
    """
    key = call_id if isinstance(call_id, uuid.UUID) else uuid.UUID(call_id)
    return _retrying(engine, partial(_remove, call_ids=[key])) > 0


def delete_calls(engine: Engine, call_ids: Iterable[uuid.UUID]) -> int:
    """Remove these calls from facts and rollups and return how many were there."""
    removed, rest = 0, iter(call_ids)
    while chunk := list(itertools.islice(rest, BATCH)):
        removed += _retrying(engine, partial(_remove, call_ids=chunk))
    return removed


def delete_missing(engine: Engine, keep: Iterable[uuid.UUID | str]) -> int:
    """Remove the calls that are not among `keep` and return how many: the end of a rebuild without an empty
    hour.
    """
    kept = {one if isinstance(one, uuid.UUID) else uuid.UUID(one) for one in keep}
    with engine.connect() as connection:
        gone = sorted(set(connection.scalars(select(fact_call.c.call_id))) - kept)
    return delete_calls(engine, gone)


def truncate_all(engine: Engine) -> None:
    """Leave every table of the warehouse empty; loads that are under way finish first, later ones wait."""

    def work(connection: Connection) -> int:
        connection.execute(select(func.pg_advisory_xact_lock(_LOADING_KEY)))
        names = ", ".join(f"{SCHEMA}.{table.name}" for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {names}"))
        return 0

    _retrying(engine, work)


def checksum(engine: Engine) -> str:
    """Return a digest of facts and rollups, independent of row order and of when they were loaded.

    Equal before and after `manage.py warehouse rebuild`: that is what proves the warehouse is derived.
    """
    whole = hashlib.sha256()
    with engine.connect() as connection:
        for table in (fact_call, fact_turn, fact_alert, fact_call_intent, *rollups.TABLES):
            names = ", ".join(column.name for column in table.columns if column.name != "loaded_at")
            digest = connection.scalar(
                text(
                    "SELECT md5(coalesce(string_agg(line, '' ORDER BY line), '')) FROM "  # noqa: S608  (our own names)
                    f"(SELECT md5(ROW({names})::text) AS line FROM {SCHEMA}.{table.name}) AS lines"
                )
            )
            whole.update(f"{table.name}={digest};".encode())
    return whole.hexdigest()


def _retrying(engine: Engine, work: Callable[[Connection], _Result]) -> _Result:
    for attempt in range(1, _TRIES + 1):
        try:
            with engine.begin() as connection:
                return work(connection)
        except (DBAPIError, CopyFailedError) as error:
            state = error.sqlstate if isinstance(error, CopyFailedError) else getattr(error.orig, "sqlstate", None)
            if attempt == _TRIES or state not in _PASSING:
                raise
    raise AssertionError("the loop returns or raises")


def _apply(connection: Connection, documents: Sequence[CallDocument], *, force: bool) -> int:
    """Write the documents that differ from what stands there and return how many did."""
    if not documents:
        return 0
    standing = _lock_calls(connection, [document.call_id for document in documents])
    digests = {document.call_id: rows.digest(document) for document in documents}
    changed = [
        document
        for document in documents
        if force or document.call_id not in standing or standing[document.call_id][0] != digests[document.call_id]
    ]
    if not changed:
        return 0
    calls = [rows.call(document, digests[document.call_id]) for document in changed]
    groups = {standing[row["call_id"]][1] for row in calls if row["call_id"] in standing}
    groups |= {(row["hour_at"], row["team_id"]) for row in calls}
    _lock_groups(connection, groups)
    rows.write_dimensions(connection, changed)
    if replaced := [row["call_id"] for row in calls if row["call_id"] in standing]:
        connection.execute(delete(fact_call).where(fact_call.c.call_id.in_(replaced)))
    _copy(connection, fact_call, calls)
    for table, make in ((fact_turn, rows.turns), (fact_alert, rows.alerts), (fact_call_intent, rows.intents)):
        _copy(connection, table, [row for document in changed for row in make(document)])
    rollups.recompute(connection, groups)
    return len(changed)


def _copy(connection: Connection, table: Table, found: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows with COPY, in the transaction of the connection.

    Raises:
        CopyFailedError: the database refused them.
    """
    if not found:
        return
    names = list(found[0])
    into = sql.SQL("COPY {}.{} ({}) FROM STDIN").format(
        sql.Identifier(SCHEMA), sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(into) as copy:
            for row in found:
                copy.write_row([row[name] for name in names])
    except psycopg.Error as error:
        raise CopyFailedError(table.name, error.sqlstate) from None


def _remove(connection: Connection, call_ids: Sequence[uuid.UUID]) -> int:
    standing = _lock_calls(connection, call_ids)
    if not standing:
        return 0
    groups = {group for _, group in standing.values()}
    _lock_groups(connection, groups)
    connection.execute(delete(fact_call).where(fact_call.c.call_id.in_(list(standing))))
    rollups.recompute(connection, groups)
    return len(standing)


def _lock_calls(connection: Connection, call_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[str, rollups.Group]]:
    """Lock the calls and return, of those that exist, the document's digest and the group that counts
    them.
    """
    connection.execute(select(func.pg_advisory_xact_lock_shared(_LOADING_KEY)))
    _lock(connection, (f"call:{call_id}" for call_id in call_ids))
    columns = (fact_call.c.call_id, fact_call.c.document_sha256, fact_call.c.hour_at, fact_call.c.team_id)
    found = connection.execute(select(*columns).where(fact_call.c.call_id.in_(call_ids)))
    return {row.call_id: (row.document_sha256, (row.hour_at, row.team_id)) for row in found}


def _lock_groups(connection: Connection, groups: Iterable[rollups.Group]) -> None:
    """Lock the days of these hours: the daily rollups are the coarsest thing that a load rewrites."""
    days = {(rollups.day_of(hour), team_id) for hour, team_id in groups}
    _lock(connection, (f"day:{day.isoformat()}:{team_id}" for day, team_id in days))


def _lock(connection: Connection, names: Iterable[str]) -> None:
    """Hold an advisory lock on each name until the transaction ends; sorted, so everybody locks in one
    order.
    """
    keys = sorted(
        {
            int.from_bytes(hashlib.blake2b(f"{SCHEMA}.{name}".encode(), digest_size=8).digest(), signed=True)
            for name in names
        }
    )
    if keys:
        key = func.unnest(literal(keys, ARRAY(BigInteger))).column_valued("key")
        connection.execute(select(func.pg_advisory_xact_lock(key)))
