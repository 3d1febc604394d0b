"""The warehouse: migrate, status, rebuild."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from callcenter.calls.models import Call
from callcenter.insights.warehouse_doc import call_documents, engine


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
        """Derive every row again from the operational tables, and prove that nothing else was in there."""
        from analytics.warehouse import loader

        before = loader.checksum(engine())
        calls = Call.objects.exclude(transcript=None).order_by("started_at")
        report = loader.load_many(engine(), call_documents(calls), force=True)
        removed = loader.delete_missing(engine(), [str(pk) for pk in calls.values_list("pk", flat=True)])
        same = loader.checksum(engine()) == before
        self.stdout.write(
            f"{report.loaded} calls loaded again, {removed} removed that have no call any more; the warehouse is "
            f"{'the same as before' if same else 'not as it was before: it had drifted'}."
        )
        for refusal in report.refused:
            self.stderr.write(f"refused: {refusal}")
