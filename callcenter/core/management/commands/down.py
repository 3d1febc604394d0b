"""`manage.py down`: what `up` started is gone, with the embedded services if nobody else uses them."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callcenter.core import embedded, supervisor

STOP_TIMEOUT_S = 90.0


class Command(BaseCommand):
    help = "Stops the site and the workers that `up` started. --force stops the embedded services under anybody's feet."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="stop the embedded services even while in use")

    def handle(self, *args: Any, **options: Any) -> None:
        var_dir = settings.VAR_DIR
        pid = supervisor.running_pid(var_dir)
        if pid:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while supervisor.running_pid(var_dir):
                if time.monotonic() > deadline:
                    raise CommandError(f"process {pid} does not stop; see {var_dir / 'logs'}")
                time.sleep(0.1)
        embedded.release(var_dir)
        if options["force"]:
            embedded.stop(var_dir)
        deadline = time.monotonic() + 10
        while embedded.status(var_dir).running and time.monotonic() < deadline:
            time.sleep(0.1)
        what = "stopped" if pid else "nothing was up"
        if embedded.status(var_dir).running:
            what += "; the embedded services stay, because other processes use them (--force stops them)"
        self.stdout.write(what)
