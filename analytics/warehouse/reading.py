"""Running a statement that only reads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Select

Database = Engine | Connection


def fetch(db: Database, statement: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return the rows of a statement that only reads."""
    if isinstance(db, Connection):
        return [dict(row) for row in db.execute(statement).mappings()]
    with db.connect() as connection:
        # The database itself then refuses a write, should one ever slip into this module.
        rows = connection.execution_options(postgresql_readonly=True).execute(statement)
        return [dict(row) for row in rows.mappings()]
