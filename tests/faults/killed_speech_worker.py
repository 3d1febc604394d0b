"""Scenario, run as a process of its own: the speech worker is killed in mid-call, and the call must still end once.

Starts real services and real workers in VAR_DIR, prints one JSON line and leaves nothing running.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")


def until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return when the condition holds; give up loudly after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"gave up waiting until {what}")
        time.sleep(0.05)


def main(audio: Path) -> None:
    import django

    django.setup()
    from django.conf import settings

    from callcenter.accounts.models import Team
    from callcenter.calls.models import Call, Transcript, Turn
    from callcenter.calls.services import batches
    from callcenter.core.startup import prepare_database
    from callcenter.core.storage import store
    from callcenter.core.supervisor import Supervisor, site_programs
    from callcenter.insights.models import Insight
    from callcenter.pipeline.models import Run

    prepare_database()
    team = Team.objects.create(name="Faults", slug="faults")
    batch = batches.open_batch(by=None, team=team, name="Faults", source="command")
    with Supervisor(site_programs(port=0, web=False), settings.VAR_DIR / "logs", on_event=lambda line: None) as house:
        with audio.open("rb") as stream:
            batches.add_file(batch=batch, filename=audio.name, stream=stream)
        batches.close_batch(batch=batch)
        until(
            lambda: Run.objects.filter(state=Run.State.SPEECH, stage="transcribe").exists(),
            seconds=180,
            what="the speech worker transcribes",
        )
        victim = house.pids()["speech"]
        os.kill(victim, signal.SIGSTOP)
        written = [key for key in store().iter_keys("artefacts") if "/assemble/" in key]
        os.kill(victim, signal.SIGKILL)
        if written:
            raise SystemExit("the worker was done before it could be killed: the recording is too short")
        until(lambda: Run.objects.get().state in Run.ENDED, seconds=240, what="the run has ended")
        run = Run.objects.get()
    print(
        json.dumps(
            {
                "state": run.state,
                "attempts": run.attempt,
                "calls": Call.objects.count(),
                "transcripts": Transcript.objects.count(),
                "turns": Turn.objects.count(),
                "insights": Insight.objects.count(),
                "restarts": house.restarts()["speech"],
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
