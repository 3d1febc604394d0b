"""A reader of Chinese sees the site in Chinese, at any width, and may change to English and back."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.accounts.models import User
from callcenter.core import messages
from callcenter.insights.warehouse_doc import load_into_warehouse
from tests.factories import AlertFactory, RunFactory, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = (
    *("/", "/?period=all", "/agents/", "/queues/", "/calls/", "/calls/?q=zebra"),
    *("/batches/", "/batches/new", "/operations/", "/account/", "/exports/?new=1"),
)
TEXTS = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!parent.closest("script, style, noscript, code, [lang='en-gb']")) {
      found.push(walk.currentNode.textContent.trim());
    }
  }
  return found;
}"""


def english() -> set[str]:
    """Return all texts that have a Chinese one of their own."""
    known = set()
    for folder, domain in (("site", "django"), ("site", "djangojs"), ("work", "django")):
        for message in messages.load(messages.path_of(folder, "zh_Hans", domain)):
            one = message.id[0] if isinstance(message.id, tuple) else message.id
            if len(one) > 3 and message.string not in ("", one):
                known.add(one)
    return known


def test_a_reader_chooses_chinese_in_the_menu_and_goes_back_to_english(sign_in: Any, cast: Any) -> None:
    page = sign_in(cast.supervisor)
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="简体中文").click()
    page.get_by_role("heading", name="看板").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    page.goto("/calls/")
    page.get_by_role("heading", name="通话", exact=True).wait_for()
    cast.supervisor.refresh_from_db()
    assert cast.supervisor.language == "zh-hans"
    page.get_by_role("button", name="账户菜单").click()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Calls", exact=True).wait_for()
    assert page.url.endswith("/calls/")


def test_a_visitor_chooses_the_language_before_signing_in(page: Any, db: None) -> None:
    page.goto("/accounts/login/")
    page.get_by_role("button", name="简体中文").click()
    page.get_by_role("heading", name="登录您的账户").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Sign in to your account").wait_for()


@pytest.mark.parametrize("width", [1440, 390])
def test_pages_in_chinese_hold_no_english_of_ours_and_stay_within_the_window(
    sign_in: Any, cast: Any, warehouse: Any, width: int
) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    AlertFactory(call=call)
    load_into_warehouse(call)
    RunFactory(call=call, state="failed", error_code="worker_error", error_message="The worker went silent 3 times.")
    cast.admin.language = "zh-hans"
    cast.admin.save()
    page = sign_in(cast.admin)
    page.set_viewport_size({"width": width, "height": 900})
    # People of the cast are called after their roles; what somebody is called, or has said, is not translated.
    said = {word[0] for turn in call.turns.all() for word in turn.words}
    known = english() - {user.name for user in User.objects.all()} - said
    for address in (*PAGES, call.get_absolute_url(), f"{call.get_absolute_url()}compare"):
        page.goto(address)
        page.wait_for_load_state("load")
        left = [text for text in page.evaluate(TEXTS) if text in known]
        assert left == [], address
        excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert excess <= 0, f"{address} is {excess} px wider than the window"
