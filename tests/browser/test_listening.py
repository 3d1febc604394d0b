"""Listening to a call: speed, silence, finding words, sharing a moment, comments at a time; all in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.test_pages import seconds, until
from tests.factories import understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_words_are_found_and_each_place_is_gone_to(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    turn = call.turns.get(index=3)
    phrase = " ".join(w[0] for w in turn.words[:2])
    page = sign_in(cast.agent)
    page.goto(f"/calls/{call.pk}/")
    page.locator("body").press("/")
    page.keyboard.type(phrase.rstrip(".,"))
    page.locator("#turn-3 .w.found").first.wait_for()
    page.keyboard.press("Enter")
    assert re.match(r"\d+ of \d+", page.locator("#found").inner_text())
    until(page, f"Math.abs(document.getElementById('audio').currentTime - {turn.words[0][1] / 1000}) < 0.3")
    page.keyboard.press("Escape")
    assert page.locator(".w.found").count() == 0


def test_the_speed_is_changed_from_the_keyboard(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.compliance)
    page.goto(f"/calls/{call.pk}/")
    until(page, "window.ccCall !== undefined")
    for _ in range(9):
        page.locator("body").press("]")
    assert page.evaluate("document.getElementById('audio').playbackRate") == 3
    page.locator("body").press("[")
    assert page.evaluate("document.getElementById('audio').playbackRate") == 2.5


def test_silence_is_passed_over_when_asked_for(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    # Everything between the first and the last turn is silent now.
    last = call.turns.order_by("-index").first()
    call.turns.exclude(index__in=(0, last.index)).delete()
    first = call.turns.get(index=0)
    assert last.start_ms - first.end_ms > 3000
    page = sign_in(cast.agent)
    page.goto(f"/calls/{call.pk}/?t={first.end_ms}")
    until(page, "document.getElementById('audio').readyState >= 1")
    page.get_by_label("Skip silence").check()
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, f"document.getElementById('audio').currentTime >= {last.start_ms / 1000 - 0.3}")
    page.evaluate("document.getElementById('audio').pause()")
    assert seconds(page) < last.start_ms / 1000 + 5


def test_a_shared_moment_opens_where_it_was_taken(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    wanted = call.turns.get(index=2).start_ms
    page = sign_in(cast.supervisor)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/calls/{call.pk}/?t={wanted}#turn-2")
    until(page, f"Math.abs(document.getElementById('audio').currentTime - {wanted / 1000}) < 0.2")
    page.get_by_role("button", name="Share moment").click()
    page.locator("#shared", has_text="Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    page.goto(link)
    until(page, f"Math.abs(document.getElementById('audio').currentTime - {wanted / 1000}) < 0.2")
    assert "is-target" in page.locator("#turn-2").get_attribute("class")


def test_a_comment_is_written_beside_the_playhead(sign_in: Any, cast: Any) -> None:
    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    page = sign_in(cast.supervisor)
    page.goto(f"/calls/{call.pk}/?t=2000")
    until(page, "document.getElementById('comment-at').value === '0:02'")
    page.get_by_label("Comment", exact=True).fill("A good question here.")
    page.get_by_role("button", name="Comment", exact=True).click()
    page.locator("#comments").get_by_text("A good question here.").wait_for()
    assert call.comments.get().at_ms == 2000
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("Nobody has commented").wait_for()
