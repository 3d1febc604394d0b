"""Pictures of every page of the demo site, of an empty house and of one in trouble, for people to look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call
from callcenter.core import demo
from callcenter.core.startup import prepare_database
from callcenter.insights.services import seed_defaults

STATES = ("full", "empty", "error")
#: Nobody listens at this port: what a page says when the warehouse does not answer.
_NO_WAREHOUSE = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"


class QuietHandler(WSGIRequestHandler):
    """Says nothing of requests; the site's own log does."""

    def log_message(self, format: str, *args: Any) -> None:
        """Leave it out."""


class Command(BaseCommand):
    help = (
        "Picture every page at 1440 and 390 pixels, light and dark, in English and Chinese: of the demo (full), of a "
        "house without calls (empty), and with wrong requests and no warehouse (error). Contact sheets lie beside."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", default=str(settings.BASE_DIR / "screenshots"))
        parser.add_argument("--user", default="admin", help="the demo user to sign in as")
        parser.add_argument("--state", default="all", choices=(*STATES, "all"))
        parser.add_argument("--scheme", default="both", choices=("light", "dark", "both"))
        parser.add_argument("--language", default="both", choices=("en", "zh", "both"))
        parser.add_argument("--only", default="", help="comma-separated names of pages")
        parser.add_argument("--here", action="store_true", help="take this very site for the state")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["here"]:
            return self._picture(options)
        if options["state"] != "empty" and not Call.objects.exists():
            raise CommandError("There are no calls to picture yet. Run: make demo SERVE=0")
        wrong = []
        for state in STATES if options["state"] == "all" else (options["state"],):
            self.stdout.write(f"State: {state}")
            self.stdout.flush()
            if self._of_state(state, options):
                wrong.append(state)
        if wrong:
            raise CommandError(f"The pictures show problems ({', '.join(wrong)}); they are listed above.")

    def _of_state(self, state: str, options: dict[str, Any]) -> int:
        """Take a state's pictures in a process of its own, since a site reads its settings once."""
        again = [sys.executable, "manage.py", "screenshots", "--here", "--state", state]
        for name in ("out", "user", "scheme", "language", "only"):
            again += [f"--{name}", options[name]]
        quiet = os.environ | {"LOG_LEVEL": "ERROR", "DEBUG": "0"}
        if state != "empty":
            changed = {"ANALYTICS_DATABASE_URL": _NO_WAREHOUSE} if state == "error" else {}
            return subprocess.run(again, cwd=settings.BASE_DIR, env=quiet | changed, check=False).returncode
        folder = Path(tempfile.mkdtemp(prefix="screenshots-empty-"))
        (folder / "static_vendor").symlink_to(settings.VAR_DIR / "static_vendor")
        own = {"VAR_DIR": str(folder), "EMBEDDED_SERVICES": "1"}
        gone = ("DATABASE_URL", "REDIS_URL", "ANALYTICS_DATABASE_URL", "STORAGE_URL", "INGEST_DIR")
        try:
            changed = own | dict.fromkeys(gone, "")
            return subprocess.run(again, cwd=settings.BASE_DIR, env=quiet | changed, check=False).returncode
        finally:
            from callcenter.core.embedded import stop

            stop(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def _picture(self, options: dict[str, Any]) -> None:
        if options["state"] == "empty":
            prepare_database()
            seed_defaults()
        demo.seed_people()
        agent = User.objects.filter(role=Role.AGENT, is_active=True).order_by("username").first()
        server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
        server.set_app(get_wsgi_application())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            sys.executable, "-m", "benchmarks.screenshots", "--url", f"http://127.0.0.1:{server.server_port}",
            "--user", options["user"], "--agent", agent.username if agent else options["user"],
            "--password", demo.password(), "--state", options["state"], "--out", options["out"],
            "--scheme", options["scheme"], "--language", options["language"], "--only", options["only"],
        ]  # fmt: skip
        try:
            status = subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode
        finally:
            server.shutdown()
        if status:
            raise CommandError("The pictures show problems; they are listed above.")
