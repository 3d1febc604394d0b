"""`manage.py up`: site, workers and clock run until Ctrl-C, or in the background with --detach."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callcenter.core import supervisor
from callcenter.core.startup import prepare_database


class Command(BaseCommand):
    help = "Runs the web server, the workers and beat on this machine; restarts what crashes; stops all together."
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--no-web", action="store_true", help="workers and beat only")
        parser.add_argument("--no-migrate", action="store_true", help="leave the database schema as it is")
        parser.add_argument("--detach", action="store_true", help="go on in the background; `down` stops it")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["detach"]:
            self._detach(options)
            return
        if running := supervisor.running_pid(settings.VAR_DIR):
            raise CommandError(str(supervisor.AlreadyUp(running)))
        if not options["no_migrate"]:
            prepare_database()
        try:
            code = supervisor.serve(
                port=options["port"], host=options["host"], web=not options["no_web"], on_event=self._say
            )
        except supervisor.AlreadyUp as error:
            raise CommandError(str(error)) from error
        if code:
            raise CommandError("a program cannot be kept running; see above and var/logs", returncode=code)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _detach(self, options: dict[str, Any]) -> None:
        running = supervisor.running_pid(settings.VAR_DIR)
        if running:
            raise CommandError(str(supervisor.AlreadyUp(running)))
        command = [sys.executable, "manage.py", "up", "--host", options["host"], "--port", str(options["port"])]
        command += [f"--{name.replace('_', '-')}" for name in ("no_web", "no_migrate") if options[name]]
        log_path = settings.VAR_DIR / "logs" / "up.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=supervisor.ROOT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise CommandError(log_path.read_text(errors="replace").strip()[-1000:] or "it ended at once")
            text = log_path.read_text(errors="replace")
            if "ready:" in text or (options["no_web"] and "beat: started" in text):
                where = "" if options["no_web"] else f" at http://{options['host']}:{options['port']}/"
                self.stdout.write(f"up in the background (process {process.pid}){where}; `make down` stops it")
                return
            time.sleep(0.1)
        process.terminate()
        raise CommandError(f"not ready after two minutes; see {log_path}")
