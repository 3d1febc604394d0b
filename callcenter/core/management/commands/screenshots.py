"""Pictures of every page of the demo site, for people to look at."""

from __future__ import annotations

import subprocess
import sys
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from callcenter.calls.models import Call
from callcenter.core import demo


class QuietHandler(WSGIRequestHandler):
    """Says nothing of requests; the site's own log does."""

    def log_message(self, format: str, *args: Any) -> None:
        """Leave it out."""


class Command(BaseCommand):
    help = "Serve the demo for as long as it takes to picture every page at 1440 and 390 pixels, light and dark."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", default=str(settings.BASE_DIR / "screenshots"))
        parser.add_argument("--user", default="admin", help="the demo user to sign in as")
        parser.add_argument("--scheme", default="both", choices=("light", "dark", "both"))

    def handle(self, *args: Any, **options: Any) -> None:
        if not Call.objects.exists():
            raise CommandError("There are no calls to picture yet. Run: make demo SERVE=0")
        demo.seed_people()
        server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
        server.set_app(get_wsgi_application())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            sys.executable, "-m", "benchmarks.screenshots", "--url", f"http://127.0.0.1:{server.server_port}",
            "--user", options["user"], "--password", demo.password(),
            "--out", options["out"], "--scheme", options["scheme"],
        ]  # fmt: skip
        try:
            status = subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode
        finally:
            server.shutdown()
        if status:
            raise CommandError("The pictures show problems; they are listed above.")
