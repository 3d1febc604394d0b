"""Keys that hold everywhere and their list, help one click away, dark mode, and how little script that takes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.browser.test_accessibility import enter
from tests.factories import understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MOST_SCRIPT_BYTES = 150_000
OPEN = "document.getElementById('key-map').open"


def test_the_list_of_keys_opens_jumps_lead_and_letters_can_be_switched_off(page: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    enter(page, cast.supervisor)
    page.goto(f"/calls/{call.pk}/")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    assert page.get_by_text("next, previous doubtful turn").is_visible()
    page.keyboard.press("e")
    assert page.locator("#transcript textarea").count() == 0, "behind the list no key acts"
    page.keyboard.press("Escape")
    assert not page.evaluate(OPEN)
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/alerts/")
    page.keyboard.press("/")
    page.wait_for_url("**/calls/#search")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("g?")
    assert page.evaluate("document.activeElement.value") == "g?", "in a field a letter is a letter"
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Single letters and signs act as keys").uncheck()
    page.keyboard.press("Escape")
    page.goto(f"/calls/{call.pk}/")
    page.locator("#keys-button").wait_for()
    page.locator("body").press("e")
    page.keyboard.press("?")
    assert not page.evaluate(OPEN) and page.locator("#transcript textarea").count() == 0
    page.locator("#keys-button").click()
    assert page.evaluate(OPEN)


def test_help_opens_at_the_section_of_the_page(page: Any, cast: Any) -> None:
    enter(page, cast.supervisor)
    page.goto("/exports/")
    page.get_by_role("link", name="Help for this page").click()
    page.wait_for_url("**/help/calls/#export")
    assert page.get_by_role("heading", name="Export").is_visible()


@pytest.mark.parametrize("width", [390, 1440])
def test_guide_help_and_keys_fit_the_window(width: int, page: Any, cast: Any, warehouse: Any) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    enter(page, cast.admin)
    for path in ("/", "/help/", "/help/call/", "/operations/", "/calls/00000000-0000-0000-0000-000000000000/"):
        page.goto(path)
        page.keyboard.press("?")
        box = page.locator("#key-map").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, path
        page.keyboard.press("Escape")
        excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert excess <= 0, f"{path} is {excess} px too wide"


def test_colours_follow_the_system_until_a_person_chooses(page: Any, cast: Any) -> None:
    enter(page, cast.agent)
    theme = "document.documentElement.dataset.bsTheme"
    page.emulate_media(color_scheme="dark")
    page.goto("/calls/")
    assert page.evaluate(theme) == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(theme) == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.goto("/inbox/")
    assert page.evaluate(theme) == "light", "the choice is kept"


def test_pages_without_chart_or_waveform_load_little_script(page: Any, cast: Any) -> None:
    """Weighed as production serves them: `CompressedManifestStaticFilesStorage` keeps each file packed by gzip."""
    assert "Compressed" in (Path(settings.BASE_DIR) / "callcenter/settings/prod.py").read_text(encoding="utf-8")
    enter(page, cast.admin)
    scripts: list[Any] = []
    weights: dict[str, int] = {}
    page.on("response", lambda answer: scripts.append(answer) if answer.request.resource_type == "script" else None)
    paths = ("/calls/", "/alerts/", "/review/", "/batches/", "/batches/new", "/exports/", "/inbox/", "/operations/")
    for path in (*paths, "/learning/", "/rules/", "/intents/", "/alerts/notifications/", "/account/", "/help/"):
        scripts.clear()
        page.goto(path, wait_until="load")
        for answer in scripts:
            if answer.url not in weights:
                weights[answer.url] = len(gzip.compress(answer.body()))
        total = sum(weights[answer.url] for answer in scripts)
        assert 0 < total < MOST_SCRIPT_BYTES, f"{path} loads {total} bytes of script: {[s.url for s in scripts]}"
