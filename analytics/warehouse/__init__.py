"""The warehouse: a star schema in PostgreSQL schema `analytics`, derived from call documents, read through
filters.

`connect`, `migrate` and `current_and_head` are the door; `loader` writes, `queries` reads. No Django here.
"""

from analytics.warehouse.document import DocumentError
from analytics.warehouse.engine import connect, normalise_url, shared
from analytics.warehouse.filters import ALL_TEAMS, NO_TEAMS, CallFilter, VisibleTeams
from analytics.warehouse.grants import grant_read_only
from analytics.warehouse.schema import current_and_head, migrate

__all__ = [
    "ALL_TEAMS",
    "NO_TEAMS",
    "CallFilter",
    "DocumentError",
    "VisibleTeams",
    "connect",
    "current_and_head",
    "grant_read_only",
    "migrate",
    "normalise_url",
    "shared",
]
