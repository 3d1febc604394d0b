"""manage.py import_articles FOLDER: a folder of text, markdown and JSON into the knowledge base."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from callcenter.core.errors import CallcenterError
from callcenter.insights.answers.importing import import_folder


class Command(BaseCommand):
    help = "Bring a folder of articles (.md, .txt, .json) into the knowledge base; run again, it takes what changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--overwrite", action="store_true", help="also articles that a person has changed here")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = import_folder(options["folder"], overwrite=options["overwrite"])
        except CallcenterError as error:
            raise CommandError(error.message) from error
        for line in [*report.refused, *report.kept]:
            self.stderr.write(line)
        self.stdout.write(
            f"{report.added} added, {report.changed} changed, {report.same} unchanged, {len(report.kept)} kept, "
            f"{len(report.refused)} refused."
        )
