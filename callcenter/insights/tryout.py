"""A rule tried on stored calls before anybody relies on it: what it would find, in the calls that the reader may see.

Never longer than its time box: the newest calls come first, and the answer says how many were looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from analytics.nlu.rules import Rule, compile_rules
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.insights import rerule
from callcenter.insights.models import RESTRICTED

SECONDS = 1.5
CALLS = 3000
STEP = 25
EXAMPLES = 8


@dataclass(slots=True)
class Tried:
    """What a rule found. `hidden` says that there were hits which this reader may not see."""

    calls: int = 0
    of: int = 0
    hit_calls: int = 0
    hits: int = 0
    seconds: float = 0.0
    examples: list[dict[str, Any]] = field(default_factory=list)
    semantic_left_out: bool = False
    hidden: bool = False

    @property
    def all_seen(self) -> bool:
        return self.calls >= self.of


def preview(*, definition: dict[str, Any], user: User, seconds: float = SECONDS, limit: int = CALLS) -> Tried:
    """Try a definition without mistakes on the newest calls of this user, phrases only (no model is loaded here)."""
    started = time.perf_counter()
    (rule,) = compile_rules([definition])
    rules = _without_meaning(rule)
    visible = Call.objects.visible_to(user).filter(transcript__isnull=False)
    tried = Tried(of=visible.count(), semantic_left_out=bool(rule.semantic))
    tried.hidden = rule.category in RESTRICTED and not user.sees_restricted_alerts
    ids = list(visible.order_by("-started_at", "-id").values_list("pk", flat=True)[:limit])
    for chunk in rerule.chunks(ids if rules and not tried.hidden else [], STEP):
        _, found = rerule.survey(rules, chunk, meaning=False)
        tried.calls += len(chunk)
        tried.hit_calls += len(found)
        for pk, raws in found:
            tried.hits += len(raws)
            room = max(0, EXAMPLES - len(tried.examples))
            tried.examples += [{"call_id": pk, **raw} for raw in raws[:room]]
        if time.perf_counter() - started > seconds:
            break
    _describe(tried.examples)
    tried.seconds = time.perf_counter() - started
    return tried


def _without_meaning(rule: Rule) -> tuple[Rule, ...]:
    """Return the rule without its semantic part, or nothing where nothing would be left that finds anything."""
    if rule.semantic is None or rule.absent:
        return (rule,)
    return (replace(rule, semantic=None),) if rule.any or rule.all or rule.detector else ()


def _describe(examples: list[dict[str, Any]]) -> None:
    calls = Call.objects.select_related("agent", "team").in_bulk([e["call_id"] for e in examples])
    for example in examples:
        example["call"] = calls[example["call_id"]]
