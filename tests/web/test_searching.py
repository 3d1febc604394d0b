"""What people may type into the search field, and what is found."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call, Turn
from callcenter.calls.searching import search_query
from callcenter.calls.selectors import calls_page
from tests.factories import understood_call


@pytest.fixture
def call(cast: Any) -> Call:
    made = understood_call(team=cast.team_a, agent=cast.agent)
    turn = made.turns.get(index=3)
    turn.party = "customer"
    turn.text = "The kettle that I bought from you last week broke and I want a refund today"
    turn.searchable = turn.text
    turn.save()
    return made


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("kettle refund", True),
        ("refunds", True),
        ('"bought from you"', True),
        ('"refund want"', False),
        ("broke near/5 refund", True),
        ("refund near/5 broke", True),
        ("refund NEAR/2 broke", False),
        ("kettle near/3 bought", True),
        ("kettle near/999 today", True),
        ("broke near/5 refund kettle", True),
        ("broke near/5 refund toaster", False),
        ("broke near/5 refund -kettle", False),
        ("toaster or kettle", True),
        ("kettle near/", False),
    ],
)
def test_what_is_typed_finds_what_it_says(cast: Any, call: Call, typed: str, found: bool) -> None:
    page = calls_page(cast.supervisor, CallQuery.parse(QueryDict(mutable=True) | {"q": typed}))
    assert bool(page.page.items) is found


def test_words_of_the_other_party_are_no_hit(cast: Any, call: Call) -> None:
    def asked(party: str) -> Any:
        query = QueryDict(mutable=True)
        query.update({"q": "kettle", "said_by": party})
        return calls_page(cast.supervisor, CallQuery.parse(query))

    assert asked("customer").snippets[call.pk][0].party == "customer"
    assert not asked("agent").page.items
    assert asked("nobody").page.items, "what is not known is left out, and said"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="abyz'\"\\&|!<>()*:- /0123456789nearéß好", max_size=40))
def test_whatever_is_typed_the_database_takes_it(db: None, typed: str) -> None:
    list(Turn.objects.filter(search=search_query(typed))[:1])
