"""Whole ways through the product in a real browser: of a supervisor, an agent, an operator, and of a shared link."""

from __future__ import annotations

import random
import re
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callcenter.calls.models import Batch, Call, Upload
from callcenter.calls.services.batches import process_row
from callcenter.insights.models import Alert
from callcenter.pipeline import services
from callcenter.pipeline.models import Run
from callcenter.review.models import Correction
from tests.browser.test_accessibility import enter
from tests.factories import PASSWORD, CallFactory, RunFactory, Story, tone_wav, understood_call
from tests.pipeline.conftest import understanding  # noqa: F401
from tests.pipeline.test_runs import finish_speech

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def until(page: Any, true: Callable[[], Any], what: str = "") -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, what or "this never came true"
        page.wait_for_timeout(50)


def now(page: Any) -> float:
    return float(page.evaluate("document.getElementById('audio').currentTime"))


def work_off(run: Run) -> None:
    """Do what the workers do, with a speech engine that always hears the same."""
    assert services.advance(run.pk)
    run.refresh_from_db()
    assert finish_speech(run)
    assert services.understand(str(run.pk))


def long_noise(path: Path) -> Path:
    """Write a recording that is sent in two pieces."""
    noise = random.Random(1).randbytes(16_000)
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, 8000, 0, "NONE", ""))
        for _ in range(600):
            out.writeframes(noise)
    return path


def test_a_supervisor_uploads_a_batch_closes_the_browser_resumes_finds_an_alert_and_hears_it(
    browser: Any,
    live_server: Any,
    cast: Any,
    warehouse: Any,
    tmp_path: Path,
    understanding: Any,  # noqa: F811
) -> None:
    long, short = long_noise(tmp_path / "long.wav"), tmp_path / "short.wav"
    short.write_bytes(tone_wav(seconds=9))
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    enter(page, cast.supervisor)

    def lose_the_second(route: Any, request: Any) -> None:
        if request.method == "PATCH" and request.headers["upload-offset"] != "0":
            route.abort()
        else:
            route.continue_()

    page.route("**/uploads/*", lose_the_second)
    page.goto("/")
    page.locator("#guide").get_by_role("link", name="Upload", exact=True).click()
    page.set_input_files("#id_files", [long, short])
    page.get_by_role("button", name="Upload").click()
    until(page, lambda: Upload.objects.filter(filename="long.wav", offset__gt=0).exists(), "half of it is there")
    until(page, lambda: Batch.objects.filter(rows__filename="short.wav").exists(), "the short file is there")
    kept = context.storage_state()
    context.close()

    half = Upload.objects.get(filename="long.wav")
    assert 0 < half.offset < half.length
    context = browser.new_context(base_url=live_server.url, storage_state=kept)
    page = context.new_page()
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.headers["upload-offset"]) if r.method == "PATCH" else None)
    page.goto("/batches/")
    page.locator("td a.fw-medium").click()
    page.locator("#halves").get_by_text("long.wav").wait_for()
    page.set_input_files("#id_files", [long, short])
    page.get_by_role("button", name="Finish").click()
    page.locator("#batch-rows").get_by_text("long.wav").wait_for()
    batch = Batch.objects.get()
    assert sent == [str(half.offset)], "only the rest of the broken file is sent"
    assert batch.rows.get(filename="long.wav").size == long.stat().st_size

    for row in batch.rows.all():
        assert process_row(row.pk).state == "done"
    for run in Run.objects.all():
        work_off(run)
    page.get_by_text("understood", exact=True).first.wait_for()
    page.get_by_role("link", name=re.compile("^Alerts")).first.click()
    alert = Alert.objects.filter(call__filename="short.wav").get()
    page.locator(f'a[href^="/calls/{alert.call_id}/?t="]').click()
    page.locator("#wave >> canvas").first.wait_for()
    until(page, lambda: abs(now(page) - alert.start_ms / 1000) < 0.5, "the sound stands at the alert")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, lambda: now(page) > alert.start_ms / 1000 + 0.3, "the alert is heard")
    assert "is-target" in page.locator(f"#turn-{alert.turn_index}").get_attribute("class")
    context.close()


TWELVE = Story(
    turns=tuple(
        (("agent", "customer")[n % 2], f"This is what was heard in turn {word} of the call", 0.0)
        for n, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split())
    ),
    alerts=(),
    unsure={n: (3, 4) for n in range(12)},
)


