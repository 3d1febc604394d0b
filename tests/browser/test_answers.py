"""The knowledge base in a real browser: written, searched, shown on the call that asked; no page wider than a phone."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.insights.answers import services
from callcenter.insights.answers.models import Article, Suggestion
from tests.browser.test_notifications import fits
from tests.factories import AlertFactory, IntentFactory, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_an_article_is_written_found_and_shown_on_the_call_that_asked(sign_in: Any, cast: Any) -> None:
    page = sign_in(cast.supervisor)
    fits(page, "/alerts/answers/", "answers-empty")
    page.get_by_role("link", name="New article").first.click()
    page.get_by_label("Title").fill("How long a refund takes")
    page.get_by_label("Text", exact=False).first.fill("A refund reaches the account within ten working days.")
    page.get_by_label("Reply template").fill("It takes ten working days.\nI am sorry for the wait.")
    page.get_by_label("Tags").fill("money, returns")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved as version 1.").wait_for()
    article = Article.objects.get()
    services.save_article(by=cast.supervisor, title="A_name_without_any_blank_" * 7, body="Text " * 300, tags=["long"])
    page.goto("/alerts/answers/")
    page.get_by_label("Search articles").fill("refunds")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="How long a refund takes").wait_for()
    assert page.get_by_role("link", name="A_name_without").count() == 0
    fits(page, "/alerts/answers/", "answers-list")
    fits(page, article.get_absolute_url(), "answers-article")
    fits(page, f"{article.get_absolute_url()}edit", "answers-edit")
    call = understood_call(team=cast.team_a, agent=cast.agent)
    Suggestion.objects.create(
        call=call, transcript=call.transcript, article=article, version=1, score=0.71, turns=[1], start_ms=4000
    )
    AlertFactory(call=call, category="legal", turn_index=1)
    IntentFactory(name="refund", label="Refund")
    page.goto("/alerts/answers/actions")
    page.get_by_label("Legal or regulator", exact=True).fill("Pass the call on to the legal desk.")
    page.get_by_role("button", name="Save the action for Legal or regulator").click()
    page.get_by_text("Saved.").wait_for()
    fits(page, "/alerts/answers/actions", "answers-actions")
    fits(page, call.get_absolute_url(), "answers-call")
    card = page.locator("#answers")
    card.get_by_text("Pass the call on to the legal desk.").wait_for()
    card.get_by_text("I am sorry for the wait.").wait_for()
    card.get_by_role("link", name="turn 2").last.click()
    page.locator("#turn-1.is-target").wait_for()
