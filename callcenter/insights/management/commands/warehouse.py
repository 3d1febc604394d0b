"""The warehouse: migrate, status, rebuild."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from callcenter.calls.models import Call
from callcenter.insights.warehouse_doc import call_document, engine


class Command(BaseCommand):
    help = "migrate: bring the warehouse's schema up to date; status: say where it is; rebuild: derive all of it again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["migrate", "status", "rebuild"])

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])()

    def migrate(self) -> None:
        from analytics.warehouse import migrate

        migrate(settings.ANALYTICS_DATABASE_URL)
        self.stdout.write("The warehouse is up to date.")

    def status(self) -> None:
        from analytics.warehouse import current_and_head

        current, head = current_and_head(settings.ANALYTICS_DATABASE_URL)
        self.stdout.write(f"at {current or 'nothing'}, newest {head}")

    def rebuild(self) -> None:
        from analytics.warehouse import loader

        loader.truncate_all(engine())
        calls = Call.objects.exclude(transcript=None).order_by("started_at")
        loaded = loader.load_many(engine(), (call_document(call) for call in calls.iterator(chunk_size=200)))
        self.stdout.write(f"{calls.count() if loaded is None else loaded} calls loaded again.")
