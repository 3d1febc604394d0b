"""The screen leaves out no rule that would find something: with it and without it the alerts are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics.nlu import default_rules
from analytics.nlu.engine import run_rules
from analytics.nlu.rules import compile_rules
from analytics.nlu.screen import Screen, vocabulary
from analytics.nlu.text import read
from tests.nlu.calls import call

EXCERPTS = yaml.safe_load((Path(__file__).parent / "risk_excerpts.yaml").read_text(encoding="utf-8"))


def texts(node: Any) -> list[str]:
    """Return every longer text anywhere in the labelled set."""
    if isinstance(node, dict):
        return [t for value in node.values() for t in texts(value)]
    if isinstance(node, list):
        return [t for value in node for t in texts(value)]
    return [node] if isinstance(node, str) and len(node.split()) > 3 else []


def test_the_screen_loses_nothing_on_the_labelled_excerpts() -> None:
    rules = [replace(rule, semantic=None) for rule in compile_rules(default_rules())]
    rules = [r for r in rules if r.any or r.all or r.absent or r.metrics or r.detector]
    said = texts(EXCERPTS)
    assert len(said) > 200
    screen = Screen(rules, vocabulary(said))
    tried = found = 0
    for text in said:
        for party in ("customer", "agent"):
            heard = read(call((party, text)))
            possible = screen.possible(vocabulary([text]))
            whole = run_rules(rules, heard, {})
            assert run_rules(possible, heard, {}) == whole, text
            tried += len(possible)
            found += len(whole)
    assert found > 100
    assert tried < len(said) * 2 * len(rules) / 2, "it should leave out most"


@pytest.mark.parametrize(
    ("rule", "text", "stays"),
    [
        ({"any": ["cancel my contract"]}, "please cancel this", False),
        ({"any": ["cancel my contract"]}, "please cancle the contracts", True),
        ({"any": ["cancel my contract"], "near": 0}, "please cancle my contract", False),
        ({"any": ["cancel* it|them"]}, "cancelling it", True),
        ({"any": ["pay <num> pounds"]}, "pay ninety pounds", True),
        ({"any": ["pay <num> pounds"]}, "pay some pounds", False),
        ({"all": [["refund"], ["today", "at once"]]}, "a refund", False),
        ({"all": [["refund"], ["today", "at once"]]}, "a refund at once", True),
        ({"any": ["refund"], "detector": "card_number"}, "nothing", True),
        ({"absent": ["recorded"], "window": {"first_seconds": 9}}, "nothing", True),
        ({"metrics": ["words > 1"]}, "nothing", True),
        ({"any": ["do not call"]}, "don't call me", True),
    ],
)  # fmt: skip
def test_what_stays_and_what_goes(rule: dict[str, Any], text: str, stays: bool) -> None:
    rules = compile_rules([{"key": "a", "category": "churn", **rule}])
    words = vocabulary([text])
    assert bool(Screen(rules, words).possible(words)) is stays
