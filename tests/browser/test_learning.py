"""The learning pages in a real browser: live progress, the curve, the gate, and no page wider than a telephone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from callcenter.learning import tasks
from callcenter.learning.models import Dataset, Model, NightlyRun, TrainingRun
from callcenter.learning.services import nightly, registry, training
from callcenter.learning.services.store_rows import rows_of
from tests.learning.conftest import answer, reviewed_call  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOK = os.environ.get("LOOK_AT", "")  # a folder: every page is kept there as a picture


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Neither demo calls nor a broker."""
    # Never the hour in which the tests happen to run.
    away = (timezone.localtime().hour + 12) % 24
    settings.ENV = settings.ENV.model_copy(update={"LEARNING_NIGHTLY_HOUR": away})
    monkeypatch.setattr("callcenter.demo.rows", lambda: [])
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 0)


def fits(page: Any, path: str, name: str) -> None:
    """Open a page at both widths: it must not be wider than the screen."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(path)
        page.wait_for_load_state("load")
        wide = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        if LOOK:
            Path(LOOK).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{LOOK}/{name}-{width}.png", full_page=True)
        assert wide <= 0, f"{path} is {wide} px too wide at {width}"


@pytest.fixture
def learned(cast: Any) -> TrainingRun:
    """A night whose run a worker has begun."""
    names = ("agent", "other_agent", "third.person.with.a.long.name", "fourth")
    for n in range(12):
        reviewed_call(agent=names[n % 4], team=cast.team_a, author=cast.agent)
    night = nightly.run_once()
    assert night.run is not None, night.reason
    tasks.advance(str(night.run.pk))
    night.run.refresh_from_db()
    return night.run


def test_a_run_moves_on_its_page_draws_its_curve_and_ends_at_the_gate(
    sign_in: Any,
    cast: Any,
    learned: TrainingRun,
    answer: Callable[..., str],  # noqa: F811
) -> None:
    page = sign_in(cast.operator)
    page.goto(learned.get_absolute_url())
    page.get_by_text("Waiting for a learning worker").first.wait_for()
    for step in range(1, 9):
        doc = {"fraction": step / 12, "step": step, "steps": 12, "loss": 3 / step, "stage": "train"}
        doc |= {"wer": 0.5 - step / 40} if step % 2 else {}
        tasks.progress(run_id=str(learned.pk), attempt=1, stage="fit", doc=doc)
    page.get_by_text("Step 8 of 12").wait_for()
    assert page.locator('[data-chart="curve"] svg path').count() > 3
    fits(page, learned.get_absolute_url(), "run-live")
    fits(page, "/learning/", "overview-live")
    key = answer(learned)
    page.goto(learned.get_absolute_url())
    tasks.finished(run_id=str(learned.pk), attempt=1, result_key=key)
    page.get_by_role("heading", name="The gate").wait_for()
    tasks.sweep()
    learned.refresh_from_db()
    assert learned.candidate is not None
    fits(page, learned.get_absolute_url(), "run-done")
    fits(page, "/learning/", "overview-promoted")
    fits(page, "/learning/models/", "models")
    fits(page, "/learning/datasets/", "datasets")
    assert learned.dataset is not None
    fits(page, learned.dataset.get_absolute_url(), "dataset-operator")
    page.goto(learned.candidate.get_absolute_url())
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text("is live again").wait_for()
    assert registry.served().built_in
    fits(page, learned.candidate.get_absolute_url(), "model-retired")


def test_refused_failed_and_empty_pages_fit_a_telephone(
    sign_in: Any,
    cast: Any,
    learned: TrainingRun,
    answer: Callable[..., str],  # noqa: F811
) -> None:
    page = sign_in(cast.admin)
    tasks.finished(run_id=str(learned.pk), attempt=1, result_key=answer(learned, passed=False))
    tasks.sweep()
    learned.refresh_from_db()
    assert learned.candidate is not None and learned.dataset is not None
    fits(page, learned.candidate.get_absolute_url(), "model-refused")
    again = training.start(dataset=learned.dataset, by=cast.operator)
    tasks.advance(str(again.pk))
    message = "The disk is full: free some space where the learning worker works, then retry this run."
    tasks.failed(run_id=str(again.pk), attempt=1, code="disk_full", message=message, permanent=True)
    fits(page, again.get_absolute_url(), "run-failed")
    fits(page, "/learning/", "overview-refused")
    fits(page, "/learning/datasets/new", "dataset-new")
    fits(page, "/learning/models/upload", "upload")
    fits(page, learned.dataset.get_absolute_url(), "dataset-admin")
    fits(page, f"/learning/models/{registry.served().pk}/", "model-built-in")


def test_before_anything_was_learned_the_pages_fit_too(sign_in: Any, cast: Any) -> None:
    page = sign_in(cast.operator)
    # The model that came with the product is known from the first look at what runs; nothing else is there.
    assert not Dataset.objects.exists() and not NightlyRun.objects.exists() and Model.objects.count() <= 1
    for path, name in (("/learning/", "empty-overview"), ("/learning/datasets/", "empty-datasets")):
        fits(page, path, name)


def test_an_agent_sees_what_the_own_corrections_changed(
    sign_in: Any,
    cast: Any,
    learned: TrainingRun,
    answer: Callable[..., str],  # noqa: F811
) -> None:
    assert learned.golden is not None
    rows = rows_of(learned.golden)
    found = {
        ("served", "golden"): [{"id": row["id"], "errors": 3, "words": 5} for row in rows],
        ("candidate", "golden"): [{"id": row["id"], "errors": 1, "words": 5} for row in rows],
    }
    tasks.finished(run_id=str(learned.pk), attempt=1, result_key=answer(learned, rows=found))
    page = sign_in(cast.agent)
    fits(page, "/learning/yours/", "yours")
    page.get_by_text("words wrong before and after").first.wait_for()
