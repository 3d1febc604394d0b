"""Scenario, run as a process of its own: one batch of good and bad files through real services, workers and models.

Prints one JSON line with everything that was found, and leaves nothing running.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")

WRONG_MANIFEST = b"filename,team,colour\nstereo.opus,integration,blue\n"
MANIFEST = (
    b"filename,agent,queue,direction,customer_ref,external_id,started_at,num_speakers\n"
    b"stereo.opus,dana,Cancellations,inbound,CUST-77421-X,EXT-1,2026-03-02T10:00:00Z,\n"
    b"mono.opus,dana,Appointments,inbound,CUST-90017-Y,EXT-2,2026-03-02T11:00:00Z,2\n"
    b"never-sent.wav,,,,,,,\n"
)


def main() -> None:
    import django

    django.setup()
    from django.conf import settings

    from callcenter.accounts.models import Role, Team, User
    from callcenter.calls.services import batches, waiting
    from callcenter.core.startup import prepare_database
    from callcenter.core.supervisor import Supervisor, site_programs
    from callcenter.insights.services import seed_defaults
    from tests.integration import sounds

    prepare_database()
    seed_defaults()
    team = Team.objects.create(name="Integration", slug="integration")
    User.objects.create(username="dana", role=Role.AGENT, display_name="Dana Quillfeather").teams.add(team)
    batch = batches.open_batch(by=None, team=team, name="Everything", source="command")
    batches.add_manifest(batch=batch, filename="wrong/manifest.csv", data=WRONG_MANIFEST)
    batches.add_manifest(batch=batch, filename="manifest.csv", data=MANIFEST)
    for name, data in sounds.upload().items():
        batches.add_file(batch=batch, filename=name, stream=io.BytesIO(data))
    batches.close_batch(batch=batch)
    began = time.monotonic()
    events: list[str] = []
    with Supervisor(site_programs(port=0, web=False), settings.VAR_DIR / "logs", on_event=events.append):
        waiting.wait(batch, timeout=800)
        processed = time.monotonic() - began
        found: dict[str, Any] = {
            "seconds": processed,
            "rows": {r.filename: {"state": r.state, "code": r.code, "reason": r.reason} for r in batch.rows.all()},
            "calls": {str(call): described(call) for call in team.calls.all()},
            "warehouse": warehouse(),
            "rebuild": rebuild(),
            "staged": staged(),
        }
        found["swap"] = swap(team)
    found["leaks"] = leaks(settings.VAR_DIR / "logs")
    found["events"] = [line for line in events if "starting again" in line]
    print(json.dumps(found))


def described(call: Any) -> dict[str, Any]:
    """Return what is known of a call: states, figures and the parties, and no words."""
    call.refresh_from_db()
    insight = getattr(call, "insight", None)
    turns = list(call.transcript.turns.all()) if call.transcript else []
    return {
        "id": str(call.pk),
        "filename": call.filename,
        "agent": call.agent.username if call.agent else "",
        "runs": [run.state for run in call.runs.all()],
        "layout": call.recording.layout,
        "diarizer": call.transcript.diarizer if call.transcript else "",
        "degraded": call.transcript.degraded if call.transcript else "",
        "warnings": call.transcript.warnings if call.transcript else [],
        "words": call.transcript.word_count if call.transcript else 0,
        "turns": len(turns),
        "parties": sorted({turn.party for turn in turns}),
        "first_party": turns[0].party if turns else "",
        "transcripts": call.transcripts.count(),
        "intent": insight.intent if insight else None,
        "sentiments": [insight.sentiment_agent, insight.sentiment_customer] if insight else None,
        "alerts": sorted(call.alerts.values_list("category", flat=True)),
        "playback": playback(call),
    }


def playback(call: Any) -> int:
    from callcenter.calls.services.playback import ensure_playback

    return ensure_playback(call.recording).size


def warehouse() -> dict[str, dict[str, Any]]:
    """Return the warehouse's own figures by call id."""
    from sqlalchemy import text

    from callcenter.insights.warehouse_doc import engine

    query = (
        "SELECT c.call_id::text AS id, c.words, c.turns, c.alerts, c.intent, "
        "(SELECT count(*) FROM analytics.fact_turn t WHERE t.call_id = c.call_id) AS turn_rows, "
        "(SELECT count(*) FROM analytics.fact_alert a WHERE a.call_id = c.call_id) AS alert_rows, "
        "(SELECT t.party FROM analytics.fact_turn t WHERE t.call_id = c.call_id ORDER BY turn_index LIMIT 1) AS party "
        "FROM analytics.fact_call c"
    )
    with engine().connect() as connection:
        return {row["id"]: dict(row) for row in connection.execute(text(query)).mappings()}


def rebuild() -> str:
    from django.core.management import call_command

    out = io.StringIO()
    call_command("warehouse", "rebuild", stdout=out, stderr=out)
    return out.getvalue()


def staged() -> list[str]:
    from callcenter.core.storage import store

    return list(store().iter_keys("staging/"))


def swap(team: Any) -> dict[str, Any]:
    """Swap the parties of the stereo call, wait for the understanding, and return the call before and after."""
    from callcenter.calls.services.parties import swap_parties

    call = team.calls.get(external_id="EXT-1")
    before = described(call)
    run = swap_parties(call=call, by=None)
    end = time.monotonic() + 60
    while not run.ended and time.monotonic() < end:
        time.sleep(0.1)
        run.refresh_from_db()
    call = team.calls.get(external_id="EXT-1")
    return {"before": before, "after": described(call), "warehouse": warehouse()[str(call.pk)], "rebuild": rebuild()}


def leaks(logs: Path) -> list[str]:
    """Return `file: kind` for everything in the logs that no log may hold."""
    from callcenter.calls.models import Turn
    from callcenter.insights.models import Alert

    secrets: dict[str, set[str]] = {"customer_ref": {"cust-77421-x", "cust-90017-y"}, "name": {"quillfeather"}}
    secrets["file contents"] = {"the recordings will follow"}
    texts = [*Turn.objects.values_list("text", flat=True), *Alert.objects.values_list("quote", flat=True)]
    phrases = set()
    for text in texts:
        words = re.findall(r"[a-z']+", text.lower())
        phrases |= {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}
    secrets["transcript"] = {phrase for phrase in phrases if len(phrase) >= 12}
    assert len(secrets["transcript"]) > 50, "there is too little text to look for"
    found = []
    for path in sorted(logs.glob("*.log*")):
        content = " ".join(re.findall(r"[a-z0-9'-]+", path.read_text(errors="replace").lower()))
        found += [
            f"{path.name}: {kind} ({len(text)} characters)" for kind, all_of in secrets.items() for text in all_of
            if re.search(rf"(?<![a-z0-9'-]){re.escape(text)}(?![a-z0-9'-])", content)
        ]  # fmt: skip
    assert {"worker.log", "speech.log"} <= {path.name for path in logs.glob("*.log")}
    return found


if __name__ == "__main__":
    main()
