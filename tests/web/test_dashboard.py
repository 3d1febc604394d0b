"""The dashboard: figures from the warehouse, each leading to exactly the calls it counts."""

from __future__ import annotations

import html as html_module
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.insights.warehouse_doc import load_into_warehouse
from tests.factories import QUIET, QueueFactory, Story, understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def calls(cast: Any, warehouse: Any) -> list[Any]:
    """Nine calls of two teams, of today and of last week."""
    angry = Story(intent="cancellation", turns=(("customer", "This is awful.", -0.9),), unsure={},
                  alerts=({"category": "churn", "severity": "high", "turn_index": 0, "words": (0, 1)},))  # fmt: skip
    made = []
    for number in range(9):
        team, agent = (cast.team_b, cast.agent_b) if number % 3 == 2 else (cast.team_a, cast.agent)
        made.append(
            understood_call(
                (angry, QUIET, Story())[number % 3],
                team=team,
                agent=cast.other_agent if number == 4 else agent,
                queue=QueueFactory(name="Billing") if number % 2 else None,
                started_at=timezone.now() - timedelta(days=number),
            )
        )
        load_into_warehouse(made[-1])
    return made


def tile(html: str, label: str) -> tuple[str, str]:
    """Return a tile's figure and address."""
    for address, body in re.findall(r'<a class="card card-sm tile" href="([^"]+)">(.*?)</a>', html, re.S):
        if label in body:
            figure = re.search(r'class="figure tnum">([^<]+)<', body)
            assert figure
            return figure[1], html_module.unescape(address)
    raise AssertionError(f"no tile {label}")


def count(client: Client, address: str) -> int:
    found = re.search(r"([\d,]+) calls?</h2>", client.get(address).content.decode())
    assert found
    return int(found[1].replace(",", ""))


def test_the_figures_are_those_of_the_teams_that_one_sees(calls: Any, cast: Any) -> None:
    seen = {
        role: tile(signed_in(cast[role]).get("/").content.decode(), "Calls")[0]
        for role in ("agent", "other_agent", "supervisor", "supervisor_b", "compliance", "admin")
    }
    assert seen == {
        "agent": "5", "other_agent": "1", "supervisor": "6", "supervisor_b": "3", "compliance": "9", "admin": "9",
    }  # fmt: skip


@pytest.mark.parametrize("address", ["/", "/?period=7", "/?queue=0", "/?period=all", "/?direction=inbound"])
def test_every_figure_leads_to_exactly_its_calls(address: str, calls: Any, cast: Any) -> None:
    client = signed_in(cast.admin)
    html = client.get(address).content.decode()
    figure, link = tile(html, "Calls")
    assert count(client, link) == int(figure)
    for link, text in re.findall(r'<a class="mood-\w+" href="([^"]+)">(\d+)', html):
        assert count(client, html_module.unescape(link)) == int(text), link
    for link, figure in re.findall(r'<a class="bar-row" href="([^"]+)">.*?tnum">(\d+)', html):
        assert count(client, html_module.unescape(link)) == int(figure), link
    rows = re.findall(r'<th scope="row" class="fw-normal"><a href="([^"]+)">[^<]+</a></th>\s*<td[^>]*>(\d+)<', html)
    assert rows
    for link, figure in rows:
        assert count(client, html_module.unescape(link)) == int(figure), link


def test_filters_stand_in_the_address_and_follow_into_the_calls(calls: Any, cast: Any) -> None:
    html = signed_in(cast.admin).get(f"/?team={cast.team_b.pk}&period=90").content.decode()
    figure, link = tile(html, "Open alerts")
    assert f"team={cast.team_b.pk}" in link
    assert "alerts=open" in link
    assert tile(html, "Calls")[0] == "3"


def test_no_calls_in_the_selection_and_no_calls_at_all_read_differently(calls: Any, cast: Any) -> None:
    html = signed_in(cast.admin).get("/?start=2001-01-01&end=2001-02-01").content.decode()
    assert "No understood calls in this selection" in html


def test_a_house_without_calls_says_what_to_do(warehouse: Any, cast: Any) -> None:
    html = signed_in(cast.supervisor).get("/").content.decode()
    assert "No calls yet" in html
    assert 'href="/batches/new"' in html
    assert "Upload" not in signed_in(cast.agent).get("/").content.decode()


def test_a_warehouse_that_cannot_be_reached_is_said_on_the_page(cast: Any, settings: Any) -> None:
    settings.ANALYTICS_DATABASE_URL = "postgresql://nobody:x@127.0.0.1:1/none"
    response = signed_in(cast.supervisor).get("/")
    assert response.status_code == 503
    assert "warehouse cannot be reached" in response.content.decode()


def test_an_operator_is_led_to_the_machinery(cast: Any) -> None:
    assert signed_in(cast.operator).get("/")["Location"] == "/operations/"
