"""How to reach the warehouse: one URL in any usual spelling becomes one SQLAlchemy engine on psycopg 3."""

from __future__ import annotations

import os
import threading
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_ACCEPTED = {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"}

_shared: dict[tuple[int, str], Engine] = {}
_shared_lock = threading.Lock()


def normalise_url(url: str | URL) -> URL:
    """Return the URL for the psycopg 3 driver, whatever usual spelling of PostgreSQL it came in.

    Accepts `postgres://`, `postgresql://`, `postgresql+psycopg://` and both spellings of a Unix socket:
    `postgresql://user@/name?host=/run/postgresql` and `postgresql://user@%2Frun%2Fpostgresql/name`.

    Raises:
        ValueError: empty, not a URL, or not PostgreSQL. The message never repeats the URL: it may hold a
            password.
    """
    if not url:
        raise ValueError("the warehouse needs a database URL such as postgresql://user@host/name")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("the warehouse URL is not a URL such as postgresql://user@host/name") from None
    if parsed.drivername not in _ACCEPTED:
        raise ValueError(f"the warehouse needs PostgreSQL, not {parsed.drivername}")
    host, query = parsed.host, dict(parsed.query)
    if host and host.lower().startswith("%2f"):
        query["host"], host = unquote(host), None
    return URL.create(
        "postgresql+psycopg",
        username=parsed.username,
        password=parsed.password,
        host=host,
        port=parsed.port,
        database=parsed.database,
        query=query,
    )


def connect(url: str | URL, *, pool_size: int = 2, max_overflow: int = 6) -> Engine:
    """Return a new engine whose sessions speak UTC and READ COMMITTED; nothing is connected until first use.

    READ COMMITTED is stated and not inherited: the loader takes a lock and then must see what the previous
    holder committed, which a snapshot taken before the lock would hide.

    Raises:
        ValueError: see `normalise_url`.
    """
    engine = create_engine(
        normalise_url(url),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=max_overflow,
        hide_parameters=True,  # customer references must not end up in a log line of a failed statement
    )

    @event.listens_for(engine, "connect")
    def _utc(connection: Any, _record: Any) -> None:
        # A statement and not a start-up option, because connection poolers refuse unknown start-up options.
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
        connection.commit()

    return engine


def shared(url: str | URL) -> Engine:
    """Return this process's one engine for the URL, made on first use; a forked child gets its own."""
    key = (os.getpid(), normalise_url(url).render_as_string(hide_password=False))
    with _shared_lock:
        if key not in _shared:
            _shared[key] = connect(url)
        return _shared[key]
