"""Scenario, run as a process of its own: from ten corrections in a browser to a better model that is live, and back.

Real services, workers, model and Chromium. People of a made-up company correct how the recogniser writes its name; a
night learns it, its worker is killed in the middle, the model that comes out is promoted once. Prints one JSON line;
with JOURNEY_PICTURES it leaves pictures of the pages in that folder.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")
# Playwright's loop lives in this thread; Django would take every query here for one inside an async view.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

SEGMENTS = 10
LATER = "technical_fault_hold"
#: The openings of the demo calls: the agent names the company, the caller says why they call.
OPENING_S = 21.0
NAME = re.compile(r"silver[ -]?brook(e|s|'s)?\b", re.IGNORECASE)
WRITTEN = "Sylverbrooke"
WIDTHS = (1440, 390)
BEGAN = time.monotonic()


def until(condition: Callable[[], Any], *, seconds: float, what: str, every: float = 0.1) -> Any:
    """Return the condition's first true value; give up loudly after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"gave up waiting until {what}")
        time.sleep(every)
    return value


def note(what: str) -> None:
    """Say on stderr what is done, and when."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {what}", file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def upload(names: list[str], *, seconds: float = OPENING_S, suffix: str = "") -> Any:
    """Upload the beginnings of these demo calls, two channels each, as one batch; return the batch."""
    import soundfile
    from django.utils import timezone

    from asr_worker import audio
    from callcenter.accounts.models import Team
    from callcenter.calls.services import batches
    from callcenter.core import demo

    rows = [row for row in demo.manifest() if row["name"] in names]
    batch = batches.open_batch(by=None, team=Team.objects.get(name=rows[0]["team"]), source="command")
    for row in rows:
        stream = io.BytesIO()
        samples = audio.decode(demo.ROOT / row["audio"])[:, : round(seconds * audio.RATE)]
        soundfile.write(stream, samples.T, audio.RATE, format="FLAC")
        stream.seek(0)
        given = {key: row.get(key) for key in ("agent", "team", "queue", "direction", "customer_ref", "language")}
        given |= {"external_id": row["name"] + suffix, "started_at": timezone.localtime().isoformat()}
        batches.add_file(batch=batch, filename=f"{row['name']}{suffix}.flac", stream=stream, metadata=given)
    return batches.close_batch(batch=batch)


def heard(names: list[str]) -> None:
    """Wait until these calls have their transcripts."""
    from callcenter.calls.models import Call

    found = Call.objects.filter(external_id__in=names, transcript__isnull=False)
    until(lambda: found.count() == len(names), seconds=900, what=f"{len(names)} calls are transcribed")


def programs(port: int) -> list[Any]:
    """Return what one machine runs, but nobody who understands calls: that is another scenario's, and slow to begin."""
    from callcenter.core.supervisor import site_programs

    return [
        replace(one, command=[part.removesuffix(",nlu") for part in one.command]) for one in site_programs(port=port)
    ]


def old_domain(folder: Path) -> None:
    """Import what must not be forgotten: what customers said in these calls, without the company's name."""
    import soundfile
    from django.core.management import call_command

    from tests.learn import scripted

    folder.mkdir(parents=True)
    lines = []
    for number, (call, turn, samples) in enumerate(scripted.turns()):
        if scripted.general(call, turn, "", "") is None:
            continue
        soundfile.write(folder / f"{number}.flac", samples, 16_000)
        row = {"audio": f"{number}.flac", "text": turn["text"], "speaker": call["customer_ref"], "call": call["name"]}
        lines.append(json.dumps(row))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    call_command("dataset", "import", str(folder), "--role=old_domain", "--name=everyday-calls", stdout=sys.stderr)


class Journey:
    """One person after another in a real Chromium."""

    def __init__(self, browser: Any, base_url: str, secret: str) -> None:
        self.browser, self.base_url, self.secret = browser, base_url, secret
        self.errors: list[str] = []
        self.context: Any = None

    def sign_in(self, username: str) -> Any:
        """Return the page of a fresh visitor who has signed in."""
        if self.context is not None:
            self.context.close()
        self.context = self.browser.new_context(
            viewport={"width": 1280, "height": 900}, locale="en-GB", base_url=self.base_url
        )
        self.context.set_default_timeout(60_000)
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/accounts/login/")
        page.get_by_label("User name or e-mail").fill(username)
        page.get_by_label("Password", exact=True).fill(self.secret)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)
        return page

    def correct(self, page: Any, call: Any, index: int, text: str) -> None:
        """Correct one turn with the keyboard alone, and see that the page says it is saved."""
        page.goto(f"/calls/{call.pk}/#turn-{index}")
        page.locator(f"#turn-{index}.is-target").wait_for()
        page.keyboard.press("e")
        area = page.locator(f"#turn-{index} textarea")
        area.wait_for()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        page.keyboard.press("Control+Enter")
        page.locator("#save-state", has_text="Saved").wait_for()

    def picture(self, page: Any, name: str, address: str = "") -> None:
        """Leave pictures of a page at both widths where somebody asked for them."""
        folder = os.environ.get("JOURNEY_PICTURES")
        if not folder:
            return
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if address:
                page.goto(address)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"), full_page=True)
        page.set_viewport_size({"width": 1280, "height": 900})


