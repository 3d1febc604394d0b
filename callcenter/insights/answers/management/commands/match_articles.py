"""manage.py match_articles --days N: which article answers which stored call, found again."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from callcenter.insights.answers.services import rematch


class Command(BaseCommand):
    help = "Find the articles of stored calls again, after the knowledge base has changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="calls that began in the last N days (30)")

    def handle(self, *args: Any, **options: Any) -> None:
        done = rematch(since=timezone.now() - timedelta(days=max(0, options["days"])))
        self.stdout.write(f"{done} calls looked at.")
