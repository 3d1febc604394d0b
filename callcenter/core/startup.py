"""Bringing both schemas up to date; safe when several processes do it at once."""

from __future__ import annotations

from django.conf import settings
from django.core.management import call_command
from django.db import connection

_LOCK = 7_231_905


def prepare_database() -> None:
    """Apply Django's and the warehouse's migrations under one lock."""
    from analytics.warehouse import migrate

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            call_command("migrate", interactive=False, verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    migrate(settings.ANALYTICS_DATABASE_URL)
