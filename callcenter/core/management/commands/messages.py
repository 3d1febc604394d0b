"""`manage.py messages`: bring the catalogues up to date; `--check`: print what is not translated yet."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from callcenter.core import messages


class Command(BaseCommand):
    help = "Collect the words of templates, Python and scripts into the catalogues under locale/."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own name and kind

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folders", nargs="*", help="site, work (default: both)")
        parser.add_argument("--check", action="store_true", help="change nothing; list what is left")

    def handle(self, *args: Any, **options: Any) -> None:
        folders = options["folders"] or ["site", "work"]
        if unknown := set(folders) - {"site", "work"}:
            raise CommandError(f"no such folder of words: {', '.join(sorted(unknown))}; there are site and work")
        if not options["check"]:
            for folder in folders:
                self.stdout.write(f"{folder}: {messages.update(folder)} texts without a translation")
            return
        left = 0
        for template in messages.templates():
            if messages.folder_of(template.path) in folders:
                for text in template.unmarked:
                    left += 1
                    self.stdout.write(f"{template.path}: not marked: {text}")
        for path, text in messages.unmarked_in_code():
            if messages.folder_of(path) in folders:
                left += 1
                self.stdout.write(f"{path}: not marked: {text}")
        for folder in folders:
            for domain in messages.domains(folder):
                for language in messages.LANGUAGES:
                    for text in messages.untranslated(folder, domain, language):
                        left += 1
                        self.stdout.write(f"{language} {folder}/{domain}: {text}")
        self.stdout.write(f"{left} left")
