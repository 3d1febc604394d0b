"""`manage.py prepare`: both schemas are at their newest revision and the default taxonomy and rules exist."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from callcenter.core.startup import prepare_database


class Command(BaseCommand):
    help = "Applies the migrations of the site and of the warehouse, and files the defaults. Safe to repeat."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        from callcenter.insights.services import seed_defaults

        prepare_database()
        intents, rules = seed_defaults()
        self.stdout.write(f"schemas are up to date; {intents} intents and {rules} rules were added")
