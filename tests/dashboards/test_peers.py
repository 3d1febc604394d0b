"""Who is unlike the others: found among enough calls and enough people, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.warehouse.results import AgentRow, Figures
from callcenter.dashboards.panels import harmless
from callcenter.dashboards.peers import compare, robust_z
from callcenter.dashboards.tiles import spark


def row(
    number: int, *, calls: int = 100, silence: int = 200, duration: int = 1000, interruptions: int = 50
) -> AgentRow:
    figures = replace(
        Figures.none(), calls=calls, duration_ms=duration * calls, measured_calls=calls, measured_ms=1000 * calls,
        silence_ms=silence * calls, interruptions_agent=interruptions,
    )  # fmt: skip
    return AgentRow(number, f"a{number}", f"Agent {number}", figures)


def test_one_who_is_far_from_the_others_is_named_in_words() -> None:
    rows = [row(n, silence=190 + 5 * n) for n in range(1, 9)] + [row(9, silence=600)]
    found = compare(rows)
    odd = [one.words for one in found[9] if one.outlier]
    assert odd == ["more silence"]
    assert [one.words for one in found[9] if one.concern] == ["more silence"]
    assert not [one for n in range(1, 9) for one in found[n] if one.outlier]


def test_few_calls_say_nothing_of_a_person_and_nothing_against_others() -> None:
    rows = [row(n) for n in range(1, 7)] + [row(7, calls=29, silence=900)]
    assert 7 not in compare(rows)
    assert not [one for compared in compare(rows).values() for one in compared if one.outlier]


def test_too_few_peers_are_no_peers() -> None:
    assert all(one.z is None for one in compare([row(n, silence=n * 100) for n in range(1, 5)])[1])
    assert compare([]) == {}


def test_calls_without_an_agent_are_nobody() -> None:
    assert 0 not in compare([row(n) for n in range(6)])


def test_equal_people_differ_by_nothing_and_tiny_differences_do_not_shout() -> None:
    assert robust_z(10.0, [10.0] * 6) == 0
    assert abs(robust_z(10.1, [10.0] * 6) or 0) < 1
    assert robust_z(0.0, [0.0] * 6) is None


@settings(deadline=None)
@given(st.lists(st.floats(1, 100), min_size=5, max_size=30), st.floats(1, 100), st.floats(0.5, 20))
def test_the_unit_of_a_figure_does_not_matter(others: list[float], value: float, factor: float) -> None:
    plain, scaled = robust_z(value, others), robust_z(value * factor, [other * factor for other in others])
    assert (plain is None) == (scaled is None)
    if plain is not None and scaled is not None:
        assert scaled == pytest.approx(plain, rel=1e-6, abs=1e-6)


def test_a_line_needs_three_values_and_stays_within_its_box() -> None:
    assert spark([1, None, 2]) == ""
    points = [tuple(map(float, pair.split(","))) for pair in spark([3, None, 1, 2]).split()]
    assert [x for x, _ in points] == [0.0, 66.7, 100.0]
    assert all(0 <= y <= 22 for _, y in points)
    assert points[0][1] < points[1][1]


@pytest.mark.parametrize("name", ["=1+1", "+49", "-x", "@SUM(A1)", "\tx"])
def test_no_name_becomes_a_formula(name: str) -> None:
    assert harmless(name) == f"'{name}"
    assert harmless("Dana") == "Dana"
    assert harmless(-0.5) == -0.5
