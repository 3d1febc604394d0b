"""Searches kept under a name: of the calls list, private or shared with a team."""

from __future__ import annotations

from typing import Any

from django.test import Client

from callcenter.dashboards.models import SavedView


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def save(client: Client, **values: Any) -> Any:
    return client.post("/views/", {"kind": "calls", "name": "Angry and silent", **values})


def test_a_search_is_kept_with_its_words_filters_and_order(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    query = "q=%22cancel+my%22+near&said_by=customer&silence_min=40&sort=negative&after=abc&evil=1"
    opened = client.get(save(client, query=query)["Location"])
    assert opened["Location"].startswith("/calls/?")
    kept = opened["Location"].partition("?")[2]
    assert set(kept.split("&")) == {
        "q=%22cancel+my%22+near", "said_by=customer", "silence_min=40", "sort=negative",
    }  # fmt: skip
    assert "Angry and silent" in client.get("/calls/").content.decode()
    assert "Angry and silent" not in client.get("/").content.decode(), "the dashboard has views of its own"


def test_a_search_and_a_view_may_have_the_same_name(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    save(client, query="mood=negative")
    client.post("/views/", {"name": "Angry and silent", "query": "mood=positive"})
    save(client, query="mood=neutral")
    assert set(SavedView.objects.values_list("kind", "query")) == {
        ("calls", "mood=neutral"),
        ("dashboard", "mood=positive"),
    }


def test_a_shared_search_is_seen_by_the_team_and_by_nobody_else(cast: Any) -> None:
    save(signed_in(cast.supervisor), query="mood=negative", team=cast.team_a.pk)
    view = SavedView.objects.get()
    for user, sees in ((cast.agent, True), (cast.admin, True), (cast.supervisor_b, False), (cast.agent_b, False)):
        client = signed_in(user)
        assert ("Angry and silent" in client.get("/calls/").content.decode()) is sees, user
        assert client.get(f"/views/{view.pk}/").status_code == (302 if sees else 404)
        assert client.post(f"/views/{view.pk}/delete").status_code == 404, "only its owner deletes it"
    answer = signed_in(cast.supervisor).post(f"/views/{view.pk}/delete")
    assert (answer["Location"], SavedView.objects.count()) == ("/calls/", 0)


def test_nobody_shares_with_a_team_of_others_and_what_is_too_long_is_not_cut(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    save(client, query="mood=negative", team=cast.team_b.pk)
    save(client, query="q=" + "%C3%A9" * 300)
    assert not SavedView.objects.exists()
    html = client.get("/calls/").content.decode()
    assert "own teams" in html
    assert "too long to be saved" in html
