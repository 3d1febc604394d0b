from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_worker.normalise import NORMALISER_VERSION, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It's $42.50, okay?", "it is forty-two dollars fifty ok"),
        ("2018", "twenty eighteen"),
        ("one hundred and five", "105"),
        ("253,400", "two hundred fifty three thousand four hundred"),
        ("4 2 7", "four two seven"),
        ("oh five five", "055"),
        ("I can't; won't!", "i can not will not"),
        ("S-I-T", "s i t"),
        ("U.K.", "u k"),
        ("8 a.m.", "eight AM"),
        ("25%", "twenty five percent"),
        ("you’re", "you are"),
        ("um, yes [noise] (laughs)", "yes"),
        ("colour", "color"),
        ("That's John's", "that is johns"),
    ],
)
def test_what_sounds_the_same_is_the_same(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("two", "too"), ("fifteen", "fifty"), ("can", "can't"), ("1st", "1")])
def test_what_means_something_else_stays_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text(max_size=60))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(
    st.lists(st.sampled_from("one twenty hundred thousand and oh 5 42 1st can't it's a.m. $3 S-I 8:30 mr o'".split()))
)
def test_numbers_in_any_company_are_stable(words: list[str]) -> None:
    once = normalise(" ".join(words))
    assert normalise(once) == once
    assert "  " not in once


def test_the_version_is_named() -> None:
    assert NORMALISER_VERSION
