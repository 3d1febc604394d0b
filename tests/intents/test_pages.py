"""The taxonomy's pages: what may be written, what is shown before it is saved, and who is shown which calls."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from callcenter.core.models import AuditEvent
from callcenter.insights.intents import jobs, taxonomy
from callcenter.insights.intents.models import CallLabel, IntentJob, TaxonomyVersion
from callcenter.insights.models import Insight, Intent
from tests.intents.conftest import ADDRESS, LINE, REFUND, heard, spoken
from tests.intents.test_taxonomy import finish, put

LINES = "\n".join(LINE)


@pytest.fixture
def desk(small: Any, cast: Any, sent: Any, warehouse: Any) -> Client:
    """A supervisor of team A at the site, with a taxonomy of two intents."""
    client = Client()
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    return client


def write(desk: Client, url: str, **changed: str) -> Any:
    values = {"label": "Line", "description": "", "examples": LINES, "parent": "", "enabled": "on"}
    return desk.post(url, {**values, **changed})


def test_a_new_intent_is_looked_at_saved_and_stored_calls_follow(desk: Client, cast: Any) -> None:
    call = heard("my broadband line is broken and the internet keeps dropping", team=cast.team_a)
    answer = write(desk, reverse("intents:new"), label="Line trouble", parent="address")
    job = IntentJob.objects.get()
    assert answer["Location"] == reverse("intents:change", args=[job.pk])
    assert not Intent.objects.filter(name="line_trouble").exists()
    assert "Waiting for a worker" in desk.get(answer["Location"]).content.decode()
    finish(job)
    page = desk.get(answer["Location"]).content.decode()
    assert "<strong>1 of 1</strong>" in page and call.get_absolute_url() in page and "every 2s" not in page
    done = desk.post(reverse("intents:save", args=[job.pk]), {"note": "New line", "relabel": "1"})
    again = IntentJob.objects.get(task="relabel")
    assert done["Location"] == reverse("intents:job", args=[again.pk])
    version = TaxonomyVersion.objects.first()
    assert version and (version.number, version.note, version.author) == (2, "New line", cast.supervisor)
    assert Intent.objects.get(name="line_trouble").placement.parent.name == "address"
    finish(again)
    assert Insight.objects.get(call=call).intent == "line_trouble"
    page = desk.get(done["Location"]).content.decode()
    assert "Done: 1 calls read again" in page and call.get_absolute_url() in page
    listed = desk.get(reverse("intents:list")).content.decode()
    assert "Line trouble" in listed and "depth-1" in listed and "Right intent for an example" in listed


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"label": "Refund"}, "Another intent has this name already."),
        ({"label": "Unknown"}, "This name cannot be used"),
        ({"label": "???"}, "This name cannot be used"),
        ({"examples": REFUND[0].upper()}, "is an example of Refund already"),
        ({"examples": "x" * 301}, "over 300 letters"),
        ({"examples": "\n".join(f"phrase {n}" for n in range(501))}, "at most 500"),
        ({"parent": "nowhere"}, "Select a valid choice"),
        ({"label": ""}, "This field is required"),
    ],
)
def test_what_cannot_be_learned_is_said_at_its_field(desk: Client, changed: dict[str, str], problem: str) -> None:
    answer = write(desk, reverse("intents:new"), **changed)
    assert answer.status_code == 400 and problem in answer.content.decode()
    assert not IntentJob.objects.exists()


def test_an_intent_cannot_stand_under_one_that_stands_under_it(desk: Client) -> None:
    edited = {**taxonomy.content()[0], "parent": "refund"}
    taxonomy.current()
    taxonomy.save(proposed=taxonomy.proposal({"put": edited}, taxonomy.content()), base=1, by=None)
    url = reverse("intents:edit", args=["refund"])
    answer = write(desk, url, label="Refund", examples="\n".join(REFUND), parent="address")
    assert answer.status_code == 400 and "Select a valid choice" in answer.content.decode()


def test_saving_without_a_change_says_so(desk: Client) -> None:
    url = reverse("intents:edit", args=["address"])
    page = desk.get(url).content.decode()
    assert all(text in page for text in ADDRESS)
    answer = desk.post(
        url, {"label": "Address", "examples": "\n".join(ADDRESS), "parent": "", "enabled": "on"}, follow=True
    )
    assert "Nothing is changed." in answer.content.decode() and not IntentJob.objects.exists()


def test_a_change_on_an_old_version_offers_to_look_again(desk: Client, cast: Any) -> None:
    mine = finish(jobs.preview(edit=put(), by=cast.supervisor))
    other = {**put()["put"], "name": "else", "label": "Else", "examples": ["something else entirely"]}
    taxonomy.save(proposed=taxonomy.proposal({"put": other}, taxonomy.content()), base=1, by=cast.admin)
    page = desk.get(reverse("intents:change", args=[mine.pk])).content.decode()
    assert "Somebody has changed the taxonomy since" in page and "Look again" in page
    answer = desk.post(reverse("intents:save", args=[mine.pk]), follow=True)
    assert "in the meantime" in answer.content.decode() and not Intent.objects.filter(name="line").exists()
    desk.post(reverse("intents:again", args=[mine.pk]))
    fresh = IntentJob.objects.exclude(pk=mine.pk).get()
    assert fresh.version == 2 and {i["name"] for i in fresh.parameters["proposed"]} >= {"else", "line"}


def test_switching_off_and_restoring_go_through_the_same_look(desk: Client, cast: Any) -> None:
    heard("please refund my money to the card", team=cast.team_a)
    desk.post(reverse("intents:switch", args=["refund"]))
    job = finish(IntentJob.objects.get())
    assert job.changed == 1
    desk.post(reverse("intents:save", args=[job.pk]), {"note": "Not ours"})
    assert not Intent.objects.get(name="refund").enabled
    history = desk.get(reverse("intents:history")).content.decode()
    assert "Version 2" in history and "Refund switched off" in history and "Not ours" in history
    old = desk.get(reverse("intents:version", args=[1])).content.decode()
    assert "What restoring it would change" in old and "Switched on" in old
    desk.post(reverse("intents:restore", args=[1]))
    back = IntentJob.objects.exclude(pk=job.pk).get()
    desk.post(reverse("intents:save", args=[back.pk]))
    assert Intent.objects.get(name="refund").enabled
    version = TaxonomyVersion.objects.first()
    assert version and version.restored_from and version.restored_from.number == 1
    back.refresh_from_db()
    assert back.state == IntentJob.State.CANCELLED  # it was saved before the worker had looked at any call


def test_a_supervisor_is_shown_only_calls_of_the_own_teams(desk: Client, cast: Any) -> None:
    words = "my broadband line is broken and the internet keeps dropping"
    own, other = heard(words, team=cast.team_a), heard(words, team=cast.team_b)
    job = finish(jobs.preview(edit=put(), by=cast.supervisor))
    page = desk.get(reverse("intents:change", args=[job.pk])).content.decode()
    assert own.get_absolute_url() in page and other.get_absolute_url() not in page
    taxonomy.save(proposed=job.parameters["proposed"], base=1, by=cast.supervisor)
    again = finish(jobs.relabel(by=cast.supervisor))
    page = desk.get(reverse("intents:job", args=[again.pk])).content.decode()
    assert own.get_absolute_url() in page and other.get_absolute_url() not in page
    assert "1 of the moved calls belong to teams that you do not see" in page


def test_a_supervisor_says_on_the_calls_page_what_it_was_about(desk: Client, cast: Any) -> None:
    call = heard("please refund my money to the card", team=cast.team_a)
    page = desk.get(call.get_absolute_url()).content.decode()
    start, end = spoken(call)
    assert "It was about something else" in page and f'value="{start}-{end}"' in page
    url = reverse("intents:label", args=[call.pk])
    answer = desk.post(url, {"intent": "address", "span": f"{start}-{end}"}, follow=True).content.decode()
    assert "Said by Supervisor" in answer and "The model read Refund" in answer
    label = CallLabel.objects.get()
    assert (label.name, label.before, label.author) == ("address", "refund", cast.supervisor)
    assert AuditEvent.objects.filter(action="call.intent_label", user=cast.supervisor).count() == 1
    answer = desk.post(url, {"intent": "no_such_intent"}, follow=True).content.decode()
    assert "Choose one of the intents" in answer
    answer = desk.post(reverse("intents:unlabel", args=[call.pk]), follow=True).content.decode()
    assert "Said by" not in answer and Insight.objects.get(call=call).intent == "refund"


def test_an_agent_sees_who_said_it_and_cannot_say_it(desk: Client, cast: Any) -> None:
    call = heard("please refund my money to the card", team=cast.team_a, agent=cast.agent)
    desk.post(reverse("intents:label", args=[call.pk]), {"intent": "address"})
    client = Client()
    client.force_login(cast.agent, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(call.get_absolute_url()).content.decode()
    assert "Said by Supervisor" in page and reverse("intents:label", args=[call.pk]) not in page


def test_an_empty_taxonomy_says_what_to_do(desk: Client) -> None:
    Intent.objects.all().delete()
    page = desk.get(reverse("intents:list")).content.decode()
    assert "No intents yet" in page and reverse("intents:new") in page
