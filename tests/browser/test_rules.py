"""Rules and alerts in a real browser: write, see at once, save, apply with progress, decide; at two widths."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from callcenter.insights import audits, rerule, rulejobs, rules
from callcenter.insights.models import Alert, RuleJob, Surge
from tests.factories import QUIET, AlertFactory, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOK = os.environ.get("LOOK_AT", "")  # a folder: every page is kept there as a picture

SOURCE = """\
# Somebody wants to leave us.
key: team.leaving
name: Customer wants to leave
category: churn
severity: high
party: customer
any:
  - never said by anybody
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.insights.services.load_into_warehouse", lambda call: None)
    monkeypatch.setattr("callcenter.insights.warehouse_doc.load_calls", lambda ids: None)


def fits(page: Any, path: str, name: str) -> None:
    """Open a page at both widths: it must not be wider than the screen."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(path)
        page.wait_for_load_state("networkidle")
        wide = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        if LOOK:
            Path(LOOK).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{LOOK}/{name}-{width}.png", full_page=True)
        assert wide <= 0, f"{path} is {wide} px too wide at {width}"


def test_a_supervisor_edits_a_rule_sees_it_at_once_saves_applies_and_decides(
    sign_in: Any, cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        understood_call(team=cast.team_a, agent=cast.agent)
    Alert.objects.all().delete()
    rule = rules.create(source=SOURCE, by=cast.supervisor)
    page = sign_in(cast.supervisor)
    page.goto("/rules/")
    page.get_by_role("link", name="Customer wants to leave").click()
    page.get_by_text("Nothing found.").wait_for()
    assert page.locator("#gutter span").count() == len(SOURCE.split("\n"))

    text = page.get_by_role("textbox", name="The rule")
    text.fill(SOURCE + "  - (cancel) my contract\n")
    page.get_by_role("heading", name="1 mistake").wait_for()
    assert page.locator("#gutter .wrong").inner_text() == "9"
    assert page.locator("#preview").get_by_text("any[1]").is_visible()
    page.get_by_role("button", name="Save as version 2").click()
    page.get_by_text("Your text is still here").wait_for()
    assert "(cancel)" in page.get_by_role("textbox", name="The rule").input_value()

    page.get_by_role("textbox", name="The rule").fill(SOURCE + "  - cancel my contract\n")
    page.get_by_role("heading", name="4 hits in 4 calls").wait_for()
    assert page.locator("#preview .quote").first.inner_text().count("cancel my contract") == 1
    page.get_by_label("What changed, and why").fill("People say it like this.")
    page.get_by_role("button", name="Save as version 2").click()
    page.get_by_text("Saved as version 2").wait_for()
    page.get_by_role("link", name="Version 2").click()
    page.locator(".diff-line.ins", has_text="cancel my contract").wait_for()
    page.get_by_role("link", name="Customer wants to leave").click()
    page.get_by_role("button", name="Switch on", exact=True).click()

    monkeypatch.setattr(rerule, "CHUNK", 2)
    page.get_by_role("button", name=re.compile("Apply version 2")).click()
    page.get_by_text("Waiting for a worker").wait_for()
    job = RuleJob.objects.get()
    rulejobs.work(str(job.pk), seconds=0)
    page.get_by_text("2 of 4 calls").wait_for()
    while rulejobs.work(str(job.pk), seconds=0):
        pass
    page.get_by_text("Done: 4 calls").wait_for()
    assert Alert.objects.filter(rule_key=rule.key).count() == 4

    page.goto("/alerts/")
    page.locator(".alert-card").first.get_by_role("link", name="Churn").click()
    page.get_by_label("Assigned to").select_option(label="Agent (Agent)")
    page.get_by_role("button", name="Assign", exact=True).click()
    page.locator(".thread").get_by_text("assigned it").wait_for()
    page.get_by_label("Comment").fill("Called back.")
    page.get_by_role("button", name="Add comment").click()
    page.locator(".thread").get_by_text("Called back.").wait_for()
    page.get_by_role("button", name="Acknowledge", exact=True).click()
    page.get_by_role("button", name="Open it again").wait_for()

    page.goto("/alerts/")
    page.get_by_label("All here").check()
    page.get_by_text("3 selected").wait_for()
    page.get_by_text("Dismiss selected").click()
    page.locator("#reason-bulk").fill("Only a test.")
    page.locator("#bulk").get_by_role("button", name="Dismiss", exact=True).click()
    page.get_by_text("3 alerts dismissed.").wait_for()
    page.goto("/rules/")
    assert page.get_by_text("4 judged").is_visible()


def test_every_page_of_rules_and_alerts_fits_a_desk_and_a_telephone(sign_in: Any, cast: Any) -> None:
    cast.supervisor.restricted_alerts = True
    cast.supervisor.save()
    calls = [understood_call(team=cast.team_a, agent=cast.agent, audio=not n) for n in range(2)]
    understood_call(QUIET, team=cast.team_a, agent=cast.agent)
    source = SOURCE.replace("never said by anybody", "cancel my|the contract|agreement|subscription|plan|account")
    rule = rules.create(source=source, by=cast.supervisor)
    rules.save(rule=rule, source=source + "  - leave you for ever\nnear: 0.9\n", by=cast.admin, base_version=1)
    rules.set_enabled(rule=rule, enabled=True, by=cast.admin)
    AlertFactory(
        call=calls[0], category="script_miss", severity="low", party="agent", score=0.3, listen_first=True,
        rule_key=rule.key,
        components=[
            {"kind": "absence", "share": 0.85,
             "detail": "not said by agent from 0 s to 60 s (34 words heard): 'this call is|may be recorded'"},
            {"kind": "near_phrase", "share": 0.15, "detail": "closest: heard 'this call is reported' (likeness 0.62)"},
        ],
    )  # fmt: skip
    AlertFactory(call=calls[1], category="self_harm", severity="critical")
    AlertFactory(call=calls[1], rule_key=rule.key, status="dismissed", dismiss_kind="wrong", dismiss_reason="A film.")
    Surge.objects.create(
        team=cast.team_a, kind="negative", hour_at=timezone.now() - timedelta(hours=2), count=9, calls=12, expected=1.4,
        upper=5, probability=1e-6, weeks=8,
    )  # fmt: skip
    now = timezone.now()
    sample = audits.draw(by=cast.supervisor, size=5, since=now - timedelta(days=3650), until=now)
    item = sample.items.get()
    audits.judge(item=item, by=cast.supervisor, verdict="missed", categories=["complaint"], note="At the end.")
    tried = rulejobs.start(kind="try", rule=rule, by=cast.supervisor, definition=rule.definition)
    rulejobs.work(str(tried.pk))
    page = sign_in(cast.supervisor)
    missed = Alert.objects.get(category="script_miss")
    for path, name in (
        ("/alerts/", "alerts"),
        (missed.get_absolute_url(), "alert"),
        ("/rules/", "rules"),
        (rule.get_absolute_url(), "rule"),
        (f"/rules/{rule.pk}/versions/2/", "version"),
        ("/rules/new?template=semantic", "rule-new"),
        (tried.get_absolute_url(), "job"),
        ("/alerts/quality/", "quality"),
        (sample.get_absolute_url(), "audit"),
    ):
        fits(page, path, name)
