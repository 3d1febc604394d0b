"""The review pages, the vocabulary and what is reckoned from reviews."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from callcenter.accounts.models import Team
from callcenter.calls.models import Call, Turn
from callcenter.core.models import AuditEvent
from callcenter.pipeline.spec import spec_for
from callcenter.review import fixing, projection, selectors, services, vocabulary
from callcenter.review.access import view_of
from callcenter.review.estimate import error_rate, wilson, worth
from callcenter.review.models import Correction, Review, Term
from callcenter.review.scoring import Vocabulary, expected_errors, letters_apart, spot_check, wrong_words
from tests.factories import understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def call(cast: Any) -> Call:
    return understood_call(artefact=True, team=cast.team_a, agent=cast.agent)


def form(call: Call, user: Any, turn: int, **values: Any) -> dict[str, Any]:
    return {"digest": view_of(call, user).done.state.find(turn, 0).digest(), **values}


# Vocabulary and expectation


@pytest.mark.parametrize(
    ("heard", "places"),
    [
        ("call Northwynd today", {1}), ("call north wind today", {1, 2}), ("call Northwind today", set()),
        ("call Southwest today", set()), ("the Premium Fibre plan", set()), ("the premium fiber plan", {1, 2}),
    ],
)  # fmt: skip
def test_what_almost_is_a_term_is_doubtful_and_the_term_itself_is_not(heard: str, places: set[int]) -> None:
    found = Vocabulary(["Northwind", "Premium Fibre", "me"]).near_misses(heard.split())
    assert set(found) == places


def test_the_expectation_adds_up_and_words_of_people_count_nothing() -> None:
    terms = Vocabulary(["Northwind"])
    sure = expected_errors([("hello", 0.9), ("there", 0.8)], terms, lambda word: False)
    assert sure == pytest.approx(0.3)
    assert expected_errors([("hello", 0.9), ("there", 0.8)], terms, lambda word: word == "there") > sure
    assert expected_errors([("Northwynd", 0.95)], terms, lambda word: False) > 0.5
    assert expected_errors([("Northwynd", None)], terms, lambda word: True) == 0.0


def test_distances_and_wrong_words() -> None:
    assert [letters_apart("kitten", w, 3) for w in ("kitten", "sitting", "mittens")] == [0, 3, 2]
    assert letters_apart("a", "abcdef", 2) == 3
    assert wrong_words("I was charge twice", "I was charged twice today") == (5, 2)
    assert wrong_words("Okay, fine.", "ok fine") == (2, 0)


def test_about_one_turn_in_ten_is_a_spot_check_and_always_the_same() -> None:
    names = [f"artefact:{n}" for n in range(4000)]
    drawn = [n for n in names if spot_check(n) is not None]
    assert 300 < len(drawn) < 500 and drawn == [n for n in names if spot_check(n) is not None]


# Estimates


def test_the_interval_holds_the_rate_and_is_wider_where_calls_differ() -> None:
    even = error_rate([(str(n), 100, 10) for n in range(20)])
    uneven = error_rate([(str(n), 100, 100 if n < 2 else 0) for n in range(20)])
    assert even and uneven and even.rate == uneven.rate == pytest.approx(0.1)
    assert even.low < 0.1 < even.high and uneven.high - uneven.low > 2 * (even.high - even.low)
    assert error_rate([]) is None and error_rate([("a", 0, 0)]) is None
    clean = error_rate([(str(n), 50, 0) for n in range(10)])
    assert clean and clean.rate == 0 and 0 < clean.high < 0.05


def test_wilson_agrees_with_the_textbook() -> None:
    low, high = wilson(0.1, 100)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)


def test_it_pays_until_little_is_promised() -> None:
    done = [(2.0, 2, 5000)] * 30
    assert worth(done, [(2.0, 5000)] * 5).pays
    assert not worth(done, [(0.1, 5000)] * 5).pays
    assert worth(done[:5], [(0.1, 5000)]).pays and not worth(done, []).pays
    assert worth([(2.0, 1, 5000)] * 30, [(2.0, 5000)]).calibration == 0.5


# The queue


def test_the_queue_ranks_by_expected_wrong_words_and_forgets_what_was_looked_at(cast: Any, call: Call) -> None:
    Turn.objects.update(spot_check=None)
    first = selectors.ranked(cast.supervisor)[0]
    assert first.index == 3  # two words that were hard to hear
    signed_in(cast.supervisor).post(
        f"/calls/{call.pk}/turns/3-0/", form(call, cast.supervisor, 3, action="confirm", **{"from": "queue"})
    )
    assert first not in selectors.ranked(cast.supervisor)
    assert list(selectors.ranked(cast.other_agent)) == [] == list(selectors.ranked(cast.supervisor_b))
    expected = list(selectors.ranked(cast.supervisor).values_list("expected_errors", flat=True))
    assert expected == sorted(expected, reverse=True) and len(expected) >= 3


def test_only_what_the_spot_checks_led_to_counts_for_the_error_rate(cast: Any, call: Call) -> None:
    Turn.objects.filter(index__in=[0, 1]).update(spot_check=5)
    client = signed_in(cast.supervisor)
    client.post(f"/calls/{call.pk}/turns/0-0/", form(call, cast.supervisor, 0, action="confirm", **{"from": "sample"}))
    client.post(f"/calls/{call.pk}/turns/1-0/", form(call, cast.supervisor, 1, action="confirm"))
    client.post(f"/calls/{call.pk}/turns/2-0/", form(call, cast.supervisor, 2, action="confirm", **{"from": "sample"}))
    sampled = dict(Review.objects.values_list("turn_index", "sampled"))
    assert sampled[0] is True and sampled[1] is False
    found = selectors.state(cast.supervisor)
    assert found.rate is not None and found.rate.wrong == 0 and found.reviewed == 3


def test_every_fifth_segment_is_a_spot_check(cast: Any, call: Call) -> None:
    Turn.objects.update(spot_check=None)
    Turn.objects.filter(index=5).update(spot_check=1)
    sources = [selectors.next_segment(cast.supervisor, done=n)[1] for n in range(1, 6)]
    assert sources == ["queue", "queue", "queue", "sample", "queue"]


def test_an_empty_house_shows_empty_pages(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    assert "Nothing doubtful is left" in client.get("/review/").content.decode()
    assert "Nothing waits for approval" in client.get("/review/approval/").content.decode()
    assert "No terms yet" in client.get("/review/vocabulary/").content.decode()
    assert "You have corrected nothing yet" in client.get("/review/mine/").content.decode()
    assert "Nowhere found" in client.get("/review/fix-all/?wrong=xyz").content.decode()
    assert client.get("/review/next").headers["Location"] == "/review/"


# Forms without scripts, conflicts, broken input


def test_a_plain_form_saves_and_a_conflict_shows_both_texts(cast: Any, call: Call) -> None:
    client = signed_in(cast.supervisor)
    sent = form(call, cast.supervisor, 1, action="text", text="Mine.")
    assert client.post(f"/calls/{call.pk}/turns/1-0/", {**sent, "text": "Theirs."}).status_code == 302
    answer = client.post(f"/calls/{call.pk}/turns/1-0/", sent)
    html = answer.content.decode()
    assert answer.status_code == 409 and "Theirs." in html and ">Mine.</textarea>" in html
    told = client.post(f"/calls/{call.pk}/turns/1-0/", sent, headers={"Accept": "application/json"})
    assert (told.status_code, told.json()["theirs"]) == (409, "Theirs.")


@pytest.mark.parametrize(
    "values",
    [{"action": "nonsense"}, {"action": "party", "party": "robot"}, {"action": "split", "number": "999"},
     {"action": "split", "number": "x"}, {"action": "times", "number": "0", "start": "nan", "end": "inf"},
     {"action": "times", "number": "0", "start": "0.1", "end": "99999"}, {"action": "merge-previous"},
     {"action": "text", "text": "w " * 3000}],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_sentence(cast: Any, call: Call, values: dict[str, str]) -> None:
    sent = form(call, cast.supervisor, 0, **values)
    answer = signed_in(cast.supervisor).post(
        f"/calls/{call.pk}/turns/0-0/", sent, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 400 and answer.json()["message"].endswith(".")
    assert not Correction.objects.exists()


def test_typed_markup_is_text(cast: Any, call: Call) -> None:
    client = signed_in(cast.supervisor)
    client.post(
        f"/calls/{call.pk}/turns/0-0/", form(call, cast.supervisor, 0, action="text", text="<script>x</script>")
    )
    for path in (f"/calls/{call.pk}/", f"/calls/{call.pk}/turns/0-0/", "/review/mine/"):
        assert "<script>x" not in client.get(path).content.decode()


# Approval and fix-all


def test_a_supervisor_sets_the_rule_of_own_teams_only(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    for team in (cast.team_a, cast.team_b):
        client.post("/review/approval/rule", {"team": team.pk, "rule": "off"})
    assert [Team.objects.get(pk=t.pk).correction_approval for t in (cast.team_a, cast.team_b)] == ["off", "all"]
    assert AuditEvent.objects.filter(action="team.correction_approval").count() == 1


def test_fix_all_changes_only_what_was_chosen_and_only_visible_calls(cast: Any, call: Call) -> None:
    second = understood_call(artefact=True, team=cast.team_a, agent=cast.other_agent)
    foreign = understood_call(artefact=True, team=cast.team_b, agent=cast.agent_b)
    found, more = fixing.find(user=cast.supervisor, wrong="northwind", right="Norwind")
    assert {f.turn.call_id for f in found} == {call.pk, second.pk} and not more
    alien = fixing.find(user=cast.supervisor_b, wrong="northwind", right="Norwind")[0]
    chosen = [f.name for f in found if f.turn.call_id == call.pk] + [f.name for f in alien]
    fixed = fixing.fix_all(user=cast.supervisor, wrong="northwind", right="Norwind", chosen=chosen)
    assert (fixed.turns, fixed.calls, fixed.left) == (1, 1, 1)
    assert call.turns.get(index=0).text.startswith("Thank you for calling Norwind, this")
    assert "Northwind" in second.turns.get(index=0).text and "Northwind" in foreign.turns.get(index=0).text
    assert services.withdraw_group(group=fixed.group, user=cast.supervisor) == 1
    assert "Northwind," in call.turns.get(index=0).text


def test_a_place_that_changed_since_it_was_shown_is_left_alone(cast: Any, call: Call) -> None:
    found, _ = fixing.find(user=cast.supervisor, wrong="northwind", right="Norwind")
    mark = form(call, cast.admin, 0)["digest"]
    services.correct_turn(
        call_id=call.pk, user=cast.admin, turn=0, word=0, digest=mark, action="text", data={"text": "Northwind!"}
    )
    fixed = fixing.fix_all(user=cast.supervisor, wrong="northwind", right="X", chosen=[f.name for f in found])
    assert (fixed.turns, fixed.left) == (0, 1)


def test_common_words_can_be_found_as_well(cast: Any, call: Call) -> None:
    assert fixing.find(user=cast.supervisor, wrong="this is")[0]


# The vocabulary's way to the decoder


def test_terms_of_the_team_and_of_all_go_to_the_decoder_newest_first(cast: Any, call: Call) -> None:
    vocabulary.add_terms(texts=["Northwind", "northwind", "x" * 90, "a b c d e"], team=None, by=cast.supervisor)
    vocabulary.add_terms(texts=["Fibre Plus"], team=cast.team_a, by=cast.supervisor)
    vocabulary.add_terms(texts=["Elsewhere"], team=cast.team_b, by=cast.admin)
    assert spec_for(call).hot_words == ("Fibre Plus", "Northwind")
    mark = form(call, cast.supervisor, 4)["digest"]
    services.correct_turn(
        call_id=call.pk, user=cast.supervisor, turn=4, word=0, digest=mark, action="text",
        data={"text": "Welcome to Northwind."},
    )  # fmt: skip
    assert spec_for(call).hot_words == ("Northwind", "Fibre Plus")
    vocabulary.add_terms(texts=[f"Product {n}" for n in range(60)], team=cast.team_a, by=cast.supervisor)
    assert len(spec_for(call).hot_words) == 40


def test_a_list_is_imported_and_a_picture_is_not(cast: Any, sent: list) -> None:
    client = signed_in(cast.supervisor)
    rows = SimpleUploadedFile("terms.csv", b'term,note\nNorthwind,firm\n"Fibre, Plus",x\n\n')
    client.post("/review/vocabulary/add", {"list": rows, "terms": ""})
    assert set(Term.objects.values_list("text", flat=True)) == {"Northwind", "Fibre, Plus"}
    picture = SimpleUploadedFile("a.png", b"\x89PNG\xff\xfe\x00")
    html = client.post("/review/vocabulary/add", {"list": picture}, follow=True).content.decode()
    assert "This is not a text file" in html
    assert AuditEvent.objects.filter(action="term.add").count() == 2


def test_a_new_term_ranks_what_almost_is_it_first(cast: Any, call: Call) -> None:
    Turn.objects.update(spot_check=None)
    before = Turn.objects.get(call=call, index=0).expected_errors
    vocabulary.add_terms(texts=["Northwint"], team=cast.team_a, by=cast.supervisor)
    assert projection.rescore(team_id=cast.team_a.pk) == 1
    assert Turn.objects.get(call=call, index=0).expected_errors > before + 0.4
