"""`python -m analytics.warehouse migrate | status | grant`: the warehouse without the rest of the house."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from analytics.warehouse import rollups
from analytics.warehouse.engine import connect
from analytics.warehouse.grants import NoSuchRole, grant_read_only, read_only_sql
from analytics.warehouse.schema import current_and_head, migrate
from analytics.warehouse.tables import SCHEMA, fact_alert, fact_call, fact_turn, rollup_hour


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 it is not as it should be, 2 it could not be
    tried.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "grant" and arguments.print:
        print(";\n".join(read_only_sql(arguments.role)) + ";")
        return 0
    try:
        engine = connect(
            arguments.url or os.environ.get("ANALYTICS_DATABASE_URL") or os.environ.get("DATABASE_URL", "")
        )
    except ValueError as error:
        return _failed(f"{error}; give --url or set ANALYTICS_DATABASE_URL")
    try:
        if arguments.command == "migrate":
            print(f"{SCHEMA}: at revision {migrate(engine)}")
            return 0
        if arguments.command == "status":
            return _status(engine)
        grant_read_only(engine, arguments.role)
        print(f"{arguments.role} may read schema {SCHEMA}")
        return 0
    except OperationalError as error:
        return _failed(f"the database does not answer: {error.orig}")
    except (NoSuchRole, ProgrammingError) as error:
        return _failed(str(error.orig if isinstance(error, ProgrammingError) else error))
    finally:
        engine.dispose()


def _status(engine: Engine) -> int:
    now, newest = current_and_head(engine)
    print(f"revision: {now or 'none'} (newest: {newest})")
    if now != newest:
        print("cure: python -m analytics.warehouse migrate")
        return 1
    with engine.connect() as connection:
        for table in (fact_call, fact_turn, fact_alert, rollup_hour):
            print(f"{table.name}: {connection.scalar(select(func.count()).select_from(table))} rows")
    wrong = rollups.drift(engine)
    print(f"rollup rows that differ from the facts: {wrong}")
    return 1 if wrong else 0


def _failed(message: str) -> int:
    print(message.strip(), file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analytics.warehouse", description=__doc__)
    parser.add_argument("--url", default="", help="default: ANALYTICS_DATABASE_URL, else DATABASE_URL")
    url = argparse.ArgumentParser(add_help=False)
    url.add_argument("--url", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", parents=[url], help="create the schema or bring it to the newest revision")
    commands.add_parser("status", parents=[url], help="revision, row counts, and whether rollups equal facts")
    grant = commands.add_parser("grant", parents=[url], help="let an existing role read the warehouse")
    grant.add_argument("role")
    grant.add_argument("--print", action="store_true", help="only print the statements")
    return parser


if __name__ == "__main__":
    sys.exit(main())
