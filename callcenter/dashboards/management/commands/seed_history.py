"""A made-up past for looking at and for measuring, and its removal."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call
from callcenter.core.errors import CallcenterError
from callcenter.dashboards.history import store
from callcenter.dashboards.history.cast import MARK


class Command(BaseCommand):
    help = (
        "Fill the tables and the warehouse with generated calls, marked as such (source “generated”, no sound), or "
        "remove them again. Refused with production settings, always, and beside real calls unless --force is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--calls", type=int, default=10_000)
        parser.add_argument("--days", type=int, default=365, help="how far back the history goes")
        parser.add_argument("--seed", type=int, default=1, help="another number is another history")
        parser.add_argument("--show-to", action="append", default=[], metavar="USER", help="add USER to the teams")
        parser.add_argument("--force", action="store_true", help="also beside real calls (never in production)")
        parser.add_argument("--remove", action="store_true", help="take every generated call away again")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["remove"]:
            removed = store.remove(progress=self._progress())
            self.stdout.write(f"{removed:,} generated calls removed.")
            return
        self._check(options)
        begun = time.monotonic()
        try:
            made = store.seed(
                calls=options["calls"], days=options["days"], seed=options["seed"], progress=self._progress()
            )
        except CallcenterError as error:
            raise CommandError(f"{error.message} (manage.py seed_history --remove)") from error
        for name in options["show_to"]:
            User.objects.get(username=name).teams.add(*Team.objects.filter(slug__startswith=f"{MARK}-"))
        self.stdout.write(
            f"{made.calls:,} calls, {made.turns:,} turns and {made.alerts:,} alerts in "
            f"{time.monotonic() - begun:.0f} s; the warehouse took {made.calls / max(made.load_seconds, 0.001):,.0f} "
            "calls a second."
        )

    def _check(self, options: dict[str, Any]) -> None:
        """Refuse before anything is written: a generated call among real ones falsifies every figure."""
        if os.environ.get("DJANGO_SETTINGS_MODULE", "").endswith(".prod"):
            raise CommandError("This is a production site; generated calls have no place here.")
        if not 1 <= options["calls"] <= 5_000_000 or not 1 <= options["days"] <= 3660:
            raise CommandError("--calls is 1 to 5,000,000 and --days 1 to 3660.")
        unknown = set(options["show_to"]) - set(User.objects.values_list("username", flat=True))
        if unknown:
            raise CommandError(f"There is no user {', '.join(sorted(unknown))}.")
        if not options["force"] and Call.objects.exclude(source=MARK).exists():
            raise CommandError(
                "There are real calls here, and generated ones would stand among them in every figure. "
                "Give --force to have them anyway; --remove takes them away again."
            )

    def _progress(self) -> Any:
        last = [time.monotonic()]

        def say(done: int) -> None:
            if time.monotonic() - last[0] >= 5 and sys.stdout.isatty():
                last[0] = time.monotonic()
                self.stdout.write(f"{done:,} …")

        return say
