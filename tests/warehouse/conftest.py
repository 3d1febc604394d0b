"""A real PostgreSQL database of this test process's own, thrown away at the end; emptied before every
test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, make_url, text

from analytics.warehouse import connect, migrate
from analytics.warehouse.loader import truncate_all

REPOSITORY = Path(__file__).resolve().parents[2]


def server_url() -> URL:
    """Return the server that the tests may make a database on: DATABASE_URL, else the embedded one."""
    given = os.environ.get("DATABASE_URL", "")
    if not given:
        from callcenter.core import embedded

        given = embedded.ensure(Path(os.environ.get("VAR_DIR") or REPOSITORY / "var")).database_url
    return make_url(given)


@pytest.fixture(scope="session")
def database_url() -> Iterator[URL]:
    """A throwaway database without the warehouse in it."""
    server = connect(server_url())
    name = f"test_warehouse_{os.getpid()}"
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield server.url.set(database=name)
        finally:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def migrated(database_url: URL) -> Iterator[Engine]:
    engine = connect(database_url, pool_size=8, max_overflow=8)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    """The migrated warehouse, empty."""
    truncate_all(migrated)
    return migrated
