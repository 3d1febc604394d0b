"""Scenario, run as a process of its own: from ten corrections in a browser to a better model that is live, and back.

Real services, workers, model and Chromium. People of a made-up company correct how the recogniser writes its name; a
night learns it, its worker is killed in the middle, the model that comes out is promoted once. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")
# Playwright's loop lives in this thread; Django would take every query here for one inside an async view.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

SEGMENTS = 10
LATER = "technical_fault_hold"
NAME = re.compile(r"silver[ -]?brook(e|s|'s)?\b", re.IGNORECASE)
WRITTEN = "Sylverbrooke"


def until(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Return the condition's first true value; give up loudly after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"gave up waiting until {what}")
        time.sleep(0.1)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def file_calls(names: list[str]) -> Any:
    """Upload these demo calls, two channels each, as one batch; return the batch."""
    from callcenter.calls.services import batches
    from callcenter.core import demo

    rows = [row for row in demo.manifest() if row["name"] in names]
    return demo.file_calls(rows, extra=[]) if rows else batches


def old_domain(folder: Path) -> None:
    """Import what must not be forgotten: what customers said in these calls, without the company's name."""
    import soundfile
    from django.core.management import call_command

    from tests.learn import scripted

    folder.mkdir(parents=True)
    lines = []
    for number, (call, turn, samples) in enumerate(scripted.turns()):
        if scripted.general(call, turn, "", "") is None or len(lines) >= 40:
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
        self.context.set_default_timeout(30_000)
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
    from callcenter.calls.services import waiting
    from callcenter.core import demo
    from callcenter.core.startup import prepare_database
    from callcenter.core.supervisor import Supervisor, site_programs, wait_for_site
    from callcenter.insights.services import seed_defaults
    from callcenter.learning.models import Dataset, Model, NightlyRun, Promotion, TrainingRun
    from callcenter.pipeline.models import Run
    from callcenter.review.models import Correction

    prepare_database()
    seed_defaults()
    demo.seed_people()
    two_party = [row["name"] for row in demo.manifest() if row["layout"] == "two_party"]
    batch = file_calls([name for name in two_party if name != LATER])
    port = free_port()
    found: dict[str, Any] = {}
    house = Supervisor(site_programs(port=port), settings.VAR_DIR / "logs", on_event=lambda line: None)
    with house, sync_playwright() as playwright:
        waiting.wait(batch, timeout=600)
        old_domain(settings.VAR_DIR / "everyday")
        assert wait_for_site(port)
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        journey = Journey(browser, f"http://127.0.0.1:{port}", demo.password())

        # --- a supervisor corrects ten segments
        page = journey.sign_in("supervisor")
        todo = []
        for call in Call.objects.order_by("external_id"):
            turns = [t for t in call.transcript.turns.all() if t.party == "agent" and NAME.search(t.text)]
            todo += [(call, turns[0])] if turns else []
        for call, turn in todo[:SEGMENTS]:
            journey.correct(page, call, turn.index, NAME.sub(WRITTEN, turn.text))
        found["corrected"] = Correction.objects.filter(status="approved").values("call").distinct().count()

        # --- an operator builds a dataset, and has the night run now
        page = journey.sign_in("operator")
        build_dataset(page)
        found["datasets"] = Dataset.objects.filter(kind="train").count()
        page.goto("/learning/")
        page.get_by_role("button", name=re.compile("learning now", re.I)).click()
        run = until(lambda: TrainingRun.objects.first(), seconds=120, what="the night has begun to train")

        # --- its worker dies in the middle of training
        resume = settings.VAR_DIR / "learning" / str(run.pk) / "fit" / "resume"

        def saved_a_step() -> bool:
            run.refresh_from_db()
            return resume.is_dir() and any(resume.iterdir()) and run.stage == "fit" and epochs_done(run) >= 2

        until(saved_a_step, seconds=300, what="training has saved a step")
        victim = house.pids()["learning"]
        os.kill(victim, signal.SIGSTOP)
        found["killed_before_the_end"] = not (resume.parent / "fit.json").exists()
        os.kill(victim, signal.SIGKILL)
        page.goto(f"/learning/runs/{run.pk}/")
        until(lambda: TrainingRun.objects.get(pk=run.pk).ended, seconds=900, what="the training run has ended")
        run.refresh_from_db()
        until(lambda: NightlyRun.objects.first().state != "working", seconds=60, what="the night has ended")
        found["run"] = {"state": run.state, "attempts": run.attempt, "outcome": run.outcome, "error": run.error_message}
        found["night"] = NightlyRun.objects.first().state
        found["checks"] = [check["name"] for check in run.verdict.get("checks", []) if not check["passed"]]
        found["gain"] = run.verdict.get("gain")
        found["promotions"] = Promotion.objects.filter(rollback=False, run=run).count()
        found["candidates"] = Model.objects.filter(training_run=run).count()
        model = Model.objects.get(status="served")
        found["served_is_learned"] = model.training_run_id == run.pk
        found["resumed_from_step"] = resumed_from(model)

        # --- the run's page, and the lineage from model to calls and back
        page.reload()
        found["page_of_the_run"] = page.locator("main").inner_text()
        found["lineage"] = walk(page, run, model)

        # --- the next call is heard by the new model
        waiting.wait(file_calls([LATER]), timeout=300)
        call = Call.objects.get(external_id=next(r["external_id"] for r in demo.manifest() if r["name"] == LATER))
        page = journey.sign_in("supervisor")
        found["model"] = model.name
        found["after_promotion"] = transcribed_by(page, call)
        found["writes_the_name"] = WRITTEN.lower() in " ".join(t.text for t in call.transcript.turns.all()).lower()

        # --- rolled back, the next one by the old
        page = journey.sign_in("operator")
        page.goto(f"/learning/models/{model.pk}/")
        page.get_by_role("button", name=re.compile("roll back", re.I)).first.click()
        until(lambda: Promotion.objects.filter(rollback=True).exists(), seconds=30, what="the model is rolled back")
        page = journey.sign_in("supervisor")
        page.goto(f"/calls/{call.pk}/")
        page.get_by_role("button", name="Reprocess").click()
        until(lambda: call.runs.filter(state=Run.State.DONE).count() == 2, seconds=300, what="it is heard once more")
        found["after_rollback"] = transcribed_by(page, call)
        found["calls_lost"] = Run.objects.exclude(state=Run.State.DONE).count()
        journey.context.close()
        browser.close()
        found["errors"] = journey.errors
    found["learning_restarts"] = house.restarts()["learning"]
    print(json.dumps(found))