def test_an_agent_corrects_ten_segments_without_a_mouse(page: Any, cast: Any) -> None:
    call = understood_call(TWELVE, audio=True, team=cast.team_a, agent=cast.agent)
    keyboard = page.keyboard
    page.add_init_script("addEventListener('pointerdown', () => sessionStorage.setItem('mouse', 'used'), true)")
    page.goto("/accounts/login/")
    page.locator("[name=login]:focus").wait_for()  # what is typed before the page takes the cursor there is lost
    keyboard.type(cast.agent.username)
    keyboard.press("Tab")
    page.locator("[name=password]:focus").wait_for()
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    keyboard.press("g")
    keyboard.press("r")
    page.wait_for_url("**/review/")
    for _ in range(60):
        keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "start":
            break
    keyboard.press("Enter")
    for number in range(10):
        page.locator("#next-segment").wait_for()
        page.wait_for_load_state("load")  # keys work when the last script has run
        here = page.url
        until(page, lambda: page.locator(".turn.is-target").count() == 1)
        keyboard.press("e")
        page.locator("#transcript textarea").wait_for()
        keyboard.press("Control+End")
        keyboard.type(" indeed")
        keyboard.press("Control+Enter")
        page.locator("#transcript textarea").wait_for(state="detached")
        until(page, lambda n=number: Correction.objects.filter(author=cast.agent).count() == n + 1)  # type: ignore[misc]
        if number < 9:
            keyboard.press("j")
            page.wait_for_url(lambda url, was=here: url != was and "from=" in url)  # or a spot check
    assert Correction.objects.filter(call=call, author=cast.agent).values("turn_index").distinct().count() == 10
    assert page.evaluate("sessionStorage.getItem('mouse')") is None


def test_an_operator_finds_a_failure_and_retries_it(
    page: Any,
    cast: Any,
    understanding: Any,  # noqa: F811
) -> None:
    from tests.factories import stored_recording

    call = CallFactory(team=cast.team_a, recording=stored_recording(tone_wav(seconds=4), duration_ms=4000))
    message = "The speech worker was not heard for a while."
    run = RunFactory(call=call, state="failed", error_code="worker_lost", error_message=message, failures=3)
    enter(page, cast.operator)
    page.goto("/")
    page.wait_for_url("**/operations/")
    page.get_by_text(message).wait_for()
    page.get_by_text("a machine short of memory ends the largest process first").wait_for()
    page.get_by_text("Calls", exact=True).click()
    assert call.filename not in page.content(), "an operator keeps machines running and reads no calls"
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Retry").first.click()
    page.get_by_text("One run is in line again.").wait_for()
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED
    work_off(run)
    page.goto("/operations/")
    page.get_by_text("No call has failed.").wait_for()
    run.refresh_from_db()
    assert run.state == Run.State.DONE


def test_a_shared_link_shows_each_role_only_what_it_may_see(page: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    understood_call(team=cast.team_a, agent=cast.other_agent)
    moment = call.turns.get(index=2).start_ms
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    enter(page, cast.supervisor)
    page.goto(f"/calls/{call.pk}/?t={moment}#turn-2")
    page.get_by_role("button", name="Share moment").click()
    page.locator("#shared", has_text="Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert page.get_by_role("button", name="Reprocess").is_visible()

    def opened_by(user: Any) -> int:
        enter(page, user)
        page.goto("about:blank")
        return int(page.goto(link).status)

    assert opened_by(cast.agent) == 200
    until(page, lambda: abs(now(page) - moment / 1000) < 0.3, "the agent hears the same moment")
    assert page.locator("#turn-2").is_visible()
    assert page.get_by_role("button", name="Reprocess").count() == 0
    said = call.turns.get(index=2).text
    for user, status in ((cast.other_agent, 404), (cast.supervisor_b, 404), (cast.operator, 403)):
        assert opened_by(user) == status
        assert said not in page.content()

    # The same list, shared by its address: each sees the own part of it.
    for user, count in ((cast.supervisor, 2), (cast.agent, 1), (cast.supervisor_b, 0)):
        enter(page, user)
        page.goto("/calls/?intent=billing_question")
        assert page.locator(".call-row").count() == count
    assert Call.objects.count() == 2
