"""Set up a demo company, process its recordings with real workers, and serve the site."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from callcenter.calls.models import Batch, BatchRow, Call
from callcenter.calls.services import waiting
from callcenter.core import demo
from callcenter.core.startup import prepare_database
from callcenter.core.supervisor import serve, workers_for_command
from callcenter.insights.services import seed_defaults


class Command(BaseCommand):
    help = "Process the demo recordings (seconds when they are there already), then serve the site until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="exit when the recordings are processed")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--timeout", type=float, default=2400.0, help="seconds to wait for the recordings")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=150)  # a log or a pipe has no width of its own, and 80 columns cut the table
        prepare_database()
        intents, rules = seed_defaults()
        signins = demo.seed_people()
        if intents or rules:
            console.print(f"Default taxonomy: {intents} intents. Default rule pack: {rules} rules.")
        rows, extra = demo.pending(), demo.outside_samples()
        batch = Batch.objects.filter(source="demo").order_by("-created_at").first()
        if rows or extra:
            batch = demo.file_calls(rows, extra=extra)
        if batch is not None and not waiting.standing(batch).over:
            with workers_for_command(settings.VAR_DIR):
                self._wait(console, batch, options["timeout"])
        failed = self._report(console)
        if options["no_serve"]:
            if failed:
                raise CommandError(f"{failed} recordings did not get through.")
            return
        console.print()
        table = Table(title=f"http://127.0.0.1:{options['port']}/  password of every demo user: {demo.password()}")
        for column in ("sign in as", "role", "sees"):
            table.add_column(column)
        for signin in signins:
            table.add_row(signin.username, signin.role, signin.shows)
        console.print(table)
        console.print("Stop with Ctrl-C.")
        serve(port=options["port"])

    def _wait(self, console: Console, batch: Batch, timeout: float) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, refresh_per_second=2) as progress:
            task = progress.add_task("Processing recordings", total=1.0)
            last = {"line": ""}

            def report(now: waiting.Standing) -> None:
                text = f"Processing recordings: {now.runs_done} of {now.rows} understood"
                progress.update(task, completed=now.fraction, description=text)
                if not console.is_terminal and text != last["line"]:
                    last["line"] = text
                    console.print(text)

            try:
                waiting.wait(batch, timeout=timeout, report=report)
            except TimeoutError as error:
                raise CommandError(f"The demo was not done in {timeout:.0f} s: {error}. Logs: var/logs/.") from error

    def _report(self, console: Console) -> int:
        calls = Call.objects.filter(source="demo").select_related("transcript", "insight", "recording", "agent", "team")
        table = Table(title="What was found")
        for column in ("call", "team", "layout", "length", "intent", "sentiment", "alerts", "word errors"):
            table.add_column(column)
        started = time.monotonic()
        figures = demo.word_errors()
        names = {row["external_id"]: row["name"] for row in demo.manifest()}
        failed = 0
        for call in calls.order_by("external_id"):
            insight = getattr(call, "insight", None)
            run = call.runs.order_by("-created_at").first()
            if insight is None or run is None or run.state != "done":
                failed += 1
                table.add_row(
                    str(call),
                    call.team.name,
                    call.recording.layout,
                    "",
                    "[red]not done[/red]",
                    "",
                    "",
                    run.error_message if run else "",
                )
                continue
            wer = figures["per_call"].get(names.get(call.external_id, ""))
            table.add_row(
                names.get(call.external_id, str(call)),
                call.team.name,
                call.recording.layout,
                f"{call.recording.duration_ms / 1000:.0f} s",
                insight.intent,
                f"{insight.sentiment:+.2f}" if insight.sentiment is not None else "",
                ", ".join(sorted(set(call.alerts.values_list("category", flat=True)))),
                f"{wer:.1%}" if wer is not None else "",
            )
        failed += BatchRow.objects.filter(batch__source="demo", state=BatchRow.State.REFUSED).count()
        console.print(table)
        if figures["wer"] is not None:
            console.print(
                f"Word error rate on our own scripts: {figures['wer']:.1%} of {figures['words']} words, by party "
                f"(model {settings.ENV.SPEECH_MODEL}, {settings.ENV.SPEECH_COMPUTE_TYPE}; normaliser "
                f"{figures['normaliser']}; voices are synthetic; {time.monotonic() - started:.1f} s to compare)."
            )
        return failed
