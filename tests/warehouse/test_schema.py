"""The schema comes up by itself, once, however many processes ask for it; and a reader can only read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import ProgrammingError

from analytics.warehouse import connect, current_and_head, grant_read_only, migrate, normalise_url, shared
from analytics.warehouse import schema as warehouse_schema
from analytics.warehouse.__main__ import main
from analytics.warehouse.grants import NoSuchRole, read_only_sql
from analytics.warehouse.loader import load_call
from analytics.warehouse.tables import SCHEMA, Base

from .documents import document


@pytest.fixture(scope="module")
def second_database(database_url: URL, migrated: Engine) -> Iterator[Engine]:
    """Another database: tests of migrating must not pull the rug from under the others."""
    name = f"{database_url.database}_bare"
    with migrated.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
        engine = connect(database_url.set(database=name))
        yield engine
        engine.dispose()
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture
def bare_url(second_database: Engine) -> URL:
    """A database without the warehouse in it."""
    with second_database.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS analytics CASCADE"))
    return second_database.url


def text_of(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def test_a_new_database_is_at_no_revision_and_looking_changes_nothing(bare_url: URL) -> None:
    assert current_and_head(bare_url) == (None, warehouse_schema.head())
    engine = connect(bare_url)
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM pg_namespace WHERE nspname = 'analytics'"))
    engine.dispose()
    assert found == 0


def test_migrating_brings_the_newest_revision_and_repeating_it_is_harmless(bare_url: URL) -> None:
    assert migrate(bare_url) == migrate(text_of(bare_url)) == warehouse_schema.head()
    assert current_and_head(bare_url) == (warehouse_schema.head(), warehouse_schema.head())


def test_several_processes_and_threads_may_migrate_at_once(bare_url: URL) -> None:
    command_line = [sys.executable, "-m", "analytics.warehouse", "--url", text_of(bare_url), "migrate"]
    processes = [subprocess.Popen(command_line, stderr=subprocess.PIPE) for _ in range(2)]  # noqa: S603
    with ThreadPoolExecutor(4) as pool:
        revisions = set(pool.map(migrate, [bare_url] * 4))
    outcomes = [(process.communicate()[1], process.returncode) for process in processes]
    assert revisions == {warehouse_schema.head()}
    assert [code for _, code in outcomes] == [0, 0], outcomes


def test_a_migration_that_fails_leaves_nothing_behind(bare_url: URL) -> None:
    engine = connect(bare_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA analytics"))
        connection.execute(text("CREATE TABLE analytics.fact_alert (in_the_way int)"))
    with pytest.raises(ProgrammingError):
        migrate(engine)
    with engine.connect() as connection:
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'analytics'")).all()
    engine.dispose()
    assert tables == ["fact_alert"]


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(migrated: Engine) -> None:
    options = {
        "version_table": warehouse_schema.VERSION_TABLE,
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: name == SCHEMA if kind == "schema" else True,
        "compare_type": True,
        "compare_server_default": True,
    }
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_the_migrations_can_be_taken_back(bare_url: URL) -> None:
    engine = connect(bare_url)
    migrate(engine)
    with engine.begin() as connection:
        command.downgrade(warehouse_schema.config(connection), "base")
    with engine.connect() as connection:
        left = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'analytics'")).all()
    engine.dispose()
    assert left == [warehouse_schema.VERSION_TABLE]


@pytest.mark.parametrize(
    ("given", "host", "socket"),
    [
        ("postgres://u:p@db:5433/name", "db", None),
        ("postgresql://u:p@db:5433/name", "db", None),
        ("postgresql+psycopg://u:p@db:5433/name", "db", None),
        ("postgresql://u:@/name?host=/run/pg", None, "/run/pg"),
        ("postgresql://u:@%2Frun%2Fpg/name", None, "/run/pg"),
    ],
)
def test_every_usual_spelling_of_a_url_reaches_psycopg_3(given: str, host: str | None, socket: str | None) -> None:
    url = normalise_url(given)
    assert (url.drivername, url.host, url.query.get("host"), url.database) == (
        "postgresql+psycopg", host, socket, "name",
    )  # fmt: skip


@pytest.mark.parametrize("given", ["", "sqlite:///file", "mysql://root:hunter2@db/x", "hunter2"])
def test_what_is_not_postgresql_is_refused_without_repeating_a_password(given: str) -> None:
    with pytest.raises(ValueError, match="warehouse") as caught:
        normalise_url(given)
    assert "hunter2" not in str(caught.value)


def test_one_process_shares_one_engine_and_sessions_speak_utc(database_url: URL) -> None:
    engine = shared(database_url)
    assert shared(text_of(database_url)) is engine
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW timezone")) == "UTC"
    engine.dispose()


@pytest.fixture
def reader(engine: Engine) -> Iterator[str]:
    """A role whose name needs quoting. Roles belong to the whole server, hence the process id."""
    role = f'test "reader" {os.getpid()}'
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {quoted(role)}"))
            connection.execute(text(f"GRANT {quoted(role)} TO CURRENT_USER"))
    except ProgrammingError:
        pytest.skip("this user may not make roles")
    yield role
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {quoted(role)}"))
        connection.execute(text(f"DROP ROLE {quoted(role)}"))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_the_read_only_role_reads_everything_and_writes_nothing(engine: Engine, reader: str) -> None:
    load_call(engine, document())
    grant_read_only(engine, reader)
    grant_read_only(engine, reader)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE analytics.later (x int)"))
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SET ROLE {quoted(reader)}"))
            assert connection.scalar(text("SELECT count(*) FROM analytics.calls")) == 1
            assert connection.scalar(text("SELECT team FROM analytics.calls")) == "Team 1"
            assert connection.scalar(text("SELECT count(*) FROM analytics.later")) == 0
            for statement in (
                "DELETE FROM analytics.fact_call",
                "INSERT INTO analytics.dim_team VALUES (9, 'x')",
                "UPDATE analytics.rollup_hour SET calls = 0",
                "TRUNCATE analytics.fact_turn",
                "CREATE TABLE analytics.mine (x int)",
            ):
                with pytest.raises(ProgrammingError, match="permission denied"), connection.begin_nested():
                    connection.execute(text(statement))
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE analytics.later"))


def test_granting_to_a_role_that_is_not_there_says_how_to_make_it(engine: Engine) -> None:
    with pytest.raises(NoSuchRole, match="CREATE ROLE"):
        grant_read_only(engine, "nobody_here")


def test_a_role_name_cannot_smuggle_a_statement_in() -> None:
    assert all('"x""; DROP SCHEMA analytics; --"' in line for line in read_only_sql('x"; DROP SCHEMA analytics; --'))


def test_the_command_migrates_and_says_how_it_stands(bare_url: URL, capsys: pytest.CaptureFixture[str]) -> None:
    url = text_of(bare_url)
    assert main(["--url", url, "status"]) == 1
    assert "migrate" in capsys.readouterr().out
    assert main(["migrate", "--url", url]) == 0
    assert main(["status", "--url", url]) == 0
    assert "differ from the facts: 0" in capsys.readouterr().out
    assert main(["grant", "nobody_here", "--url", url]) == 2
    assert "CREATE ROLE" in capsys.readouterr().err
    assert main(["grant", "metabase", "--print"]) == 0
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_the_address(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANALYTICS_DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["status"]) == 2
    assert "ANALYTICS_DATABASE_URL" in capsys.readouterr().err
    assert main(["status", "--url", "postgresql://u:hunter2@127.0.0.1:1/x"]) == 2
    said = capsys.readouterr().err
    assert "does not answer" in said
    assert "hunter2" not in said
