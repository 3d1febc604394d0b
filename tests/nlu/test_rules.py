"""What a rule may say, and the messages of those that may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analytics.nlu import RuleError, compile_rules, default_rules, understand
from analytics.nlu.rules import CATEGORIES, compile_leniently
from tests.nlu.calls import call

GOOD: dict[str, Any] = {"key": "a.rule", "category": "legal", "any": ["sue you"]}


def test_the_default_pack_compiles_and_covers_every_category() -> None:
    rules = compile_rules(default_rules())
    assert {r.category for r in rules} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"key": "Has Spaces"}, "rules[0].key"),
        ({"category": "weather"}, "rules[0].category"),
        ({"severity": "huge"}, "rules[0].severity"),
        ({"party": "boss"}, "rules[0].party"),
        ({"any": "sue you"}, "rules[0].any"),
        ({"any": ["fine", "(bad|regex)"]}, "rules[0].any[1]"),
        ({"any": ["fine", 7]}, "rules[0].any[1]"),
        ({"all": [["fine"], [""]]}, "rules[0].all[1][0]"),
        ({"metrics": ["silence > lots"]}, "rules[0].metrics[0]"),
        ({"metrics": ["happiness > 3"]}, "rules[0].metrics[0]"),
        ({"window": {"first_seconds": -3}}, "rules[0].window.first_seconds"),
        ({"window": {"until": 3}}, "rules[0].window.until"),
        ({"window": {}}, "rules[0].window"),
        ({"detector": "mind_reader"}, "rules[0].detector"),
        ({"semantic": {"examples": []}}, "rules[0].semantic.examples"),
        ({"absent": ["hello"], "any": []}, "rules[0].absent"),
        ({"any": []}, "rules[0]"),
        ({"colour": "red"}, "rules[0].colour"),
        ({"semantic": {"examples": ["one"], "unlike": "two"}}, "rules[0].semantic.unlike"),
        ({"semantic": {"examples": ["one"], "dislike": ["two"]}}, "rules[0].semantic.dislike"),
        ({"near": 0.2}, "rules[0].near"),
        ({"enabled": "yes"}, "rules[0].enabled"),
    ],
)
def test_a_mistake_is_named_with_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rules([GOOD | change])
    assert path in [p.path for p in caught.value.problems]


def test_every_mistake_is_listed_at_once() -> None:
    with pytest.raises(RuleError) as caught:
        compile_rules([GOOD | {"severity": "huge"}, "nonsense", GOOD | {"key": "b", "party": "boss"}])
    assert len(caught.value.problems) == 3


def test_a_key_may_stand_once() -> None:
    with pytest.raises(RuleError, match="already the key"):
        compile_rules([GOOD, GOOD])


def test_one_broken_rule_does_not_silence_the_others(tmp_path: Path) -> None:
    rules, problems = compile_leniently([GOOD, {"key": "broken"}])
    assert [r.key for r in rules] == ["a.rule"] and problems
    config = {"rules": [GOOD, {"key": "broken"}], "models_dir": str(tmp_path / "models")}
    found = understand(call(("customer", "I will sue you")), config)
    assert [a["rule_key"] for a in found["alerts"]] == ["a.rule"]
    assert any("rules[1]" in w for w in found["warnings"])
