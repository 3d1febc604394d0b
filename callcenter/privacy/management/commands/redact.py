"""Card data out of what is stored already, the index of words made anew, and the way back to an encrypted original."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from callcenter.calls.models import Recording
from callcenter.core import audit
from callcenter.core.storage import store
from callcenter.privacy.models import Mask
from callcenter.privacy.services import backfill, masking, sound


class Command(BaseCommand):
    help = "Take card numbers and security codes out of stored calls (--all), or rebuild the index of words (--index)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="go through every stored call; can be stopped and resumed"
        )
        parser.add_argument("--restart", action="store_true", help="with --all: begin at the first call again")
        parser.add_argument("--index", action="store_true", help="make the index of words anew for the present levels")
        parser.add_argument(
            "--mute", action="store_true", help="mute now what waits, instead of leaving it to a worker"
        )
        parser.add_argument("--original", metavar="SHA256", help="decrypt a kept original; written to the audit log")
        parser.add_argument("--to", metavar="FILE", help="with --original: where to write it")

    def handle(self, *args: Any, **options: Any) -> None:
        if not any(options[name] for name in ("all", "index", "mute", "original")):
            raise CommandError("Say what to do: --all, --index, --mute or --original SHA256 --to FILE.")
        if options["original"]:
            self._original(options["original"], options["to"])
        if options["all"]:
            self._all(restart=options["restart"])
        if options["index"]:
            self.stdout.write(f"The index of words is new for {backfill.reindex()} turns.")
        if options["mute"]:
            self._mute()
        failed = Mask.objects.filter(state=Mask.State.FAILED).count()
        waiting = Mask.objects.filter(state__in=Mask.WORKING).count()
        self.stdout.write(f"Recordings being muted or checked: {waiting}; to be decided on by a person: {failed}.")

    def _all(self, *, restart: bool) -> None:
        marker = settings.VAR_DIR / "redact_all"
        after = marker.read_text().strip() if marker.exists() and not restart else ""
        if after:
            self.stdout.write(f"Going on after call {after}.")
        seen = changed = 0
        broken: list[str] = []
        for pk, had, problem in backfill.redact_all(after=after):
            seen, changed = seen + 1, changed + had
            if problem:
                broken.append(f"{pk} ({problem})")
            marker.write_text(pk)
        marker.unlink(missing_ok=True)
        backfill.reindex()
        self.stdout.write(f"{seen} calls read, card data taken out of {changed}.")
        if broken:
            raise CommandError(f"{len(broken)} calls could not be done: {', '.join(broken[:10])}")

    def _mute(self) -> None:
        for pk in list(Mask.objects.filter(state=Mask.State.WAITING).values_list("pk", flat=True)):
            masking.work(pk)

    def _original(self, sha256: str, target: str | None) -> None:
        if not target:
            raise CommandError("Say where to write it: --to FILE.")
        recording = Recording.objects.filter(sha256=sha256).first()
        mask = Mask.objects.filter(recording=recording).first() if recording else None
        if recording is None or mask is None or not mask.original_key:
            raise CommandError("No original of this recording is kept.")
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as held:
            plain = Path(held) / "original"
            try:
                with store().local_path(mask.original_key) as sealed:
                    sound.decrypt(sealed, plain, settings.ENV.REDACTION_KEY)
            except (ValueError, FileNotFoundError) as error:
                raise CommandError(f"The original cannot be read: {error}") from error
            Path(target).write_bytes(plain.read_bytes())
        audit.record("privacy.original", recording, by="command line")
        self.stdout.write("Written. It holds card data: delete it when it has served.")
