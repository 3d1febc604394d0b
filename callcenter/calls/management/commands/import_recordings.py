"""Import recordings from a folder, a manifest, or a corpus layout."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from callcenter.accounts.models import Team
from callcenter.calls.services import importing, waiting
from callcenter.core.errors import CallcenterError


class Command(BaseCommand):
    help = (
        "Import recordings. PATH is a folder (with or without manifest.csv or manifest.jsonl), a manifest, one file, "
        "or a copy of HarperValleyBank. Every file ends as done, duplicate or refused with its reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--team", help="name or slug; may be left out when there is one team")
        parser.add_argument("--queue", help="queue for files that name none")
        parser.add_argument("--manifest", type=Path, help="CSV or JSON lines, if it is not in the folder")
        parser.add_argument(
            "--pattern",
            help="regular expression over the file's path, e.g. '(?P<agent>\\w+)_(?P<external_id>\\d+)'",
        )
        parser.add_argument("--layout", choices=["auto", "plain", "harper"], default="auto")
        parser.add_argument("--backlog", action="store_true", help="old recordings: new calls go first")
        parser.add_argument(
            "--wait", action="store_true", help="wait until every call is processed (needs running workers)"
        )
        parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait at most")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        team = find_team(options["team"])
        try:
            pattern = importing.compile_pattern(options["pattern"]) if options["pattern"] else None
            found = importing.items(
                options["path"], manifest=options["manifest"], pattern=pattern, layout=options["layout"]
            )
            batch = importing.import_items(
                found,
                team=team,
                by=None,
                name=f"Import of {options['path'].name}",
                source="command",
                defaults={
                    **({"queue": options["queue"]} if options["queue"] else {}),
                    **({"_backlog": "yes"} if options["backlog"] else {}),
                },
            )
        except CallcenterError as error:
            raise CommandError(error.message) from error
        if options["wait"]:
            try:
                waiting.wait(batch, timeout=options["timeout"])
            except TimeoutError as error:
                raise CommandError(
                    f"Not everything ended in time: {error}. Are the workers running (make up)?"
                ) from error
        rows = batch.rows.select_related("call")
        if options["as_json"]:
            listed = [
                {
                    "filename": r.filename,
                    "state": r.state,
                    "reason": r.reason,
                    "call": str(r.call_id) if r.call_id else None,
                }
                for r in rows
            ]
            self.stdout.write(json.dumps({"batch": str(batch.pk), "rows": listed}))
            return
        for row in rows:
            self.stdout.write(f"{row.state:10} {row.filename}  {row.reason}")
        self.stdout.write(f"Batch {batch.pk}: {len(rows)} rows.")


def find_team(text: str | None) -> Team:
    """Return the named team, or the only one. Raises CommandError that lists the teams."""
    teams = list(Team.objects.all())
    if text:
        chosen = [t for t in teams if text.lower() in (t.slug, t.name.lower())]
    else:
        chosen = teams if len(teams) == 1 else []
    if not chosen:
        names = ", ".join(t.slug for t in teams) or "none yet; make one in the admin or with `manage.py demo`"
        raise CommandError(f"Say which team with --team. Teams: {names}.")
    return chosen[0]
