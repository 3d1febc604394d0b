"""Saved views, notes, clocks, files: what people do around figures, and what each of them may see of it."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.dashboards import services
from callcenter.dashboards.models import CoachingNote, SavedView
from callcenter.dashboards.panels import PANELS
from callcenter.insights.warehouse_doc import load_into_warehouse
from tests.factories import QUIET, QueueFactory, Story, understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def call(cast: Any, warehouse: Any) -> Any:
    made = understood_call(team=cast.team_a, agent=cast.agent, queue=QueueFactory(name="Billing"))
    load_into_warehouse(made)
    return made


def rows(client: Client, address: str) -> list[list[str]]:
    response = client.get(address)
    assert response["Content-Type"].startswith("text/csv")
    assert "attachment" in response["Content-Disposition"]
    return list(csv.reader(StringIO(response.content.decode())))


@pytest.mark.parametrize("panel", sorted(PANELS))
def test_every_panel_is_a_file_with_the_figures_of_the_page(panel: str, call: Any, cast: Any) -> None:
    found = rows(signed_in(cast.supervisor), f"/dashboard/{panel}.csv?period=7")
    assert len({len(row) for row in found}) == 1
    assert len(found) > 1
    other = rows(signed_in(cast.supervisor_b), f"/dashboard/{panel}.csv?period=7")
    assert not any(cast.agent.username in row or "Billing" in row for row in other[1:])


def test_figures_stand_beside_those_of_the_period_before(cast: Any, warehouse: Any) -> None:
    for days in (1, 2, 8, 9, 10):
        load_into_warehouse(understood_call(team=cast.team_a, started_at=timezone.now() - timedelta(days=days)))
    found = {row[0]: row[1:] for row in rows(signed_in(cast.supervisor), "/dashboard/figures.csv?period=7")}
    assert found["calls"] == ["2", "3"]
    html = signed_in(cast.supervisor).get("/?period=7").content.decode()
    assert re.search(r'change [^"]*">−1 <span class="text-secondary">from 3</span>', html)
    assert "Changes are against the 7 days before." in html


def test_a_file_that_there_is_not_is_not_found(cast: Any) -> None:
    assert signed_in(cast.supervisor).get("/dashboard/passwords.csv").status_code == 404


def test_a_view_keeps_the_filters_and_nothing_else(call: Any, cast: Any) -> None:
    client = signed_in(cast.supervisor)
    answer = client.post("/views/", {"name": "  Angry   bills ", "query": "period=90&mood=negative&evil=1&sort=x"})
    view = SavedView.objects.get()
    assert (view.name, view.query, view.team) == ("Angry bills", "mood=negative&period=90", None)
    assert client.get(answer["Location"])["Location"] == "/?mood=negative&period=90"
    assert "Angry bills" in client.get("/").content.decode()
    client.post("/views/", {"name": "angry bills", "query": "period=7"})
    assert [(one.name, one.query) for one in SavedView.objects.all()] == [("angry bills", "period=7")]
    assert AuditEvent.objects.filter(action="view.save").count() == 2


def test_a_view_is_for_its_owner_until_it_is_shared_with_a_team(call: Any, cast: Any) -> None:
    view = services.save_view(owner=cast.supervisor, name="Ours", query="mood=negative")
    assert signed_in(cast.agent).get(f"/views/{view.pk}/").status_code == 404
    services.save_view(owner=cast.supervisor, name="Ours", query="mood=negative", team=cast.team_a)
    seen = {name: signed_in(cast[name]).get(f"/views/{view.pk}/").status_code for name in ("agent", "agent_b", "admin")}
    assert seen == {"agent": 302, "agent_b": 404, "admin": 302}
    # What is shared is an address: each sees in it what that person may see.
    assert "Only its owner" in _refused(services.delete_view, view=view, by=cast.agent)
    assert signed_in(cast.agent).post(f"/views/{view.pk}/delete").status_code == 404
    with pytest.raises(CallcenterError):
        services.save_view(owner=cast.supervisor, name="Theirs", query="", team=cast.team_b)
    assert signed_in(cast.supervisor).post(f"/views/{view.pk}/delete").status_code == 302
    assert not SavedView.objects.exists()


def _refused(work: Any, **values: Any) -> str:
    with pytest.raises(CallcenterError) as refused:
        work(**values)
    return refused.value.message


def test_a_view_without_a_name_is_refused_with_a_reason_and_keeps_the_filters(call: Any, cast: Any) -> None:
    answer = signed_in(cast.supervisor).post("/views/", {"name": " ", "query": "mood=negative"}, follow=True)
    assert "Give the view a name." in answer.content.decode()
    assert answer.redirect_chain[0][0] == "/?mood=negative"


def test_a_note_reaches_its_agent_and_says_when_it_was_seen(call: Any, cast: Any) -> None:
    client, text = signed_in(cast.supervisor), "Lovely greeting <b>here</b>."
    client.post(f"/agents/{cast.agent.pk}/notes", {"text": text, "call": str(call.pk), "t": "1500"})
    note = CoachingNote.objects.get()
    assert (note.agent, note.author, note.call, note.at_ms, note.seen_at) == (
        cast.agent,
        cast.supervisor,
        call,
        1500,
        None,
    )
    home = signed_in(cast.agent).get("/").content.decode()
    assert "Lovely greeting &lt;b&gt;here&lt;/b&gt;." in home
    assert "1 new" in home
    assert f"/calls/{call.pk}/?t=1500" in home
    assert "Lovely" not in signed_in(cast.other_agent).get("/notes/").content.decode()
    assert "Lovely" not in signed_in(cast.supervisor_b).get("/notes/").content.decode()
    assert "Lovely" in signed_in(cast.agent).get("/notes/").content.decode()
    note.refresh_from_db()
    assert note.seen_at is not None
    assert list(AuditEvent.objects.filter(action__startswith="note.").order_by("at").values_list("action", "user")) == [
        ("note.write", cast.supervisor.pk), ("note.seen", cast.agent.pk),
    ]  # fmt: skip


def test_a_note_is_about_calls_that_both_may_see(call: Any, cast: Any) -> None:
    foreign = understood_call(team=cast.team_b, agent=cast.agent_b)
    client, address = signed_in(cast.supervisor), f"/agents/{cast.agent.pk}/notes"
    assert client.post(address, {"text": "x", "call": str(foreign.pk)}).status_code == 404
    others = understood_call(team=cast.team_a, agent=cast.other_agent)
    assert (
        "not one of this agent"
        in client.post(address, {"text": "x", "call": str(others.pk)}, follow=True).content.decode()
    )
    assert "Write what the agent should read." in client.post(address, {"text": " "}, follow=True).content.decode()
    assert not CoachingNote.objects.exists()
    assert signed_in(cast.agent).post(address, {"text": "x"}).status_code == 403


def test_only_its_author_takes_a_note_back(call: Any, cast: Any) -> None:
    from callcenter.accounts.models import Role
    from tests.factories import UserFactory

    colleague = UserFactory(username="colleague", role=Role.SUPERVISOR, teams=[cast.team_a])
    note = services.write_note(agent=cast.agent, by=cast.supervisor, text="Well done.")
    signed_in(colleague).post(f"/notes/{note.pk}/delete")
    assert CoachingNote.objects.exists()
    signed_in(cast.supervisor).post(f"/notes/{note.pk}/delete")
    assert not CoachingNote.objects.exists()


def test_erasing_a_call_takes_the_notes_on_it_along(call: Any, cast: Any) -> None:
    services.write_note(agent=cast.agent, by=cast.supervisor, text="At the end.", call=call, at_ms=10)
    call.delete()
    assert not CoachingNote.objects.exists()


def test_an_agent_sees_own_calls_first_and_no_colleague(call: Any, cast: Any) -> None:
    load_into_warehouse(understood_call(QUIET, team=cast.team_a, agent=cast.other_agent))
    html = signed_in(cast.agent).get("/").content.decode()
    assert html.index("Your latest calls") < html.index('data-tile="calls"')
    assert f"/calls/{call.pk}/" in html
    assert cast.other_agent.name not in html
    page = signed_in(cast.agent).get(f"/agents/{cast.agent.pk}/").content.decode()
    assert "Beside the others" not in page
    assert cast.other_agent.name not in page


def test_an_agents_page_has_trend_samples_and_the_way_to_the_calls(call: Any, cast: Any) -> None:
    html = signed_in(cast.supervisor).get(f"/agents/{cast.agent.pk}/?period=7").content.decode()
    assert "too few to set beside the others" in html
    assert "Most negative" in html
    assert f"/calls/{call.pk}/" in html
    assert f"agent={cast.agent.pk}" in html
    empty = signed_in(cast.supervisor).get(f"/agents/{cast.other_agent.pk}/").content.decode()
    assert "No understood calls in this selection" in empty
    assert "A note that" in empty


def test_a_queues_page_is_there_for_who_sees_a_call_of_it(call: Any, cast: Any) -> None:
    address = f"/queues/{call.queue.pk}/"
    assert "Agents in this queue" in signed_in(cast.supervisor).get(address).content.decode()
    assert signed_in(cast.supervisor_b).get(address).status_code == 404


def test_days_and_hours_are_those_of_the_readers_clock(cast: Any, warehouse: Any) -> None:
    # 23:30 UTC of the 1st is the 2nd in Tokyo, at half past eight.
    late = understood_call(team=cast.team_a, agent=cast.agent, started_at=datetime(2026, 6, 1, 23, 30, tzinfo=UTC))
    load_into_warehouse(late)
    client = signed_in(cast.supervisor)
    day = "/dashboard/heat.csv?start=2026-06-02&end=2026-06-02"
    assert len(rows(client, day)) == 1
    client.post("/account/time-zone", {"time_zone": "Asia/Tokyo"})
    assert [row[:3] for row in rows(client, day)[1:]] == [["2", "8", "1"]]
    assert "08:30" in client.get("/calls/?start=2026-06-02&end=2026-06-02&weekday=2&hour=8").content.decode()
    assert "Asia/Tokyo" in client.get("/?start=2026-06-02&end=2026-06-02").content.decode()


def test_an_unknown_clock_is_refused_and_one_that_vanished_does_no_harm(call: Any, cast: Any) -> None:
    answer = signed_in(cast.supervisor).post("/account/time-zone", {"time_zone": "Mars/Olympus"}, follow=True)
    assert "That time zone is not known." in answer.content.decode()
    cast.supervisor.time_zone = "Gone/Away"
    cast.supervisor.save()
    assert signed_in(cast.supervisor).get("/").status_code == 200


def test_what_has_no_field_stands_as_a_chip_that_can_be_taken_off(call: Any, cast: Any) -> None:
    html = signed_in(cast.supervisor).get("/?period=7&mood=negative&weekday=1").content.decode()
    assert '<input type="hidden" name="mood" value="negative">' in html
    assert re.search(r'class="chip small" href="\?period=7&amp;weekday=1">Negative calls', html)


def test_the_calls_behind_a_figure_lead_back_to_it_and_nowhere_else(call: Any, cast: Any) -> None:
    client = signed_in(cast.supervisor)
    html = client.get("/?period=7").content.decode()
    link = re.search(r'tile" href="(/calls/[^"]+)">\s*<div class="card-body" data-tile="calls"', html)
    assert link
    listed = client.get(link[1].replace("&amp;", "&")).content.decode()
    assert 'href="/?period=7"><i class="ti ti-arrow-left' in listed
    for evil in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        assert "Back to the figures" not in client.get("/calls/", {"back": evil}).content.decode()


def test_reviewed_calls_are_counted_and_found(cast: Any, warehouse: Any) -> None:
    looked_at = understood_call(team=cast.team_a, agent=cast.agent)
    looked_at.transcript.turns.filter(index=0).update(review="confirmed")
    for one in (looked_at, understood_call(team=cast.team_a, agent=cast.agent)):
        load_into_warehouse(one)
    client = signed_in(cast.supervisor)
    assert "50.0" in re.search(r'data-tile="review".*?figure tnum">([^<]+)', client.get("/").content.decode(), re.S)[1]
    listed = client.get("/calls/?reviewed=yes").content.decode()
    assert "1 call</h2>" in listed
    assert str(looked_at.pk) in listed


def test_restricted_alerts_are_in_no_figure_of_who_may_not_see_them(cast: Any, warehouse: Any) -> None:
    story = Story(alerts=({"category": "self_harm", "severity": "critical", "turn_index": 3, "words": (0, 2)},))
    load_into_warehouse(understood_call(story, team=cast.team_a, agent=cast.agent))
    html = signed_in(cast.supervisor).get("/").content.decode()
    assert re.search(r'data-tile="open".*?figure tnum">0<', html, re.S)
    assert "Self-harm" not in html
    cast.supervisor.restricted_alerts = True
    cast.supervisor.save()
    html = signed_in(cast.supervisor).get("/").content.decode()
    assert re.search(r'data-tile="open".*?figure tnum">1<', html, re.S)
    assert "Self-harm" in html