def epochs_done(run: Any) -> float:
    """Return how many passes over the data the run has told of."""
    return float((run.progress or {}).get("now", {}).get("epoch") or 0)


def build_dataset(page: Any) -> None:
    """Build a dataset from all corrections through the page."""
    from callcenter.learning.models import Dataset

    page.goto("/learning/datasets/new")
    form = page.locator("form[action='/learning/datasets/new']")
    form.get_by_label("Name").fill("first-corrections")
    form.get_by_role("button", name="Build").click()
    until(lambda: Dataset.objects.filter(name="first-corrections").exists(), seconds=120, what="the dataset is built")


def resumed_from(model: Any) -> int:
    """Return the step at which the second attempt went on, as the model's own file says."""
    from callcenter.core.storage import store

    key = f"{model.reference.removeprefix('store:')}/fit.json"
    return int(json.loads(store().get_bytes(key))["resumed_from_step"])


def walk(page: Any, run: Any, model: Any) -> list[str]:
    """Follow the links from the model to its run and its dataset; return the addresses that were reached."""
    reached = []
    page.goto(f"/learning/models/{model.pk}/")
    page.locator(f"a[href='/learning/runs/{run.pk}/']").first.click()
    page.wait_for_url(f"**/learning/runs/{run.pk}/")
    reached.append("run")
    page.locator(f"a[href='/learning/datasets/{run.dataset_id}/']").first.click()
    page.wait_for_url(f"**/learning/datasets/{run.dataset_id}/")
    reached.append("dataset")
    return reached


if __name__ == "__main__":
    main(sys.argv[1])
