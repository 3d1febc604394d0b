"""In a real browser: from a figure to its calls and back, and a view that a colleague opens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from callcenter.dashboards.models import SavedView
from callcenter.insights.warehouse_doc import load_into_warehouse
from tests.factories import QUIET, QueueFactory, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def calls(cast: Any, warehouse: Any) -> list[Any]:
    made = []
    for number in range(6):
        story = QUIET if number % 2 else None
        started_at = timezone.now() - timedelta(days=number, hours=1)
        made.append(
            understood_call(
                story, team=cast.team_a, agent=cast.agent, queue=QueueFactory(name="Billing"), started_at=started_at
            )
        )
        load_into_warehouse(made[-1])
    return made


def test_a_figure_leads_to_its_calls_and_back_and_a_view_is_shared(sign_in: Any, calls: Any, cast: Any) -> None:
    page = sign_in(cast.supervisor)
    page.goto("/?period=7")
    page.locator("[data-chart=calls] svg").wait_for()
    assert page.locator("[data-tile=calls] .figure").inner_text() == "6"
    page.locator("a.mood-positive").click()
    page.get_by_role("heading", name="3 calls").wait_for()
    page.get_by_role("link", name="Back to the figures").click()
    page.wait_for_url(re.compile(r"/\?period=7$"))

    # A bar of a chart is a way to its calls too.
    bar = page.locator("[data-chart=heat] svg path[fill]").last
    bar.click()
    page.wait_for_url(re.compile(r"/calls/\?.*weekday="))
    page.go_back()

    page.goto("/?period=7&mood=positive")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Save this view as").fill("Happy week")
    page.get_by_label("Share with").select_option(label="Team A")
    page.get_by_role("button", name="Save the view").click()
    page.get_by_text("is saved").wait_for()
    assert page.locator("[data-tile=calls] .figure").inner_text() == "3"
    page.locator(".chip", has_text="Positive calls").click()
    page.wait_for_url(re.compile(r"/\?period=7$"))
    assert SavedView.objects.get().team == cast.team_a


def test_the_dashboard_fits_a_telephone_and_paper(sign_in: Any, calls: Any, cast: Any) -> None:
    page = sign_in(cast.agent)
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("/", f"/agents/{cast.agent.pk}/", "/queues/", f"/queues/{calls[0].queue.pk}/", "/notes/"):
        page.goto(address)
        excess = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        assert excess <= 0, address
    page.goto("/")
    page.emulate_media(media="print")
    assert not page.locator("form[aria-label=Filters]").is_visible()
    assert page.locator("[data-tile=calls]").is_visible()
