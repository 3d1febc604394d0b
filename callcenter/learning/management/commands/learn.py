"""`manage.py learn`: what tonight would do; `--now` does it by hand, `--wait` stays until it has ended."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from callcenter.core.errors import CallcenterError
from callcenter.learning.models import NightlyRun
from callcenter.learning.services import nightly, training


class Command(BaseCommand):
    help = "Says what learning has done and does next; --now runs a night by hand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--now", action="store_true", help="run a night now")
        parser.add_argument("--wait", action="store_true", help="stay until it has ended; needs a learning worker")
        parser.add_argument("--timeout", type=float, default=7200.0, help="seconds to wait at most")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["now"]:
            self._say()
            return
        try:
            night = nightly.run_once()
        except CallcenterError as error:
            raise CommandError(error.message) from error
        self._line(night)
        if options["wait"] and night.state == NightlyRun.State.WORKING:
            self._wait(night, options["timeout"])
        if night.state == NightlyRun.State.FAILED:
            raise CommandError("The night failed.")

    def _say(self) -> None:
        for night in NightlyRun.objects.all()[:7]:
            self._line(night)
        at = nightly.next_at()
        self.stdout.write(f"next night: {at:%Y-%m-%d %H:%M}" if at else "no night by the clock (LEARNING_NIGHTLY_HOUR)")

    def _wait(self, night: NightlyRun, timeout: float) -> None:
        deadline, shown = time.monotonic() + timeout, ""
        while night.state == NightlyRun.State.WORKING:
            if time.monotonic() > deadline:
                raise CommandError("It has not ended in time; it goes on, see the page Learning.")
            time.sleep(1)
            # Without beat nobody else would find a silent worker or end the night.
            training.sweep()
            nightly.sweep()
            night.refresh_from_db()
            run = night.run
            if run is not None:
                run.refresh_from_db()
                text = f"{run.fraction:4.0%}  {run.stage}"
                if text != shown:
                    self.stderr.write(text)
                    shown = text
        self._line(night)

    def _line(self, night: NightlyRun) -> None:
        at = timezone.localtime(night.created_at)
        self.stdout.write(f"{at:%Y-%m-%d %H:%M}  {night.get_state_display()}  {night.reason}".rstrip())
