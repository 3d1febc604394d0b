"""What a person does in a browser, done in a browser."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import pytest

from callcenter.calls.models import Batch
from callcenter.calls.services.batches import process_row
from callcenter.pipeline.models import Run
from tests.factories import QUIET, AlertFactory, RunFactory, tone_wav, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DROP = """
async ([files]) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}
"""


def test_two_files_are_dropped_uploaded_and_followed_to_their_end(sign_in: Any, cast: Any) -> None:
    page = sign_in(cast.supervisor)
    page.goto("/batches/new")
    files = [
        (name, base64.b64encode(data).decode())
        for name, data in (("one.wav", tone_wav(seconds=1)), ("two.wav", b"not audio at all " * 50))
    ]
    page.evaluate(DROP, [files])
    page.get_by_text("2 files,").wait_for()
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url(re.compile(r"/batches/[0-9a-f-]{36}/$"))
    batch = Batch.objects.get()
    assert batch.closed_at is not None
    assert page.locator("tbody tr").count() == 2
    for row in batch.rows.all():
        process_row(row.pk)
    # The page renews itself: nobody presses anything here.
    page.get_by_text("Taken").wait_for()
    page.locator("tbody .badge", has_text="Refused").wait_for()
    reason = batch.rows.get(filename="two.wav").reason
    assert page.get_by_text(reason).is_visible()
    Run.objects.update(state=Run.State.DONE)
    page.get_by_text("understood", exact=True).wait_for()
    assert page.locator("#batch-rows").get_attribute("hx-trigger") is None


def test_the_upload_page_works_without_scripts(browser: Any, live_server: Any, cast: Any, client: Any) -> None:
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto("/batches/new")
    page.set_input_files("#id_files", [{"name": "a.wav", "mimeType": "audio/wav", "buffer": tone_wav(seconds=1)}])
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url(re.compile(r"/batches/[0-9a-f-]{36}/$"))
    assert page.get_by_text("a.wav").is_visible()
    context.close()


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true. Playwright's own way evaluates text in the page, which our policy forbids."""
    deadline = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def seconds(page: Any) -> float:
    return float(page.evaluate("document.getElementById('audio').currentTime"))


def test_the_call_plays_and_a_clicked_word_is_heard(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.agent)
    page.goto(f"/calls/{call.pk}/")
    until(page, "document.getElementById('audio').readyState >= 1")
    page.locator("#wave >> canvas").first.wait_for()
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "document.getElementById('audio').currentTime > 0.3")
    page.get_by_role("button", name="Pause").click()
    word = call.turns.get(index=2).words[1]
    page.locator("#turn-2 .w").nth(1).click()
    until(page, f"document.getElementById('audio').currentTime >= {word[1] / 1000}")
    page.get_by_role("button", name="Pause").click()
    assert word[1] / 1000 <= seconds(page) < word[1] / 1000 + 4
    assert "is-active" in page.locator("#turn-2").get_attribute("class")


def test_an_alert_leads_to_its_moment(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    alert = call.alerts.get()
    page = sign_in(cast.supervisor)
    page.goto(f"/calls/{call.pk}/")
    page.locator("#alerts").get_by_role("button", name="Churn").click()
    until(page, f"document.getElementById('audio').currentTime >= {(alert.start_ms - 500) / 1000}")
    assert "is-target" in page.locator(f"#turn-{alert.turn_index}").get_attribute("class")
    assert page.locator(f"#turn-{alert.turn_index}").is_visible()


def test_a_search_result_opens_at_the_moment_it_was_said(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.supervisor)
    page.goto("/calls/")
    page.get_by_label("Search in what was said").fill("cancelling contracts")
    page.keyboard.press("Enter")
    page.locator(".snippet").click()
    page.wait_for_url(re.compile(rf"/calls/{call.pk}/\?t=\d+#turn-3"))
    wanted = call.turns.get(index=3).start_ms / 1000
    until(page, f"Math.abs(document.getElementById('audio').currentTime - {wanted}) < 0.2")
    assert "is-target" in page.locator("#turn-3").get_attribute("class")


def test_a_chosen_filter_stands_in_the_address(sign_in: Any, cast: Any) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)
    quiet = understood_call(QUIET, team=cast.team_a, agent=cast.other_agent)
    page = sign_in(cast.supervisor)
    page.goto("/calls/")
    page.get_by_text("Filters and order", exact=True).click()
    page.get_by_label("Intent", exact=True).select_option("praise")
    page.wait_for_url(re.compile(r"/calls/\?intent=praise$"))
    assert page.locator(".call-row").count() == 1
    assert str(quiet.pk) in page.locator(".main-link").get_attribute("href")


def test_parties_are_swapped_with_one_click(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.supervisor)
    page.goto(f"/calls/{call.pk}/")
    assert page.locator("#turn-0").get_by_text("Agent").is_visible()
    page.get_by_role("button", name="Swap parties").click()
    page.get_by_text("are swapped").wait_for()
    assert page.locator("#turn-0").get_by_text("Customer").is_visible()
    assert page.locator("#run-progress").is_visible()
    # When the work is done, the page loads itself anew.
    Run.objects.filter(call=call).update(state=Run.State.DONE)
    page.locator("#run-progress").wait_for(state="detached")


def test_an_alert_is_dismissed_where_it_stands(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.supervisor)
    page.goto("/alerts/")
    page.get_by_text("Dismiss …").click()
    page.get_by_role("textbox", name="Why is it dismissed?").fill("Said in jest")
    page.get_by_role("button", name="Dismiss", exact=True).click()
    page.get_by_text("“Said in jest”").wait_for()
    assert page.url.endswith("/alerts/")
    assert call.alerts.get().status == "dismissed"


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_is_wider_than_its_window(width: int, sign_in: Any, cast: Any, warehouse: Any) -> None:
    from callcenter.insights.warehouse_doc import load_into_warehouse

    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    AlertFactory(call=call, quote="x" * 300)
    RunFactory(call=understood_call(team=cast.team_a, run=False), state="failed", error_message="word" * 60)
    load_into_warehouse(call)
    page = sign_in(cast.admin)
    page.set_viewport_size({"width": width, "height": 844})
    own = ("/", "/calls/", "/alerts/", "/batches/", "/batches/new", "/operations/", "/account/", "/accounts/2fa/")
    for path in (*own, f"/calls/{call.pk}/"):
        page.goto(path)
        excess = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        assert excess <= 0, f"{path} is {excess} px too wide"


def test_every_field_and_button_has_a_name(sign_in: Any, cast: Any, warehouse: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.admin)
    for path in ("/", "/calls/", f"/calls/{call.pk}/", "/alerts/", "/batches/new", "/operations/", "/account/"):
        page.goto(path)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a[href], input:not([type=hidden]), select, textarea")]
              .filter((e) => e.checkVisibility?.() ?? true)
              .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length || e.title))
              .map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], path
