"""In a real browser: narrowing the calls down by counts, keeping that as a search, and a manifest of other columns."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from callcenter.calls.models import Batch, ManifestMapping
from callcenter.dashboards.models import SavedView
from callcenter.insights.warehouse_doc import load_into_warehouse
from tests.factories import QUIET, QueueFactory, tone_wav, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDTHS = ((1440, 900), (390, 844))


def fits(page: Any) -> None:
    for width, height in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        excess = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        assert excess <= 0, width


def test_counts_narrow_the_list_down_and_the_search_is_kept(sign_in: Any, cast: Any, warehouse: Any) -> None:
    calls = []
    for number in range(5):
        calls.append(
            understood_call(
                QUIET if number % 2 else None,
                audio=number == 0,
                team=cast.team_a,
                agent=cast.agent if number < 3 else cast.other_agent,
                queue=QueueFactory(name="Billing" if number else "Technical support"),
                started_at=timezone.now() - timedelta(days=number, hours=1),
            )
        )
        load_into_warehouse(calls[-1])
    page = sign_in(cast.supervisor)
    page.set_default_timeout(60_000)
    page.goto("/calls/?q=cancel")
    # From a snippet straight to its sound.
    assert page.locator(".snippet mark").first.inner_text() == "cancel"
    assert re.search(r"\?t=\d+#turn-3$", page.locator(".snippet").first.get_attribute("href"))
    page.goto("/calls/")
    billing = page.locator("[data-facet=queue]").get_by_role("link", name=re.compile("Billing"))
    assert re.sub(r"\s+", " ", billing.inner_text()) == "Billing 4"
    billing.click()
    page.get_by_role("heading", name="4 calls").wait_for()
    page.locator("[data-facet=mood]").get_by_role("link", name=re.compile("Positive")).click()
    page.get_by_role("heading", name="2 calls").wait_for()
    # The chosen one is marked, and the other moods stay in sight.
    chosen = page.locator("[data-facet=mood] a.is-chosen")
    chosen.wait_for()
    assert (chosen.count(), page.locator("[data-facet=mood] a").count()) == (1, 2)

    page.get_by_label("Silence, at least").fill("lots")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("“lots” is not a number").wait_for()
    fits(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("Silence, at least").fill("1")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".chip", has_text="Silence from 1").wait_for()

    page.get_by_role("button", name="Searches").click()
    page.get_by_label("Save this search as").fill("Glad about billing")
    page.get_by_label("Share with").select_option(label="Team A")
    page.get_by_role("button", name="Save the search").click()
    page.get_by_text("is saved").wait_for()
    view = SavedView.objects.get()
    assert (view.kind, view.team, "silence_min=1" in view.query) == ("calls", cast.team_a, True)
    page.goto("/calls/")
    page.get_by_role("button", name="Searches").click()
    page.get_by_role("link", name="Glad about billing").click()
    page.wait_for_url(re.compile("silence_min=1"))

    # On a telephone the counts wait behind a button.
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    assert not page.locator("#facets").is_visible()
    page.get_by_role("button", name="Narrow down").click()
    page.locator("[data-facet=queue]").wait_for()
    fits(page)

    # What was heard leads to a note to its agent, about this moment.
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{calls[0].get_absolute_url()}?t=2000")
    page.get_by_role("link", name="Coaching note").click()
    page.wait_for_url(re.compile(rf"/agents/{cast.agent.pk}/\?about={calls[0].pk}&t=\d+#note"))
    page.get_by_text("About the call of").wait_for()


def test_a_manifest_of_other_columns_is_looked_at_before_anything_is_sent(sign_in: Any, cast: Any) -> None:
    page = sign_in(cast.supervisor)
    page.set_default_timeout(60_000)
    page.goto("/batches/new")
    manifest = "Audio file;Advisor;Reason\nMonday/a.wav;agent;bill\nMonday/b.wav;nobody;\n"
    files = [{"name": f"{name}.wav", "mimeType": "audio/wav", "buffer": tone_wav(seconds=1)} for name in "abc"]
    files.append({"name": "calls.csv", "mimeType": "text/csv", "buffer": manifest.encode()})
    page.locator("#id_files").set_input_files(files)
    page.get_by_text("Say which column holds the name of the file").wait_for()
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_text("cannot be used like this").wait_for()
    assert not Batch.objects.exists()

    page.get_by_label("Audio file").select_option("filename")
    page.get_by_text("2 of 3 chosen files are named").wait_for()
    page.get_by_label("Advisor").select_option("agent")
    page.get_by_text("“nobody” is not a known user name").wait_for()
    fits(page)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile(r"/batches/[0-9a-f-]{36}/"))
    assert Batch.objects.get().manifest["Monday/a.wav"] == {"agent": "agent"}

    # The next time the page knows.
    assert ManifestMapping.objects.get(team=cast.team_a).columns["advisor"] == "agent"
    page.goto("/batches/new")
    page.locator("#id_files").set_input_files(files)
    page.get_by_text("2 of 3 chosen files are named").wait_for()
