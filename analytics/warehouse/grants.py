"""A role that may read the warehouse, now and after every later migration, and nothing else of the
database.
"""

from __future__ import annotations

from psycopg import sql
from sqlalchemy import Engine, text

from analytics.warehouse.tables import SCHEMA


class NoSuchRole(LookupError):
    """The role does not exist; the message shows the statement that makes it."""


def read_only_sql(role: str) -> list[str]:
    """Return the statements that let `role` read the warehouse; the name is quoted, so any name is safe.

    They are to be run by the owner of the tables (who ran the migrations): default privileges belong to who
    grants them, and it is they that cover the tables of later migrations.
    """
    names = {"role": sql.Identifier(role), "schema": sql.Identifier(SCHEMA)}
    templates = (
        "REVOKE ALL ON SCHEMA {schema} FROM {role}",
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
    )
    return [sql.SQL(template).format(**names).as_string(None) for template in templates]


def grant_read_only(engine: Engine, role: str) -> None:
    """Let `role` read every table and view of the warehouse and write none; harmless when repeated.

    The role sees the calls of every team: the team scope of the pages lives in `CallFilter`, not in the
    database.

    Raises:
        NoSuchRole: create it first; a password is not this function's business.
    """
    with engine.begin() as connection:
        found = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
        if found is None:
            quoted = sql.Identifier(role).as_string(None)
            raise NoSuchRole(
                f"there is no role {role!r}; run as administrator: CREATE ROLE {quoted} LOGIN PASSWORD '...'"
            )
        for statement in read_only_sql(role):
            connection.exec_driver_sql(statement.replace("%", "%%"))
