"""Notifications in a real browser against a real receiver: set up, tested, signed, refused, tried again; two widths."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from callcenter.insights.notifications import inbox, outbox, services
from callcenter.insights.notifications.models import Delivery, Route
from tests.factories import AlertFactory, CallFactory
from tests.notifications.receiver import Receiver, receiving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOK = os.environ.get("LOOK_AT", "")  # a folder: every page is kept there as a picture


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.ENV = settings.ENV.model_copy(
        update={"NOTIFY_ALLOW_PRIVATE": True, "SITE_URL": "https://calls.example.org"}
    )
    with receiving() as found:
        yield found


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch, house: None) -> None:
    """A worker in a thread of its own: what is enqueued is done there."""
    from django.db import connection

    from callcenter.celery import app

    def run(delivery_id: str) -> None:
        try:
            outbox.deliver(delivery_id)
        finally:
            connection.close()

    def send(name: str, kwargs: dict[str, Any] | None = None, **_: Any) -> None:
        if name == "notifications.deliver":
            threading.Thread(target=run, kwargs=kwargs or {}).start()

    monkeypatch.setattr(app, "send_task", send)


def fits(page: Any, path: str, name: str) -> None:
    """Open a page at both widths: it must not be wider than the screen."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(path)
        page.wait_for_load_state("load")
        wide = page.locator("body").evaluate("body => body.parentNode.scrollWidth - body.parentNode.clientWidth")
        if LOOK:
            Path(LOOK).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{LOOK}/{name}-{width}.png", full_page=True)
        assert wide <= 0, f"{path} is {wide} px too wide at {width}"
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_webhook_is_set_up_tested_signed_fails_and_is_retried(sign_in: Any, cast: Any, receiver: Receiver) -> None:
    page = sign_in(cast.supervisor)
    fits(page, "/alerts/notifications/", "notifications-empty")
    page.get_by_role("link", name="New route").first.click()
    page.get_by_label("Name").fill("Incident desk")
    page.get_by_label("Address").fill("ftp://somewhere")
    page.get_by_label("From this severity").select_option("low")
    page.get_by_role("button", name="Make the route").click()
    page.get_by_text("begins with https://").first.wait_for()
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_role("button", name="Make the route").click()
    secret = page.get_by_label("Secret", exact=True).input_value()
    receiver.answers.append((401, "unknown signature", {}))
    page.get_by_role("button", name="Send a test").click()
    page.get_by_text("it did not arrive.").wait_for()
    page.get_by_text("Answered 401: unknown signature").first.wait_for()
    page.get_by_role("button", name="Send a test").click()
    page.get_by_text("it arrived.").wait_for()
    for _, headers, body in receiver.got:
        stamp = headers["x-callcenter-timestamp"]
        expected = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        assert headers["x-callcenter-signature"] == f"v1={expected}" and json.loads(body)["event"] == "test"
    receiver.answers.append((503, "down for maintenance", {}))
    alert = AlertFactory(call=CallFactory(team=cast.team_a, agent=cast.agent))
    outbox.announce([alert.pk])
    page.goto(Route.objects.get().get_absolute_url())
    page.get_by_text("Answered 503: down for maintenance").wait_for()
    assert secret not in page.content()
    page.get_by_role("button", name="Try now").click()
    row = page.locator(f'[data-delivery="{Delivery.objects.get(kind="alerts").pk}"]')
    row.get_by_text("Answered 200.").wait_for()
    told = json.loads(receiver.got[-1][2])
    assert told["alerts"][0]["id"] == str(alert.pk)
    assert json.loads(receiver.got[-2][2])["id"] == told["id"]


def test_every_state_of_the_pages_fits_a_telephone(sign_in: Any, cast: Any, receiver: Receiver) -> None:
    values = {"minimum_severity": "low", "team": cast.team_a, "by": cast.admin}
    hook, _ = services.create(
        name="Incident desk of the night shift with a rather long name", channel="webhook", address=receiver.url,
        digest="hourly", categories=["churn", "legal", "complaint"], tells_restricted=True, **values,
    )  # fmt: skip
    mail, _ = services.create(name="Shift mail", channel="apprise", address="mailto://u:pw@example.org", **values)
    services.create(name="Old Slack", channel="apprise", address="json://example.org/x", enabled=False, **values)
    now = timezone.now()
    reason = "Answered 503: " + "upstream connect error or disconnect/reset before headers " * 3
    for state, attempts, said in (
        ("sent", 1, "Answered 200."), ("failed", 6, reason), ("pending", 2, "127.0.0.1 did not answer in time."),
        ("withdrawn", 1, "Its alerts were dismissed or withdrawn before it was sent."), ("pending", 0, ""),
    ):  # fmt: skip
        Delivery.objects.create(
            route=hook, state=state, attempts=attempts, reason=said, next_at=now + timedelta(minutes=20),
            sent_at=now if state == "sent" else None, urgent=state == "sent",
        )  # fmt: skip
    Route.objects.filter(pk=hook.pk).update(failures=2, paused_until=now + timedelta(minutes=2))
    page = sign_in(cast.admin)
    fits(page, "/alerts/notifications/", "notifications-list")
    fits(page, "/alerts/notifications/new", "notifications-new")
    fits(page, hook.get_absolute_url(), "notifications-webhook")
    fits(page, mail.get_absolute_url(), "notifications-mail")


def test_the_bell_counts_and_the_inbox_empties_it(sign_in: Any, cast: Any) -> None:
    page = sign_in(cast.agent)
    fits(page, "/inbox/", "inbox-empty")
    long = "A job with a name that was made by somebody who likes long names of files_and_folders_without_any_blank.wav"
    for n, (kind, title, grave) in enumerate(
        [("assigned", "An alert was assigned to you by Supervisor", False), ("job", f"{long} failed", True),
         ("comment", "Supervisor commented on a call", False)]
    ):  # fmt: skip
        text = "Churn · Team A, call of 25 Nov, 14:02"
        inbox.tell(user=cast.agent, kind=kind, key=str(n), title=title, url="/account/", grave=grave, text=text)
    fits(page, "/inbox/", "inbox")
    bell = page.locator("#bell")
    assert bell.inner_text().strip() == "3"
    page.get_by_role("button", name="Mark as read: Supervisor commented").click()
    page.locator("#bell", has_text="2").wait_for()
    page.get_by_role("button", name="An alert was assigned to you by Supervisor (unread)").click()
    page.wait_for_url("**/account/")
    assert page.locator("#bell").inner_text().strip() == "1"
    page.goto("/inbox/")
    page.get_by_role("button", name="Mark all as read").click()
    page.locator("article.notice-unread").first.wait_for(state="detached")
    assert page.locator("#bell").inner_text().strip() == ""
