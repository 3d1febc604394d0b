"""Process files the way the site does, wait, and print what was found."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from callcenter.accounts.models import Team
from callcenter.calls.models import Batch, BatchRow
from callcenter.calls.services import batches, waiting
from callcenter.calls.services.transcripts import current_document
from callcenter.core.startup import prepare_database
from callcenter.core.supervisor import workers_for_command
from callcenter.insights.services import seed_defaults


class Command(BaseCommand):
    help = "Ingest FILE..., wait for the workers, print what was found. Starts its own workers when none run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--team", help="team to file the calls under (default: a team named “Command line”)")
        parser.add_argument("--num-speakers", type=int, default=0, help="how many people speak, for mono calls")
        parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait at most")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        missing = [str(p) for p in options["files"] if not p.is_file()]
        if missing:
            raise CommandError(f"No such file: {', '.join(missing)}.")
        prepare_database()
        seed_defaults()
        team = self._team(options["team"])
        batch = batches.open_batch(by=None, team=team, name="Command line", source="command")
        meta = {"num_speakers": options["num_speakers"]} if options["num_speakers"] else {}
        for path in options["files"]:
            with path.open("rb") as stream:
                batches.add_file(batch=batch, filename=path.name, stream=stream, metadata=meta)
        batches.close_batch(batch=batch)
        with workers_for_command(settings.VAR_DIR):
            try:
                waiting.wait(batch, timeout=options["timeout"], report=None if options["as_json"] else self._report())
            except TimeoutError as error:
                raise CommandError(f"Not everything ended in time: {error}.") from error
        self._print(batch, as_json=options["as_json"])
        if batch.rows.filter(state=BatchRow.State.REFUSED).exists():
            raise CommandError("Some files were refused.")
        failed = [r for r in batch.rows.all() if r.call and _latest_run(r).state == "failed"]
        if failed:
            raise CommandError("Some calls failed.")

    def _team(self, text: str | None) -> Team:
        from callcenter.calls.management.commands.import_recordings import find_team

        if text:
            return find_team(text)
        return Team.objects.get_or_create(slug="command-line", defaults={"name": "Command line"})[0]

    def _report(self) -> Any:
        seen = {"last": -1}

        def report(now: waiting.Standing) -> None:
            percent = int(now.fraction * 20) * 5
            if percent != seen["last"]:
                seen["last"] = percent
                self.stderr.write(f"{percent:3d} %  {now.ended}/{now.rows} files checked, {now.runs_done} calls done")

        return report

    def _print(self, batch: Batch, *, as_json: bool) -> None:
        results = [_result(row) for row in batch.rows.select_related("call__recording", "call__transcript")]
        if as_json:
            self.stdout.write(json.dumps({"files": results}, ensure_ascii=False))
            return
        for item in results:
            self.stdout.write(f"\n{item['filename']}: {item['state']} {item['reason']}")
            if "transcript" in item:
                self.stdout.write(_summary(item))


def _latest_run(row: BatchRow) -> Any:
    assert row.call is not None
    return row.call.runs.order_by("-created_at").first()


def _result(row: BatchRow) -> dict[str, Any]:
    item: dict[str, Any] = {"filename": row.filename, "state": row.state, "reason": row.reason}
    call = row.call
    if call is None:
        return item
    run = _latest_run(row)
    item |= {"call": str(call.pk), "run": run.state, "error": run.error_message, "seconds": run.seconds}
    item["recording"] = {
        "sha256": call.recording.sha256,
        "duration_ms": call.recording.duration_ms,
        "layout": call.recording.layout,
    }
    if call.transcript_id:
        item["transcript"] = current_document(call)
        insight = getattr(call, "insight", None)
        item["insight"] = insight.document if insight else None
        item["alerts"] = list(
            call.alerts.values("category", "severity", "party", "start_ms", "end_ms", "quote", "rule_key", "score")
        )
    return item


def _summary(item: dict[str, Any]) -> str:
    lines = []
    document, insight = item["transcript"], item["insight"] or {}
    lines.append(f"  layout {document['layout']}, diarizer {document['diarizer']}, model {document['model']}")
    lines.append(f"  parties: {document['mapping'].get('reason', '')} ({document['mapping'].get('confidence', 0):.0%})")
    for turn in document["turns"]:
        lines.append(f"  {turn['start_ms'] / 1000:7.1f} s  {turn['party']:8}  {turn['text']}")
    if insight:
        lines.append(f"  intent: {insight['intent']} ({insight['intent_probability']:.0%})")
        lines.append(f"  sentiment: {insight['sentiment']['score']}")
    for alert in item["alerts"]:
        lines.append(
            f"  alert: {alert['category']} ({alert['severity']}) at {alert['start_ms'] / 1000:.1f} s: {alert['quote']}"
        )
    return "\n".join(lines)
