"""Two versions of a transcript, word by word; and comments beside the moments of a call."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from callcenter.calls.comparing import Said, compare
from callcenter.core.models import AuditEvent
from tests.factories import understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def said(*turns: tuple[str, str]) -> list[Said]:
    return [Said(word, 100 * n, party) for n, (party, text) in enumerate(turns) for word in text.split()]


def test_words_that_differ_stand_apart_and_those_that_are_the_same_do_not() -> None:
    found = compare(said(("agent", "I see Silver brook here")), said(("agent", "I see Sylverbrooke here")))
    (row,) = found.rows
    assert [(p.same, p.text) for p in row.left] == [(True, "I see"), (False, "Silver brook"), (True, "here")]
    assert [(p.same, p.text) for p in row.right] == [(True, "I see"), (False, "Sylverbrooke"), (True, "here")]
    assert (found.words, found.changed) == (5, 2)


def test_capitals_and_punctuation_are_no_difference() -> None:
    found = compare(said(("agent", "Hello, Amy.")), said(("agent", "hello amy")))
    assert found.changed == 0 and not found.rows[0].differs


def test_a_row_ends_where_the_party_changes() -> None:
    left = said(("agent", "good morning"), ("customer", "hello there"), ("agent", "yes"))
    found = compare(left, left)
    assert [row.party for row in found.rows] == ["agent", "customer", "agent"]


def test_what_only_one_side_has_is_shown_on_that_side() -> None:
    found = compare(said(("agent", "yes")), said(("agent", "yes please")))
    assert [(p.same, p.text) for p in found.rows[0].right] == [(True, "yes"), (False, "please")]
    assert compare([], said(("agent", "hello"))).rows[0].left == []
    assert compare([], []).rows == []


word = st.tuples(st.sampled_from(["agent", "customer"]), st.sampled_from(["yes", "no", "well", "4", "—"]))


@given(st.lists(word, max_size=30), st.lists(word, max_size=30))
def test_no_word_of_either_side_is_lost_or_moved(left: list[tuple[str, str]], right: list[tuple[str, str]]) -> None:
    rows = compare(said(*left), said(*right)).rows
    assert " ".join(p.text for row in rows for p in row.left).split() == [text for _, text in left]
    assert " ".join(p.text for row in rows for p in row.right).split() == [text for _, text in right]


def test_the_page_compares_what_was_heard_with_how_it_reads_now(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    page = signed_in(cast.agent).get(f"/calls/{call.pk}/compare")
    assert page.status_code == 200
    wrong = signed_in(cast.agent).get(f"/calls/{call.pk}/compare?left=elsewhere&right=%00")
    assert wrong.status_code == 200


@pytest.fixture
def call(cast: Any) -> Any:
    return understood_call(team=cast.team_a, agent=cast.agent)


def test_a_comment_stands_at_its_moment_for_all_who_may_see_the_call(cast: Any, call: Any) -> None:
    answer = signed_in(cast.supervisor).post(f"/calls/{call.pk}/comments", {"text": "Well solved", "at": "0:02"})
    comment = call.comments.get()
    assert answer.status_code == 302
    assert (comment.at_ms, comment.author) == (2000, cast.supervisor)
    assert "Well solved" in signed_in(cast.agent).get(f"/calls/{call.pk}/").content.decode()
    assert AuditEvent.objects.filter(action="call.comment").exists()


@pytest.mark.parametrize(
    ("text", "at"), [("", "0:01"), ("   ", "0:01"), ("x", "soon"), ("x", "99:59"), ("x", ""), ("x" * 1001, "0:01")]
)
def test_a_comment_without_words_or_beyond_the_call_is_refused_and_what_was_typed_stays(
    cast: Any, call: Any, text: str, at: str
) -> None:
    answer = signed_in(cast.agent).post(f"/calls/{call.pk}/comments", {"text": text, "at": at})
    assert (answer.status_code, call.comments.count()) == (400, 0)
    if text.strip():
        assert text in answer.content.decode()


def test_a_card_number_does_not_stay_in_a_comment(cast: Any, call: Any) -> None:
    text = "Card was 4242 4242 4242 4242"
    signed_in(cast.agent).post(f"/calls/{call.pk}/comments", {"text": text, "at": "0:01"})
    text = call.comments.get().text
    assert text.startswith("Card was [") and "4242" not in text


def test_only_its_author_removes_a_comment(cast: Any, call: Any) -> None:
    signed_in(cast.agent).post(f"/calls/{call.pk}/comments", {"text": "Mine", "at": "0:01"})
    place = f"/calls/{call.pk}/comments/{call.comments.get().pk}/remove"
    assert signed_in(cast.supervisor).post(place).status_code == 404
    assert signed_in(cast.agent).post(place).status_code == 302
    assert call.comments.count() == 0
