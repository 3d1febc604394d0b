"""`manage.py dataset build|list|show|import|export`: datasets from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date

from callcenter.core.errors import CallcenterError
from callcenter.learning.models import Dataset


class Command(BaseCommand):
    help = "Builds datasets from corrections, brings corpora in and takes datasets along."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        build = actions.add_parser("build", help="make training data (and the golden set) of what was reviewed")
        build.add_argument("--name", default="", help="default: the date and time")
        build.add_argument("--since", help="learn only from what was reviewed since this day (YYYY-MM-DD)")
        build.add_argument("--team", action="append", help="learn only from this team; may be repeated")
        build.add_argument("--replay-share", type=float, help="share of old-domain sound, 0 to 0.9")
        build.add_argument("--pseudo-share", type=float, help="share of confident, uncorrected turns, 0 to 0.9")
        actions.add_parser("list", help="all datasets, newest first")
        show = actions.add_parser("show", help="one dataset: counts, what was left out and why")
        show.add_argument("name")
        bring = actions.add_parser("import", help="bring in a corpus: manifest.jsonl, CSV, Hugging Face audio folder")
        bring.add_argument("path", type=Path, help="folder, zip, or the list itself")
        bring.add_argument("--name", default="")
        bring.add_argument("--role", default="train", choices=("train", "golden", "old_domain"))
        take = actions.add_parser("export", help="write a dataset to a folder or a zip")
        take.add_argument("name")
        take.add_argument("target", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallcenterError as error:
            raise CommandError(error.message) from error

    def _build(self, options: dict[str, Any]) -> None:
        from callcenter.calls.management.commands.import_recordings import find_team
        from callcenter.learning.services import datasets

        env = settings.ENV
        replay, pseudo = options["replay_share"], options["pseudo_share"]
        for name, share in (("replay", replay), ("pseudo", pseudo)):
            if share is not None and not 0 <= share <= 0.9:
                raise CommandError(f"--{name}-share must lie between 0 and 0.9.")
        made = datasets.build(
            by=None,
            name=options["name"],
            since=_day(options["since"]),
            teams=[find_team(text) for text in options["team"]] if options["team"] else None,
            replay_share=env.LEARNING_REPLAY_SHARE if replay is None else replay,
            pseudo_share=env.LEARNING_PSEUDO_SHARE if pseudo is None else pseudo,
        )
        self._describe(made)

    def _list(self, options: dict[str, Any]) -> None:
        for one in Dataset.objects.all():
            self.stdout.write(
                f"{one.name:36}  {one.kind:10}  {one.rows:6} rows  {one.audio_seconds / 60:7.1f} min  {one.sha256[:12]}"
                f"  {timezone.localtime(one.created_at):%Y-%m-%d %H:%M}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        self._describe(find(options["name"]))

    def _import(self, options: dict[str, Any]) -> None:
        from callcenter.learning.services import importing

        self._describe(
            importing.import_corpus(path=options["path"], name=options["name"], role=options["role"], by=None)
        )

    def _export(self, options: dict[str, Any]) -> None:
        from callcenter.learning.services import exporting

        target = exporting.export(dataset=find(options["name"]), target=options["target"], by=None)
        self.stdout.write(f"written to {target}")

    def _describe(self, made: Dataset) -> None:
        self.stdout.write(
            f"{made.name}: {made.get_kind_display().lower()}, {made.rows} rows, {made.counts['calls']} calls"
        )
        self.stdout.write(f"  SHA-256    {made.sha256}")
        for name in ("split", "source"):
            for key, count in made.counts.get(name, {}).items():
                self.stdout.write(
                    f"  {name:9}  {key or 'not said':12} {count['rows']:6} rows  {count['seconds']:8.1f} s"
                )
        if made.golden:
            self.stdout.write(f"  held out   {made.golden.name}, {made.golden.rows} rows")
        for reason, n in made.counts.get("left_out", {}).items():
            self.stdout.write(f"  left out   {n} × {reason}")
        if made.imported:
            for problem in made.problems:
                self.stdout.write(f"  left out   {problem['where']}: {problem['reason']}")


def find(name: str) -> Dataset:
    """Return a dataset by name or by the beginning of its SHA-256. Raises CommandError."""
    found = Dataset.objects.filter(name=name).first()
    if found is None and len(name) >= 6:
        found = Dataset.objects.filter(sha256__startswith=name.lower()).first()
    if found is None:
        raise CommandError(f"There is no dataset “{name}”. See: manage.py dataset list")
    return found


def _day(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"--since “{text}” is not a day such as 2026-03-31.")
    return timezone.make_aware(datetime(day.year, day.month, day.day))
