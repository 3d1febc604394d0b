"""The inbox: each person is told what concerns them, once, and never of what they may not see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.calls.models import Comment
from callcenter.insights import triage
from callcenter.insights.notifications import inbox
from callcenter.insights.notifications.models import Mark, Notice
from callcenter.learning.models import DatasetJob, NightlyRun
from tests.factories import BatchFactory, TrainingRunFactory
from tests.notifications.test_outbox import an_alert
from tests.notifications.test_pages import signed_in


def titles(user: Any) -> list[str]:
    return sorted(Notice.objects.filter(user=user).values_list("title", flat=True))


@pytest.fixture(autouse=True)
def no_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.insights.services.load_into_warehouse", lambda call: None)


def test_an_alert_that_was_assigned_is_told_once_and_leads_to_it(cast: Any) -> None:
    alert = an_alert(cast)
    triage.assign(alert=alert, by=cast.admin, to=cast.supervisor)
    assert inbox.collect() == 1 and inbox.collect() == 0
    notice = Notice.objects.get()
    assert notice.user == cast.supervisor and notice.title == "An alert was assigned to you by Admin"
    assert str(alert.pk) in notice.url and alert.quote not in notice.text and "Churn" in notice.text
    triage.assign(alert=alert, by=cast.supervisor, to=None)
    triage.assign(alert=alert, by=cast.supervisor, to=cast.supervisor)  # oneself: no news
    assert inbox.collect() == 0


def test_a_comment_is_told_to_whoever_has_the_alert_and_whoever_spoke_and_its_words_stay_where_they_are(
    cast: Any,
) -> None:
    alert = an_alert(cast)
    triage.assign(alert=alert, by=cast.admin, to=cast.supervisor)
    triage.comment(alert=alert, by=cast.compliance, text="Please listen to this one")
    triage.comment(alert=alert, by=cast.admin, text="I have")
    inbox.collect()
    assert titles(cast.supervisor) == [
        "Admin commented on an alert", "An alert was assigned to you by Admin", "Compliance commented on an alert",
    ]  # fmt: skip
    assert titles(cast.compliance) == ["Admin commented on an alert"] and titles(cast.admin) == []
    assert not any("listen" in n.text + n.title for n in Notice.objects.all())


def test_a_restricted_alert_is_told_to_those_with_the_right_and_without_its_category(cast: Any) -> None:
    cast.supervisor.restricted_alerts = True
    cast.supervisor.save()
    alert = an_alert(cast, category="self_harm", severity="critical")
    triage.assign(alert=alert, by=cast.admin, to=cast.supervisor)
    inbox.collect()
    notice = Notice.objects.get()
    assert "elf-harm" not in notice.text and notice.grave
    triage.comment(alert=alert, by=cast.admin, text="now")
    cast.supervisor.restricted_alerts = False
    cast.supervisor.save()
    assert inbox.collect() == 0


def test_a_comment_on_a_call_reaches_its_agent(cast: Any) -> None:
    call = an_alert(cast).call
    Comment.objects.create(call=call, author=cast.supervisor, at_ms=4000, text="Well done here")
    inbox.collect()
    assert titles(cast.agent) == ["Supervisor commented on a call"]
    assert Notice.objects.get().url == f"/calls/{call.pk}/?t=4000" and "Well" not in Notice.objects.get().text


def test_jobs_that_a_person_started_are_told_when_they_end_or_fail(cast: Any) -> None:
    now = timezone.now()
    done = {"created_by": cast.operator, "finished_at": now}
    DatasetJob.objects.create(task="build", name="March", state="done", **done)
    DatasetJob.objects.create(task="import", name="Corpus", state="failed", error_message="The list is empty.", **done)
    DatasetJob.objects.create(task="build", name="Running", state="working", created_by=cast.operator)
    TrainingRunFactory(state="refused", outcome="No gain.", created_by=cast.operator, finished_at=now)
    inbox.collect()
    assert [t for t in titles(cast.operator) if t.startswith(("Dataset “", "Import"))] == [
        "Dataset “March” is done", "Import “Corpus” failed",
    ]  # fmt: skip
    failed = Notice.objects.get(title__startswith="Import")
    assert failed.grave and failed.text == "The list is empty."
    assert Notice.objects.filter(user=cast.operator, text="No gain.").exists()
    assert Notice.objects.exclude(user=cast.operator).count() == 0


def test_an_upload_is_told_when_its_last_file_has_ended(cast: Any) -> None:
    batch = BatchFactory(team=cast.team_a, created_by=cast.supervisor, closed_at=timezone.now())
    batch.rows.all().delete()
    now = timezone.now()
    rows = [
        batch.rows.create(position=n, filename=f"{n}.wav", state=state, ended_at=now)
        for n, state in enumerate(("done", "done", "refused"))
    ]
    rows[0].__class__.objects.filter(pk=rows[0].pk).update(state="checking", ended_at=None)
    assert inbox.collect() == 0
    rows[0].__class__.objects.filter(pk=rows[0].pk).update(state="done", ended_at=now)
    assert inbox.collect() == 1 and inbox.collect() == 0
    assert Notice.objects.get().text == "2 taken, 1 refused."


def test_a_learning_night_is_told_to_model_operators_unless_there_was_nothing_to_do(cast: Any) -> None:
    now = timezone.now()
    NightlyRun.objects.create(night=now.date(), number=1, state="skipped", finished_at=now)
    NightlyRun.objects.create(night=now.date(), number=2, state="failed", reason="The disk is full.", finished_at=now)
    inbox.collect()
    assert list(Notice.objects.values_list("user__username", "kind", "grave")) == [("operator", "night", True)]


def test_what_happened_while_no_sweep_ran_is_told_and_a_broken_source_silences_no_other(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(since: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(inbox, "SOURCES", (broken, *inbox.SOURCES))
    inbox.collect()
    long_ago = timezone.now() - timedelta(hours=5)
    Mark.objects.filter(pk=2).update(until=long_ago)
    DatasetJob.objects.create(
        task="build", name="Old", state="done", created_by=cast.operator, finished_at=long_ago + timedelta(hours=1)
    )
    assert inbox.collect() == 1


def test_the_page_shows_marks_and_leads_on(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    assert "Nothing yet" in client.get("/inbox/").content.decode()
    for n in range(3):
        inbox.tell(user=cast.supervisor, kind="note", key=str(n), title=f"Note {n}", url="/account/")
    inbox.tell(user=cast.agent, kind="note", key="0", title="Not for you", url="/account/")
    page = client.get("/inbox/").content.decode()
    assert "Note 2" in page and "Not for you" not in page and "Inbox, 3 unread" in page
    first, second, _ = Notice.objects.filter(user=cast.supervisor).order_by("key")
    assert client.post(f"/inbox/{first.pk}/open")["Location"] == "/account/"
    answer = client.post(f"/inbox/{second.pk}/read", headers={"HX-Request": "true"}).content.decode()
    assert "Inbox, 1 unread" in answer and 'hx-swap-oob="true"' in answer and "Mark as read" not in answer
    assert "Note 2" in client.get("/inbox/?show=unread").content.decode()
    client.post("/inbox/read")
    assert inbox.unread_count(cast.supervisor) == 0 and inbox.unread_count(cast.agent) == 1
    assert "Nothing unread" in client.get("/inbox/?show=unread").content.decode()
    other = Notice.objects.get(user=cast.agent)
    assert client.post(f"/inbox/{other.pk}/read").status_code == 404
    assert Client().get("/inbox/").status_code == 302
