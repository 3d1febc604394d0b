"""The counts beside the calls list: each says exactly how many calls the list has with it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from callcenter.calls import facets as module
from callcenter.calls.facets import facets
from callcenter.calls.filters import CallQuery
from callcenter.calls.selectors import calls_page
from callcenter.insights.warehouse_doc import load_calls
from callcenter.pipeline.models import Run
from tests.factories import QUIET, AlertFactory, CallFactory, QueueFactory, RunFactory, understood_call


@pytest.fixture
def calls(cast: Any, warehouse: Any) -> list[Any]:
    """Understood calls of two teams, one of them looked at, one with a restricted alert; one failed, one on its way."""
    billing, sales = QueueFactory(name="Billing"), QueueFactory(name="Sales")
    now = timezone.now()
    rows: tuple[tuple[Any, Any, Any, Any, str], ...] = (
        (cast.team_a, cast.agent, billing, None, "inbound"),
        (cast.team_a, cast.agent, sales, QUIET, "inbound"),
        (cast.team_a, cast.other_agent, None, None, "outbound"),
        (cast.team_a, None, billing, QUIET, "unknown"),
        (cast.team_b, cast.agent_b, billing, None, "inbound"),
    )
    made = [
        understood_call(
            story, team=team, agent=agent, queue=queue, direction=direction, started_at=now - timedelta(days=n, hours=1)
        )
        for n, (team, agent, queue, story, direction) in enumerate(rows)
    ]
    made[0].turns.filter(index=1).update(review="confirmed")
    AlertFactory(call=made[0], category="self_harm")
    AlertFactory(call=made[1], category="complaint", status="dismissed")
    load_calls([call.pk for call in made])
    RunFactory(call=CallFactory(team=cast.team_a, agent=cast.agent, queue=billing), state=Run.State.FAILED)
    RunFactory(call=CallFactory(team=cast.team_b, agent=cast.agent_b, queue=None), state=Run.State.SPEECH)
    return made


ADDRESSES = (
    "",
    "mood=positive",
    "queue=0",
    "category=churn",
    "category=churn&mood=neutral",
    "alerts=open",
    "reviewed=no",
    "state=ready",
    "state=failed",
    "direction=inbound&silence_max=100",
    "q=cancel",
    "q=cancel&said_by=customer&reviewed=no",
)


@pytest.mark.parametrize("who", ["admin", "supervisor", "agent", "compliance"])
def test_each_count_is_what_the_list_has_with_that_filter(cast: Any, calls: Any, who: str) -> None:
    user = cast[who]
    for address in ADDRESSES:
        query = CallQuery.parse(QueryDict(address))
        assert not query.problems
        for facet in facets(user, query).facets:
            for option in (*facet.options, *facet.more):
                if option.chosen:
                    assert option.count == calls_page(user, query).count, (address, facet.name, option.label)
                    continue
                led_to = CallQuery.parse(QueryDict(option.url.partition("?")[2]))
                assert option.count == calls_page(user, led_to).count, (address, facet.name, option.label)


def test_a_filter_is_counted_without_itself_so_that_the_other_values_stay_in_sight(cast: Any, calls: Any) -> None:
    found = facets(cast.supervisor, CallQuery.parse(QueryDict("mood=positive&queue=0")), sort="longest")
    by_name = {facet.name: facet for facet in found.facets}
    (queue,) = [option for option in by_name["queue"].options if option.chosen]
    assert (queue.label, queue.count) == ("Without a queue", 0)
    assert queue.url == "/calls/?mood=positive&sort=longest", "what is chosen leads to the list without it"
    assert {option.label: option.count for option in by_name["queue"].options} == {
        "Without a queue": 0, "Billing": 1, "Sales": 1,
    }  # fmt: skip
    assert {option.label: option.count for option in by_name["mood"].options} == {"Positive": 0, "Neutral": 1}


def test_nobody_learns_from_a_count_of_what_they_may_not_see(cast: Any, calls: Any) -> None:
    def labels(user: Any, name: str) -> set[str]:
        every = facets(user, CallQuery()).facets
        return {o.label for facet in every if facet.name == name for o in (*facet.options, *facet.more)}

    assert "Self-harm or threat" not in labels(cast.supervisor, "category")
    assert labels(cast.supervisor, "team") == set(), "one team is no choice"
    assert labels(cast.admin, "team") == {"Team A", "Team B"}
    assert cast.agent_b.name not in labels(cast.supervisor, "agent")
    assert labels(cast.agent, "agent") == set()


def test_of_a_search_with_many_calls_the_newest_are_counted_and_that_is_said(
    cast: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEARCH_COUNT_LIMIT", 1)
    found = facets(cast.admin, CallQuery.parse(QueryDict("q=cancel")))
    assert found.limit == 1
    assert sum(option.count for facet in found.facets if facet.name == "direction" for option in facet.options) == 1


def test_the_part_comes_by_itself_and_keeps_the_order_of_the_list(cast: Any, calls: Any) -> None:
    client = signed_in(cast.supervisor)
    html = client.get("/calls/?sort=longest&direction=inbound").content.decode()
    address = re.search(r'hx-get="([^"]+)"', html[html.index('id="facet-counts"') :])
    assert address
    part = client.get(address[1].replace("&amp;", "&")).content.decode()
    assert "Billing" in part
    assert "sort=longest" in part
    assert "Team B" not in part


def test_without_the_warehouse_the_list_still_works_and_the_counts_say_so(cast: Any, settings: Any) -> None:
    settings.ANALYTICS_DATABASE_URL = "postgresql://nobody:x@127.0.0.1:1/none"
    client = signed_in(cast.supervisor)
    assert client.get("/calls/").status_code == 200
    answer = client.get("/calls/facets")
    assert (answer.status_code, "cannot be read right now" in answer.content.decode()) == (200, True)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