def transcribed_by(page: Any, call: Any) -> str:
    """Return what the call's page says of the model that transcribed it."""
    page.goto(f"/calls/{call.pk}/")
    return str(page.locator("dt", has_text="Transcribed by").locator("xpath=following-sibling::dd[1]").inner_text())


def main(chromium: str) -> None:
    import django

    django.setup()
    from django.conf import settings
    from playwright.sync_api import sync_playwright

    from callcenter.calls.models import Call
    from callcenter.core import demo
    from callcenter.core.startup import prepare_database
    from callcenter.core.supervisor import Supervisor, wait_for_site
    from callcenter.insights.services import seed_defaults
    from callcenter.learning.models import Dataset, Model, NightlyRun, Promotion, TrainingRun
    from callcenter.pipeline.models import Run
    from callcenter.review.models import Correction

    prepare_database()
    seed_defaults()
    demo.seed_people()
    two_party = [row["name"] for row in demo.manifest() if row["layout"] == "two_party"]
    first = [name for name in two_party if name != LATER]
    upload(first)
    port = free_port()
    found: dict[str, Any] = {}
    house = Supervisor(programs(port), settings.VAR_DIR / "logs", on_event=lambda line: None)
    with house, sync_playwright() as playwright:
        old_domain(settings.VAR_DIR / "everyday")
        heard(first)
        note("calls are transcribed")
        assert wait_for_site(port)
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        journey = Journey(browser, f"http://127.0.0.1:{port}", demo.password())

        # --- a supervisor corrects ten segments
        page = journey.sign_in("supervisor")
        journey.picture(page, "queue", "/review/")
        todo = []
        for call in Call.objects.order_by("external_id"):
            turns = [t for t in call.transcript.turns.all() if t.party == "agent" and NAME.search(t.text)]
            todo += [(call, turns[0])] if turns else []
        for call, turn in todo[:SEGMENTS]:
            journey.correct(page, call, turn.index, NAME.sub(WRITTEN, turn.text))
        found["corrected"] = Correction.objects.filter(status="approved").values("call").distinct().count()
        journey.picture(page, "call", Correction.objects.all()[0].call.get_absolute_url())
        journey.picture(page, "queue-after", "/review/")
        journey.picture(page, "mine", "/review/mine/")
        journey.picture(page, "fix-all", "/review/fix-all/?wrong=silverbrook&right=Sylverbrooke")
        journey.picture(page, "vocabulary", "/review/vocabulary/")
        journey.picture(page, "approval", "/review/approval/")
        note("turns are corrected")

        # --- an operator builds a dataset, and has the night run now
        page = journey.sign_in("operator")
        journey.picture(page, "learning-empty", "/learning/")
        journey.picture(page, "dataset-new", "/learning/datasets/new")
        build_dataset(page)
        found["datasets"] = Dataset.objects.filter(kind="train").count()
        page.goto("/learning/")
        page.get_by_role("button", name=re.compile("learning now", re.I)).click()
        run = until(lambda: TrainingRun.objects.first(), seconds=600, what="the night has begun to train")
        note("the night has begun to train")

        # --- its worker dies in the middle of training
        fit = settings.VAR_DIR / "learning" / str(run.pk) / "fit"
        until(lambda: (fit / "resume" / "state.pt").is_file(), seconds=900, what="training saved a step", every=0.01)
        victim = house.pids()["learning"]
        os.kill(victim, signal.SIGSTOP)
        found["killed_before_the_end"] = not (fit / "fit.json").exists()
        journey.picture(page, "run-live", f"/learning/runs/{run.pk}/")
        os.kill(victim, signal.SIGKILL)
        note("the worker is killed")
        page.goto(f"/learning/runs/{run.pk}/")
        until(lambda: TrainingRun.objects.get(pk=run.pk).ended, seconds=900, what="the training run has ended")
        run.refresh_from_db()
        until(lambda: NightlyRun.objects.first().state != "working", seconds=300, what="the night has ended")
        note("the night has ended")
        found["run"] = {"state": run.state, "attempts": run.attempt, "outcome": run.outcome, "error": run.error_message}
        found["night"] = NightlyRun.objects.first().state
        found["checks"] = [check for check in run.verdict.get("checks", []) if not check["passed"]]
        found["gain"] = run.verdict.get("gain")
        found["figures"] = {check["name"]: check["figure"] for check in run.verdict.get("checks", [])}
        found["promotions"] = Promotion.objects.filter(rollback=False, run=run).count()
        found["candidates"] = Model.objects.filter(training_run=run).count()
        page.reload()
        for name, address in (
            ("run", f"/learning/runs/{run.pk}/"),
            ("learning", "/learning/"),
            ("datasets", "/learning/datasets/"),
            ("models", "/learning/models/"),
            ("model", run.candidate.get_absolute_url() if run.candidate else "/learning/models/"),
        ):
            journey.picture(page, name, address)
        if run.state != TrainingRun.State.DONE:
            print(json.dumps(found))
            raise SystemExit(f"the gate refused: {run.outcome} {run.error_message}")
        model = Model.objects.get(status="served")
        found["served_is_learned"] = model.training_run_id == run.pk
        found["steps"] = steps_of(model)

        # --- the next call is heard by the new model, and leads back to what taught it
        upload([LATER])
        heard([LATER])
        call = Call.objects.get(external_id=LATER)
        page = journey.sign_in("supervisor")
        found["model"] = model.name
        found["after_promotion"] = transcribed_by(page, call)
        found["writes_the_name"] = WRITTEN.lower() in " ".join(t.text for t in call.transcript.turns.all()).lower()
        found["lineage"] = walk(page, model)
        page.goto("/learning/yours/")
        found["yours"] = page.locator("main").inner_text()
        journey.picture(page, "yours", "/learning/yours/")
        journey.picture(page, "dataset", run.dataset.get_absolute_url())
        note("a call was heard by the new model")

        # --- rolled back, the next one by the old
        page = journey.sign_in("operator")
        page.goto(f"/learning/models/{model.pk}/")
        page.get_by_role("button", name=re.compile("roll back", re.I)).first.click()
        until(lambda: Promotion.objects.filter(rollback=True).exists(), seconds=120, what="the model is rolled back")
        upload([LATER], seconds=OPENING_S + 1, suffix="-again")
        heard([f"{LATER}-again"])
        page = journey.sign_in("supervisor")
        found["after_rollback"] = transcribed_by(page, Call.objects.get(external_id=f"{LATER}-again"))
        found["calls_lost"] = Run.objects.exclude(state=Run.State.NLU_QUEUED).count()
        note("a call was heard by the old model")
        journey.context.close()
        browser.close()
        found["errors"] = journey.errors
    found["learning_restarts"] = house.restarts()["learning"]
    print(json.dumps(found))


