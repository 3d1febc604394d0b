"""Limits on what is measured: as people write them, in the list, the figures and the export alike."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from analytics.warehouse import queries
from callcenter.calls import ranges
from callcenter.calls.filters import CallQuery
from callcenter.calls.selectors import calls_page
from callcenter.dashboards.scope import call_filter
from callcenter.insights.models import Insight
from callcenter.insights.warehouse_doc import load_calls
from tests.factories import QUIET, understood_call


def parse(address: str) -> CallQuery:
    return CallQuery.parse(QueryDict(address))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("duration_min=90", 90), ("duration_min=1:30", 90), ("duration_max=1:02:03", 3723), ("silence_min=12.5", 12.5),
        ("silence_min=12,5", 12.5), ("talk_max=40 %", 40), ("sentiment_min=-0.3", -0.3), ("sentiment_max=−0.3", -0.3),
    ],
)  # fmt: skip
def test_a_limit_may_be_written_as_people_write_it(written: str, value: float) -> None:
    query = parse(written)
    assert not query.problems
    assert dict(query.limits) == {written.partition("=")[0]: value}
    assert parse(query.link("").removeprefix("?")).limits == query.limits


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("duration_min=soon", "neither minutes and seconds"),
        ("silence_max=150", "not from 0 to 100"),
        ("sentiment_min=2", "not from -1 to 1"),
        ("pace_min=1e5", "is not a number"),
        ("quality_min=٣", "is not a number"),
    ],
)
def test_what_cannot_be_meant_is_said_at_its_field_and_left_out(cast: Any, written: str, said: str) -> None:
    query = parse(written)
    assert (query.limits, len(query.faults)) == ((), 1)
    client = Client()
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    html = client.get(f"/calls/?{written}").content.decode()
    name, _, typed = written.partition("=")
    field = html[html.index(f'id="f-{name}"') :]
    assert f'value="{typed}"' in field[: field.index(">")]
    assert "is-invalid" in html
    assert said in field[: field.index("</fieldset>")]
    assert html.count(said) == 1, "at the field, and nowhere else"


def test_ends_the_wrong_way_round_are_exchanged_and_that_is_said() -> None:
    query = parse("silence_min=60&silence_max=20")
    assert dict(query.limits) == {"silence_min": 20, "silence_max": 60}
    assert "exchanged" in query.faults[0].text


@given(st.dictionaries(st.sampled_from(sorted(ranges.NAMES)), st.text(max_size=12), max_size=4))
def test_whatever_stands_in_the_address_it_is_read_or_said(typed: dict[str, str]) -> None:
    limits, faults = ranges.read(typed)
    given_names = {name for name, text in typed.items() if text.strip()}
    assert {name for name, _ in limits} | {fault.name for fault in faults} == given_names
    assert ranges.read({name: ranges.written(name, value) for name, value in limits})[0] == limits


@pytest.fixture
def calls(cast: Any, warehouse: Any) -> dict[str, Any]:
    loud = understood_call(team=cast.team_a, agent=cast.agent)
    quiet = understood_call(QUIET, team=cast.team_a, agent=cast.agent)
    for call, values in (
        (loud, {"silence_ratio": 0.3, "talk_ratio_agent": 0.8, "overtalk_ms": 9000, "wpm_agent": 200.0}),
        (quiet, {"silence_ratio": 0.5, "talk_ratio_agent": None, "overtalk_ms": 0, "wpm_agent": 120.5}),
    ):
        metrics = {**call.insight.document["metrics"], **values, "duration_ms": 60_000}
        Insight.objects.filter(call=call).update(document={**call.insight.document, "metrics": metrics})
        type(call.recording).objects.filter(pk=call.recording_id).update(duration_ms=60_000)
    loud.transcript.mean_probability = 0.6
    loud.transcript.save()
    load_calls([loud.pk, quiet.pk])
    return {"loud": loud, "quiet": quiet}


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("duration_min=1:00&duration_max=60", {"loud", "quiet"}),
        ("duration_min=1:01", set()),
        ("silence_min=30", {"loud", "quiet"}),
        ("silence_min=30.1", {"quiet"}),
        ("silence_max=49.9&silence_min=30", {"loud"}),
        ("talk_min=0", {"loud"}),
        ("talk_max=80", {"loud"}),
        ("overtalk_min=15", {"loud"}),
        ("overtalk_max=14.9", {"quiet"}),
        ("pace_min=120.5&pace_max=120.5", {"quiet"}),
        ("quality_max=60", {"loud"}),
        ("sentiment_min=0.5", {"quiet"}),
    ],
)
def test_list_figures_and_addresses_mean_the_same_calls(
    cast: Any, calls: dict[str, Any], warehouse: Any, address: str, names: set[str]
) -> None:
    query = parse(address)
    wanted = {calls[name].pk for name in names}
    assert {call.pk for call in calls_page(cast.supervisor, query).page.items} == wanted
    assert set(queries.call_ids(warehouse, call_filter(cast.supervisor, query))) == wanted
    assert queries.headline(warehouse, call_filter(cast.supervisor, query)).calls == len(wanted)
    assert calls_page(cast.supervisor_b, query).count == 0


def test_an_export_and_a_way_back_from_a_figure_keep_the_limits(cast: Any, calls: dict[str, Any]) -> None:
    client = Client()
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    html = client.get("/exports/?new=1&silence_min=40").content.decode()
    assert "Export 1 call<" in html
    dashboard = client.get("/?period=all&silence_min=40").content.decode()
    assert "Silence from 40" in dashboard
    assert 'name="silence_min" value="40"' in dashboard
    assert "silence_min=40&amp;" in dashboard or "silence_min=40" in dashboard.split("/calls/?", 1)[1][:300]
