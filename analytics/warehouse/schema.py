"""The warehouse's own schema, brought to its newest revision by any number of processes at once without
harm.
"""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, text

from analytics.warehouse.engine import connect
from analytics.warehouse.tables import SCHEMA

VERSION_TABLE = "warehouse_version"
_FOLDER = Path(__file__).parent / "migrations"
_ADVISORY_KEY = 0x77617265686F7573  # "warehous" in ASCII; any fixed number that nobody else uses

# Alembic keeps the running migration in module globals, so two threads of one process have to take turns.
_one_at_a_time = threading.Lock()


def config(connection: Connection | None = None) -> Config:
    """Return the Alembic configuration, complete without any ini file."""
    made = Config()
    made.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def migrate(url: str | URL | Engine, revision: str = "head") -> str:
    """Bring the warehouse to `revision` and return it; safe from many processes at once, harmless when
    repeated.

    Everything happens in one transaction that holds an advisory lock: a migration that fails leaves nothing
    behind, and who waited for the lock finds the work done.

    Raises:
        ValueError: the URL cannot be a warehouse. sqlalchemy.exc.DBAPIError: the database refused.
    """
    with _one_at_a_time, _engine(url) as engine, engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
        # Asked first because CREATE SCHEMA needs a right that a careful administrator takes away afterwards.
        found = connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": SCHEMA})
        if found is None:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        command.upgrade(config(connection), revision)
        return current(connection) or ""


def current_and_head(url: str | URL | Engine) -> tuple[str | None, str]:
    """Return the revision that the database has (None before the first migration) and the newest one; change
    nothing.
    """
    with _engine(url) as engine, engine.connect() as connection:
        return current(connection), head()


def current(connection: Connection) -> str | None:
    """Return the revision of the connected database, or None before the first migration."""
    options = {"version_table": VERSION_TABLE, "version_table_schema": SCHEMA}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def head() -> str:
    """Return the newest revision that this code knows."""
    newest = ScriptDirectory.from_config(config()).get_current_head()
    assert newest is not None, "the migrations folder is part of the package"  # noqa: S101
    return newest


class _engine:
    """Lend the caller's engine, or a short-lived one that leaves no connection behind."""

    def __init__(self, url: str | URL | Engine) -> None:
        self._own = not isinstance(url, Engine)
        self._engine = url if isinstance(url, Engine) else connect(url, pool_size=1, max_overflow=0)

    def __enter__(self) -> Engine:
        return self._engine

    def __exit__(self, *_: object) -> None:
        if self._own:
            self._engine.dispose()
