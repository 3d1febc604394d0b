"""A rule's text is read in an instant, whatever it is, and every mistake has its path and line."""

from __future__ import annotations

import time

import pytest

from analytics.nlu import default_rules
from analytics.nlu.phrases import MAX_STEPS, compile_phrase, find
from analytics.nlu.text import read as read_call
from callcenter.insights import rulebook
from tests.nlu.calls import call


@pytest.mark.parametrize("raw", default_rules(), ids=lambda raw: raw["key"])
def test_every_shipped_rule_survives_being_written_and_read(raw: dict) -> None:
    reading = rulebook.read(rulebook.write(raw), key=raw["key"])
    assert reading.mistakes == []
    assert reading.definition == {name: value for name, value in raw.items() if name not in ("version", "enabled")}


@pytest.mark.parametrize("name", [key for key, _, _ in rulebook.TEMPLATES])
def test_every_template_is_a_rule_without_mistakes(name: str) -> None:
    text = next(text for key, _, text in rulebook.TEMPLATES if key == name)
    assert rulebook.read(text).right


def test_every_mistake_is_named_with_its_path_and_its_line() -> None:
    text = (
        "key: my.rule\ncategory: nonsense\nparty: nobody\nany:\n  - fine words\n  - (bad)\n"
        "  - a * b * c * d * e * f\nwindow:\n  first: 3\nmetrics:\n  - foo > 1\nwibble: 1\n"
    )
    found = {m.path: m.line for m in rulebook.read(text).mistakes}
    assert found == {
        "category": 2, "party": 3, "any[1]": 6, "any[2]": 7, "window.first": 9, "window": 8, "metrics[0]": 11,
        "wibble": 12,
    }  # fmt: skip


def test_words_that_yaml_would_take_for_something_else_stay_words() -> None:
    reading = rulebook.read("key: my.rule\ncategory: churn\nany: [no, yes, off, on]\nnegation: false\n")
    assert reading.right and reading.definition is not None
    assert reading.definition["any"] == ["no", "yes", "off", "on"]
    assert reading.definition["negation"] is False


def test_a_key_stands_once_and_stays() -> None:
    reading = rulebook.read("key: other\ncategory: churn\nany: [bye]\nany: [goodbye]\n", key="my.rule")
    assert {(m.path, m.line) for m in reading.mistakes} == {("any", 4), ("key", 1)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", "anchors"),
        ("key: x\n any: [", "Not readable"),
        ("\tkey: x", "tabs"),
        ("key: a: b", "needs quotes"),
        ("", "list of fields"),
        ("just words", "list of fields"),
        ("any: !!python/object:os.system [1]\n", "tags"),
        ("[" * 60_000, "too long"),
        ("\n".join("[" * 30 for _ in range(100)), "too deep"),
        ("any:\n" + "\n".join(f"  - phrase {n}" for n in range(10_000)), "may have"),
        ("key: x\nany:\n" + "\n".join(f"  - p{n}" for n in range(2_000)), "2,000 phrases"),
        ("key: " + "x" * 60_000, "too long"),
    ],
)
def test_absurd_text_gets_a_clear_message_at_once(text: str, said: str) -> None:
    reading = rulebook.read(text)
    assert not reading.right
    assert said in " ".join(m.message for m in reading.mistakes)


def test_a_phrase_that_could_take_for_ever_gives_up() -> None:
    phrase = compile_phrase("a|an * a|an * a|an * a|an * a|an * a|an * a|an * a|an * a|an * a|an * end")
    stream = read_call(call(("customer", "an a " * 400))).streams["customer"]
    started = time.perf_counter()
    assert find(phrase, stream) == []
    # Generous: the point is that it ends. Without the limit it would take longer than the universe has.
    assert time.perf_counter() - started < 20
    assert MAX_STEPS < 1_000_000