def build_dataset(page: Any) -> None:
    """Build a dataset from all corrections through the page."""
    from callcenter.learning.models import Dataset

    page.goto("/learning/datasets/new")
    form = page.locator("form[action='/learning/datasets/new']")
    form.get_by_label("Name").fill("first-corrections")
    form.get_by_role("button", name="Build").click()
    until(lambda: Dataset.objects.filter(name="first-corrections").exists(), seconds=600, what="the dataset is built")


def steps_of(model: Any) -> dict[str, int]:
    """Return at which step the second attempt went on, and how many there were, as the model's own file says."""
    from callcenter.core.storage import store

    document = json.loads(store().get_bytes(f"{model.reference.removeprefix('store:')}/fit.json"))
    return {"resumed_from": int(document["result"]["resumed_from_step"]), "all": int(document["result"]["steps"])}


def walk(page: Any, model: Any) -> list[str]:
    """Follow the links from a call on its page to the model, its run, its dataset, a call in it and its correction."""
    reached = []
    run = model.training_run
    steps = (
        ("model", model.get_absolute_url()),
        ("run", run.get_absolute_url()),
        ("dataset", run.dataset.get_absolute_url()),
        ("call", run.dataset.calls.order_by("-started_at").first().get_absolute_url()),
    )
    for name, address in steps:
        page.locator(f"main a[href='{address}']").first.click()
        page.wait_for_url(f"**{address}")
        reached.append(name)
    page.locator("#corrections ins", has_text=WRITTEN).first.wait_for()
    return [*reached, "correction"]


if __name__ == "__main__":
    main(sys.argv[1])
