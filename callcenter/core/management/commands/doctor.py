"""`manage.py doctor`: what is wrong with this installation, and the cure."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from callcenter.core import doctor

_SIGNS = {doctor.Verdict.OK: "ok     ", doctor.Verdict.WARNING: "warning", doctor.Verdict.FAILURE: "FAILED "}


class Command(BaseCommand):
    help = "Checks database, broker, storage, models, decoding and settings; says the cure; exit code 1 on a failure."
    # Django's own checks and its migration warning would hide the report behind a traceback.
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
        parser.add_argument("--no-workers", action="store_true", help="do not ask the workers")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = doctor.examine(workers=not options["no_workers"])
        healthy = doctor.healthy(findings)
        if options["json"]:
            report = {"healthy": healthy, "findings": [finding.as_json() for finding in findings]}
            self.stdout.write(json.dumps(report))
        else:
            for finding in findings:
                self.stdout.write(f"{_SIGNS[finding.verdict]}  {finding.check:<11} {finding.message}")
                if finding.cure:
                    self.stdout.write(f"{'':21}cure: {finding.cure}")
        if not healthy:
            raise SystemExit(1)
