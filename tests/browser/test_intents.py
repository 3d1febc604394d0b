"""The taxonomy in a real browser: a change is looked at, saved, followed to its end, and taken back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from callcenter.insights.intents import jobs
from callcenter.insights.intents.models import CallLabel, IntentJob, TaxonomyVersion
from callcenter.insights.models import Insight, Intent
from tests.factories import understood_call
from tests.intents.conftest import LINE, heads_dir, heard, small  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOK = os.environ.get("LOOK_AT", "")  # a folder: every page is kept there as a picture


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.pipeline.broker.queue_length", lambda name: 0)


def fits(page: Any, name: str) -> None:
    """The page must not be wider than the screen at either width."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        if LOOK:
            Path(LOOK).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{LOOK}/{name}-{width}.png", full_page=True)
        assert wide <= 0, f"{name} is {wide} px too wide at {width}"
    page.set_viewport_size({"width": 1280, "height": 900})


def test_an_intent_is_changed_looked_at_saved_followed_and_restored(
    sign_in: Any,
    cast: Any,
    small: Any,  # noqa: F811
    warehouse: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = "my broadband line is broken and the internet keeps dropping"
    moving = [heard(words, team=cast.team_a, agent=cast.agent) for _ in range(3)]
    heard("please refund my money to the card", team=cast.team_a, agent=cast.agent)
    heard(words, team=cast.team_b)
    page = sign_in(cast.supervisor)
    page.goto("/alerts/")
    page.get_by_role("link", name="Intents").click()
    fits(page, "intents-list")
    page.get_by_role("link", name="Add intent").click()
    page.get_by_label("Name").fill("Line trouble")
    page.get_by_label("Description").fill("The line is slow, drops or is dead.")
    page.get_by_label("Example phrases").fill("\n".join(LINE))
    page.get_by_label("Parent").select_option("address")
    fits(page, "intents-new")
    page.get_by_role("button", name="See what it would move").click()
    page.get_by_text("Waiting for a worker").wait_for()
    assert not Intent.objects.filter(name="line_trouble").exists()
    # The worker looks at one call at a time, and the page counts along.
    monkeypatch.setattr(jobs, "PIECE_SECONDS", 0.0)
    preview = IntentJob.objects.get()
    assert jobs.work(str(preview.pk))
    page.get_by_text("1 of 4 stored calls looked at").wait_for()
    fits(page, "intents-change-live")
    while jobs.work(str(preview.pk)):
        pass
    page.get_by_text("3 of 4").wait_for()
    assert page.locator("#preview a[href*='/calls/']").count() == 3
    fits(page, "intents-change-done")
    page.get_by_label("Why (kept with the version)").fill("The new line product")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Stored calls read again").wait_for()
    again = IntentJob.objects.get(task="relabel")
    assert jobs.work(str(again.pk))
    page.get_by_text("1 of 5 calls read again").wait_for()
    fits(page, "intents-job-live")
    while jobs.work(str(again.pk)):
        pass
    page.get_by_text("Done: 5 calls read again").wait_for()
    assert page.get_by_text("1 of the moved calls belong to teams").is_visible()
    fits(page, "intents-job-done")
    assert set(Insight.objects.filter(call__in=moving).values_list("intent", flat=True)) == {"line_trouble"}
    page.goto("/intents/")
    assert page.get_by_role("link", name="3 calls").is_visible()
    fits(page, "intents-list-after")
    page.get_by_role("link", name="Version 2").click()
    fits(page, "intents-history")
    page.get_by_role("link", name="Version 1", exact=True).click()
    fits(page, "intents-version")
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("heading", name="Go back to version 1").wait_for()
    page.get_by_role("checkbox", name="Then read stored calls again").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved as version 3").wait_for()
    assert not Intent.objects.get(name="line_trouble").enabled
    newest = TaxonomyVersion.objects.first()
    assert newest and newest.restored_from and newest.restored_from.number == 1


def test_a_wrong_form_says_so_at_the_field_and_keeps_what_was_written(
    sign_in: Any,
    cast: Any,
    small: Any,  # noqa: F811
) -> None:
    page = sign_in(cast.supervisor)
    page.goto("/intents/new")
    page.get_by_label("Name").fill("Refund")
    page.get_by_label("Example phrases").fill("please refund the money to my card\nanother one")
    page.get_by_role("button", name="See what it would move").click()
    page.get_by_text("Another intent has this name already.").wait_for()
    assert page.get_by_text("is an example of Refund already").is_visible()
    assert "another one" in page.get_by_label("Example phrases").input_value()
    fits(page, "intents-refused")


VOICE = {
    "version": 1,
    "turns": [
        {"turn": n, "party": party, "start_ms": at, "end_ms": at + 4000, "arousal": arousal, "level": level}
        for n, (party, at, arousal, level) in enumerate(
            [
                ("agent", 800, 0.1, "usual"),
                ("customer", 6500, 2.4, "raised"),
                ("agent", 12000, -0.3, "usual"),
                ("customer", 16000, 0.2, "usual"),
            ]
        )
    ],
    "disagreements": [
        {
            "turn": 1, "party": "customer", "start_ms": 6500, "end_ms": 10500, "kind": "calm_words_raised_voice",
            "arousal": 2.4, "score": 0.1, "parts": {"energy": 2.1, "pitch": 3.0, "rate": 0.2},
        }
    ],
}  # fmt: skip


def test_a_call_is_labelled_on_its_page_and_the_voice_stands_beside_the_words(
    sign_in: Any,
    cast: Any,
    small: Any,  # noqa: F811
    warehouse: Any,
) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    insight = Insight.objects.get(call=call)
    insight.document = {**insight.document, "voice": VOICE}
    insight.save()
    page = sign_in(cast.supervisor)
    page.goto(call.get_absolute_url())
    page.get_by_text("calm words, raised voice").wait_for()
    assert page.get_by_text("louder and higher than usual").is_visible()
    assert page.locator("#voice-chart svg path").count() > 3
    assert page.get_by_role("row", name="Customer −0.50").is_visible()
    page.get_by_text("It was about something else").click()
    page.get_by_label("This call was about").select_option("address")
    fits(page, "call-label-and-voice")
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("Said by Supervisor").wait_for()
    label = CallLabel.objects.get()
    assert label.name == "address" and label.start_ms is not None
    fits(page, "call-labelled")
