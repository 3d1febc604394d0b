"""Correcting in a browser: by keyboard, by two people, from the queue, on a telephone, and without scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from callcenter.accounts.models import Team
from callcenter.calls.models import Call, Turn
from callcenter.review import services
from callcenter.review.access import view_of
from callcenter.review.models import Correction, Review
from tests.factories import Story, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def until(page: Any, true: Callable[[], Any], what: str = "") -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what or "this never came true"
        page.wait_for_timeout(50)


def state(page: Any) -> str:
    return str(page.locator("#save-state").text_content())


def text_of(call: Call, index: int) -> str:
    return Turn.objects.get(call=call, transcript=call.transcript, index=index).text


def opened(sign_in: Any, user: Any, call: Call, tail: str = "") -> Any:
    page = sign_in(user)
    page.goto(f"/calls/{call.pk}/{tail}")
    page.locator("#keys-button").wait_for()
    return page


@pytest.fixture
def call(cast: Any) -> Call:
    return understood_call(audio=True, team=cast.team_a, agent=cast.agent)


def test_a_doubtful_turn_is_found_corrected_and_undone_by_keyboard_alone(sign_in: Any, cast: Any, call: Call) -> None:
    page = opened(sign_in, cast.supervisor, call)
    heard = text_of(call, 3)
    page.keyboard.press("n")
    until(page, lambda: "is-target" in page.locator("#turn-3").get_attribute("class"))
    page.keyboard.press("e")
    area = page.locator("#turn-3 textarea")
    area.wait_for()
    assert area.evaluate("(e) => document.activeElement === e")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Please.")
    # Nobody pressed save: it happens by itself.
    until(page, lambda: state(page) == "Saved")
    assert text_of(call, 3) == f"{heard} Please."
    page.keyboard.press("Control+Enter")
    area.wait_for(state="detached")
    assert page.locator("#turn-3 .turn-text").inner_text().strip().endswith("Please.")
    page.locator("#turn-3 .reviewed").wait_for()
    page.keyboard.press("u")
    until(page, lambda: text_of(call, 3) == heard)
    until(page, lambda: "Please." not in page.locator("#turn-3").inner_text())


def test_the_sound_follows_the_cursor_and_plays_while_typing(sign_in: Any, cast: Any, call: Call) -> None:
    page = opened(sign_in, cast.supervisor, call)
    until(page, lambda: page.evaluate("document.getElementById('audio').readyState >= 1"))
    page.locator("#turn-2 a.edit").click()
    page.locator("#turn-2 textarea").wait_for()
    words = Turn.objects.get(call=call, index=2).words
    for _ in range(3):
        page.keyboard.press("Control+ArrowRight")

    def now() -> float:
        return 1000 * float(page.evaluate("document.getElementById('audio').currentTime"))

    until(page, lambda: any(abs(now() - words[n][1]) < 60 for n in (2, 3)))
    page.keyboard.press("Alt+p")
    until(page, lambda: not page.evaluate("document.getElementById('audio').paused"))
    page.keyboard.press("Alt+p")
    until(page, lambda: page.evaluate("document.getElementById('audio').paused"))


def test_a_turn_that_two_people_edit_keeps_both_texts(sign_in: Any, cast: Any, call: Call) -> None:
    page = opened(sign_in, cast.supervisor, call)
    page.locator("#turn-1 a.edit").click()
    area = page.locator("#turn-1 textarea")
    area.wait_for()
    mark = view_of(call, cast.admin).done.state.find(1, 0).digest()
    services.correct_turn(
        call_id=call.pk, user=cast.admin, turn=1, word=0, digest=mark, action="text", data={"text": "Theirs stands."}
    )
    area.fill("Mine is right.")
    until(page, lambda: state(page).startswith("Not saved: Somebody else changed this turn"))
    assert page.locator("#turn-1 [data-theirs]").inner_text() == "Theirs stands."
    assert area.input_value() == "Mine is right."
    assert text_of(call, 1) == "Theirs stands."
    page.get_by_role("button", name="Save mine over it").click()
    until(page, lambda: text_of(call, 1) == "Mine is right.")


def test_a_turn_is_split_at_the_cursor_and_given_to_the_other_party(sign_in: Any, cast: Any, call: Call) -> None:
    page = opened(sign_in, cast.supervisor, call)
    page.locator("#turn-2 a.edit").click()
    area = page.locator("#turn-2 textarea")
    area.wait_for()
    at = text_of(call, 2).index("May I")
    area.evaluate("(e, at) => e.setSelectionRange(at, at)", at)
    page.keyboard.press("Alt+s")
    page.locator("#turn-6").wait_for()
    assert [text_of(call, n) for n in (2, 3)] == [
        "I am sorry to hear that.",
        "May I have your account number, please?",
    ]
    page.locator("#turn-3 a.edit").click()
    page.locator("#turn-3").get_by_text("Party, split, merge").click()
    page.locator("#turn-3").get_by_label("Who speaks").select_option("customer")
    page.locator("#turn-3").get_by_role("button", name="Change").click()
    page.locator("#turn-3.customer").wait_for()
    assert Turn.objects.get(call=call, index=3).party == "customer"


def test_when_the_server_is_gone_the_page_says_so_and_saves_when_it_is_back(
    sign_in: Any, cast: Any, call: Call
) -> None:
    page = opened(sign_in, cast.supervisor, call)
    page.locator("#turn-0 a.edit").click()
    area = page.locator("#turn-0 textarea")
    area.wait_for()
    page.context.set_offline(True)
    area.fill("Good morning.")
    until(page, lambda: "the server cannot be reached" in state(page))
    page.context.set_offline(False)
    until(page, lambda: state(page) == "Saved")
    assert text_of(call, 0) == "Good morning."


def test_an_agents_waiting_words_are_marked_and_approved_on_the_approval_page(
    sign_in: Any, cast: Any, call: Call
) -> None:
    Team.objects.update(correction_approval="all")
    page = opened(sign_in, cast.agent, call)
    page.locator("#turn-0 a.edit").click()
    page.locator("#turn-0 textarea").fill(text_of(call, 0).replace("Northwind", "Southwind"))
    page.keyboard.press("Control+Enter")
    page.locator("#turn-0 .w.waiting").wait_for()
    assert "Southwind" in page.locator("#turn-0 .w.waiting").inner_text()
    assert "Northwind" in text_of(call, 0)
    page.context.clear_cookies()
    page = sign_in(cast.supervisor)
    page.goto("/review/approval/")
    page.get_by_role("checkbox", name="All").check()
    page.get_by_role("button", name="Approve chosen").click()
    page.get_by_text("1 correction approved").wait_for()
    assert "Southwind" in text_of(call, 0)


def test_the_queue_leads_from_segment_to_segment(sign_in: Any, cast: Any, call: Call) -> None:
    Turn.objects.update(spot_check=None)
    page = sign_in(cast.supervisor)
    page.goto("/review/")
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"from=queue"))
    page.locator("#next-segment").wait_for()
    first = page.url
    page.keyboard.press("r")
    page.wait_for_url(lambda url: url != first and "from=queue" in url)
    assert Review.objects.filter(outcome="confirmed").count() == 1
    page.locator("#next-segment").wait_for()
    second = page.url
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url not in (first, second) and "from=queue" in url)
    assert Review.objects.count() == 1


def test_a_wrong_name_is_put_right_in_all_calls_and_back_again(sign_in: Any, cast: Any, call: Call) -> None:
    other = understood_call(audio=True, team=cast.team_a, agent=cast.other_agent)
    page = sign_in(cast.supervisor)
    page.goto("/review/fix-all/")
    page.get_by_label("Heard wrong").fill("northwind")
    page.get_by_label("Is really").fill("Norwind")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("2 places").wait_for()
    page.get_by_role("button", name="Put “Norwind” at the chosen places").click()
    page.get_by_text("Corrected 2 turns in 2 calls").wait_for()
    assert "Norwind, this is Dana" in text_of(call, 0) and "Norwind, this is Dana" in text_of(other, 0)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Undo all").click()
    page.get_by_text("Undone in 2 calls").wait_for()
    assert "Northwind," in text_of(call, 0) and "Northwind," in text_of(other, 0)


def test_a_turn_is_corrected_without_scripts(
    browser: Any, live_server: Any, cast: Any, client: Any, call: Call
) -> None:
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"/calls/{call.pk}/")
    page.locator("#turn-0 a.edit").click()
    page.get_by_label("What was said").fill("Hello there.")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(rf"/calls/{call.pk}/"))
    assert page.locator("#turn-0").get_by_text("Hello").is_visible()
    assert text_of(call, 0) == "Hello there."
    context.close()


LONG = Story(
    turns=tuple((("agent", "customer")[n % 2], f"Turn {n} " + "Supercalifragilistic " * 6, 0.0) for n in range(4)),
    alerts=(),
    unsure={n: (2, 3) for n in range(4)},
)


@pytest.mark.parametrize("width", [390, 1440])
def test_no_review_page_is_wider_than_its_window_and_everything_has_a_name(
    width: int, sign_in: Any, cast: Any, call: Call
) -> None:
    understood_call(LONG, audio=True, team=cast.team_a, agent=cast.agent)
    mark = view_of(call, cast.agent).done.state.find(0, 0).digest()
    services.correct_turn(
        call_id=call.pk, user=cast.agent, turn=0, word=0, digest=mark, action="text", data={"text": "x" * 99}
    )
    Correction.objects.create(
        call=call, transcript=call.transcript, turn_index=2, first_word=0, last_word=0, before=["y" * 90],
        after=["z" * 90], start_ms=5000, end_ms=6000, status="stranded", author=cast.agent,
    )  # fmt: skip
    page = sign_in(cast.admin)
    page.set_viewport_size({"width": width, "height": 844})
    paths = ["/review/", "/review/?show=sample", "/review/approval/", "/review/fix-all/?wrong=supercalifragilistic",
             "/review/vocabulary/", "/review/mine/", f"/calls/{call.pk}/?from=queue&t=900",
             f"/calls/{call.pk}/turns/0-0/"]  # fmt: skip
    for path in paths:
        page.goto(path)
        if path.endswith("t=900"):
            page.locator("#turn-1 a.edit").click()
            page.locator("#turn-1 textarea").wait_for()
            page.locator("#turn-1").get_by_text("Party, split, merge").click()
            page.locator("#keys-button").click()
        excess = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        assert excess <= 0, f"{path} is {excess} px too wide"
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a[href], input:not([type=hidden]), select, textarea")]
              .filter((e) => e.checkVisibility?.() ?? true)
              .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length || e.title))
              .map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == [], path
