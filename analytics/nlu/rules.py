"""Risk rules: what a rule may say, checked at the door, compiled once. The engine that runs them is in engine.py.

A rule is a mapping (YAML or JSON). `key`, `category` and at least one of any/all/absent/detector/metrics/semantic are
required; everything else has a default:

    key: legal.threat            # lower case, digits, dots, underscores, dashes; unique in the pack
    version: 1                   # raise it when the meaning changes; alerts carry it
    name: Legal action threatened
    category: legal              # one of CATEGORIES
    severity: high               # low | medium | high | critical
    enabled: true
    party: customer              # customer | agent | any: whose words are searched
    any: [phrase, ...]           # at least one is said
    all: [[phrase, ...], ...]    # of each list one is said, all within `within_seconds` (default 30)
    none: [phrase, ...]          # and none of these anywhere in the window, by anyone
    exclude: [phrase, ...]       # a hit within 4 words of one of these does not count (hard negatives)
    negation: true               # "I do not want to cancel" is no hit of "want to cancel"; false switches this off
    absent: [phrase, ...]        # alert when none of these is said in the window
    window: {first_seconds, last_seconds, after: [phrase], before: [phrase], party}  # clock starts at the first word
    metrics: ["silence_ratio > 0.4"]   # all must hold; see metrics.py for the names
    detector: card_number        # a built-in detector, see detectors.py
    semantic: {examples: [text, ...], unlike: [text, ...], threshold: 0.6}   # sentences that mean the same: cosine to
                                 # the nearest example or, with `unlike`, likelihood; needs the embedding model
    near: 0.85                   # lowest near-match score; 0 switches near matching off
    min_hits: 1                  # separate hits needed
    min_words: 12                # absent: words the party must say in the window before anyone is accused
    max_alerts: 3                # per call

Regular expressions are not supported; see phrases.py for the notation.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from analytics.nlu.phrases import Phrase, PhraseError, compile_phrase

CATEGORIES = (
    "churn", "complaint", "legal", "fraud", "data_leak", "abuse", "script_miss", "payment_data", "vulnerable",
    "self_harm", "process", "suspect_transcript",
)  # fmt: skip
SEVERITIES = ("low", "medium", "high", "critical")
RULE_PARTIES = ("agent", "customer", "any")
METRICS = frozenset(
    "duration_ms talk_ratio_agent agent_talk_ms customer_talk_ms silence_ms silence_ratio longest_silence_ms "
    "overtalk_ms interruptions_agent interruptions_customer wpm_agent wpm_customer longest_monologue_agent_ms "
    "longest_monologue_customer_ms response_latency_agent_ms response_latency_customer_ms hold_ms turns words "
    "mean_word_probability".split()
)
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq,
}  # fmt: skip

_KEY = re.compile(r"^[a-z0-9][a-z0-9._-]{0,79}$")
_CONDITION = re.compile(r"^\s*(\w+)\s*(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)\s*$")
_FIELDS = frozenset(
    "key version name description category severity enabled party any all none exclude absent window metrics detector "
    "detector_options semantic near negation min_hits min_words max_alerts within_seconds".split()
)
_SEMANTIC_FIELDS = frozenset({"examples", "unlike", "threshold"})
_WINDOW_FIELDS = frozenset({"first_seconds", "last_seconds", "after", "before", "party", "seconds"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a rule: where (such as `rules[3].any[1]`) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class RuleError(ValueError):
    """Rules cannot be used. `problems` lists every mistake, each with its path; the message joins them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(p) for p in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a talk metric with a number."""

    text: str
    metric: str
    op: str
    value: float

    def holds(self, metrics: dict[str, Any]) -> bool:
        """Return whether the comparison holds; a metric that is None never does."""
        actual = metrics.get(self.metric)
        return actual is not None and OPERATORS[self.op](float(actual), self.value)


@dataclass(frozen=True, slots=True)
class Window:
    """Where in the call a rule looks; all given limits hold together. Seconds count from the first spoken word."""

    first_seconds: float | None = None
    last_seconds: float | None = None
    after: tuple[Phrase, ...] = ()
    before: tuple[Phrase, ...] = ()
    party: str = "any"
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Semantic:
    """Examples that a piece of speech must resemble: the cosine to one of them is at least `threshold`.

    With counter-examples in `unlike`, the threshold is on the likelihood (0..1) that likeness.py learns from both.
    """

    examples: tuple[str, ...]
    threshold: float
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule; see the module's page for the meaning of each field."""

    key: str
    version: int
    name: str
    category: str
    severity: str
    enabled: bool
    party: str
    any: tuple[Phrase, ...] = ()
    all: tuple[tuple[Phrase, ...], ...] = ()
    none: tuple[Phrase, ...] = ()
    exclude: tuple[Phrase, ...] = ()
    absent: tuple[Phrase, ...] = ()
    window: Window | None = None
    metrics: tuple[Condition, ...] = ()
    detector: str = ""
    detector_options: dict[str, Any] = field(default_factory=dict)
    semantic: Semantic | None = None
    near: float = 0.85
    negation: bool = True
    min_hits: int = 1
    min_words: int = 12
    max_alerts: int = 3
    within_seconds: float = 30.0

    def phrases(self) -> Iterable[Phrase]:
        """Return every phrase that the rule looks for, in whatever role."""
        yield from self.any
        for group in self.all:
            yield from group
        yield from (*self.none, *self.exclude, *self.absent)
        if self.window:
            yield from (*self.window.after, *self.window.before)


def compile_rules(raw: Any) -> tuple[Rule, ...]:
    """Return the compiled rules. Raises RuleError listing every mistake in every rule, each with its path."""
    rules, problems = compile_leniently(raw)
    if problems:
        raise RuleError(problems)
    return rules


def compile_leniently(raw: Any) -> tuple[tuple[Rule, ...], list[Problem]]:
    """Return the rules that are right and the problems of those that are not; never raises for bad content.

    One broken rule must not take the other eleven categories down with it in production.
    """
    if not isinstance(raw, list):
        return (), [Problem("rules", "must be a list of rules")]
    rules: list[Rule] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for at, item in enumerate(raw):
        reader = _Reader(f"rules[{at}]")
        rule = reader.rule(item)
        if rule is not None and rule.key in seen:
            reader.wrong("key", f"{rule.key!r} is already the key of rules[{seen[rule.key]}]")
        if reader.problems or rule is None:
            problems.extend(reader.problems)
        else:
            seen[rule.key] = at
            rules.append(rule)
    return tuple(rules), problems


class _Reader:
    """Reads one rule and collects what is wrong with it instead of stopping at the first mistake."""

    def __init__(self, path: str) -> None:
        self.path, self.problems = path, list[Problem]()

    def wrong(self, where: str, message: str) -> None:
        self.problems.append(Problem(f"{self.path}.{where}" if where else self.path, message))

    def rule(self, raw: Any) -> Rule | None:
        if not isinstance(raw, dict):
            self.wrong("", "must be a mapping")
            return None
        for name in sorted(set(map(str, raw)) - _FIELDS):
            self.wrong(name, "is not a field of a rule")
        key = raw.get("key")
        if not isinstance(key, str) or not _KEY.match(key):
            self.wrong("key", "must be lower-case letters, digits, '.', '_' or '-' (at most 80)")
        category = self.choice(raw, "category", CATEGORIES, None)
        severity = self.choice(raw, "severity", SEVERITIES, "medium")
        party = self.choice(raw, "party", RULE_PARTIES, "any")
        for flag in ("enabled", "negation"):
            if not isinstance(raw.get(flag, True), bool):
                self.wrong(flag, "must be true or false")
        detector = raw.get("detector", "")
        from analytics.nlu.detectors import DETECTORS

        if detector and detector not in DETECTORS:
            self.wrong("detector", f"must be one of {', '.join(sorted(DETECTORS))}")
        options = raw.get("detector_options", {})
        if not isinstance(options, dict) or not all(isinstance(v, (int, float)) for v in options.values()):
            self.wrong("detector_options", "must be a mapping of numbers")
        rule = Rule(
            key=str(key),
            version=int(self.number(raw, "version", 1, low=1)),
            name=str(raw.get("name") or key),
            category=category,
            severity=severity,
            enabled=raw.get("enabled", True) is True,
            party=party,
            any=self.phrases(raw, "any"),
            all=self.groups(raw),
            none=self.phrases(raw, "none"),
            exclude=self.phrases(raw, "exclude"),
            absent=self.phrases(raw, "absent"),
            window=self.window(raw.get("window")),
            metrics=self.conditions(raw),
            detector=str(detector or ""),
            detector_options=options if isinstance(options, dict) else {},
            semantic=self.semantic(raw.get("semantic")),
            near=self.number(raw, "near", 0.85, low=0.0, high=1.0),
            negation=raw.get("negation", True) is True,
            min_hits=int(self.number(raw, "min_hits", 1, low=1)),
            min_words=int(self.number(raw, "min_words", 12, low=1)),
            max_alerts=int(self.number(raw, "max_alerts", 3, low=1)),
            within_seconds=self.number(raw, "within_seconds", 30, low=0.1),
        )
        if not (rule.any or rule.all or rule.absent or rule.metrics or rule.detector or rule.semantic):
            self.wrong("", "needs at least one of any, all, absent, metrics, detector, semantic")
        if rule.absent and not rule.window and not rule.any:
            self.wrong("absent", "needs a window or an `any` phrase that says when it is due")
        if 0 < rule.near < 0.5:
            self.wrong("near", "must be 0 (off) or between 0.5 and 1")
        return rule

    def choice(self, raw: dict[str, Any], name: str, allowed: tuple[str, ...], default: str | None) -> str:
        value = raw.get(name, default)
        if value not in allowed:
            self.wrong(name, f"must be one of {', '.join(allowed)}" + ("" if name in raw else " (it is missing)"))
            return allowed[0]
        return str(value)

    def number(
        self,
        raw: dict[str, Any],
        name: str,
        default: float | None,
        *,
        low: float = 0.0,
        high: float = 1e9,
        at: str = "",
    ) -> float:
        value = raw.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.wrong(at + name, f"must be a number from {low:g}" + (f" to {high:g}" if high < 1e9 else ""))
            return float(default or low)
        return float(value)

    def phrases(self, raw: dict[str, Any], name: str, *, at: str = "") -> tuple[Phrase, ...]:
        value = raw.get(name, [])
        return self.phrase_list(value, at + name)

    def phrase_list(self, value: Any, path: str) -> tuple[Phrase, ...]:
        if not isinstance(value, list):
            self.wrong(path, "must be a list of phrases")
            return ()
        out = []
        for i, text in enumerate(value):
            try:
                out.append(compile_phrase(text))
            except (PhraseError, TypeError) as error:
                self.wrong(
                    f"{path}[{i}]",
                    str(error) if isinstance(error, PhraseError) else "a phrase must be a text",
                )
        return tuple(out)

    def groups(self, raw: dict[str, Any]) -> tuple[tuple[Phrase, ...], ...]:
        value = raw.get("all", [])
        if not isinstance(value, list):
            self.wrong("all", "must be a list of phrases or of lists of phrases")
            return ()
        groups = (self.phrase_list(g if isinstance(g, list) else [g], f"all[{i}]") for i, g in enumerate(value))
        return tuple(g for g in groups if g)

    def window(self, raw: Any) -> Window | None:
        if raw is None:
            return None
        if not isinstance(raw, dict):
            self.wrong("window", "must be a mapping")
            return None
        for name in sorted(set(map(str, raw)) - _WINDOW_FIELDS):
            self.wrong(f"window.{name}", "is not a field of a window")
        limits = {
            name: self.number(raw, name, None, low=0.1, at="window.") if name in raw else None
            for name in ("first_seconds", "last_seconds", "seconds")
        }
        party = raw.get("party", "any")
        if party not in RULE_PARTIES:
            self.wrong("window.party", f"must be one of {', '.join(RULE_PARTIES)}")
        after = self.phrases(raw, "after", at="window.")
        before = self.phrases(raw, "before", at="window.")
        if not after and not before and not limits["first_seconds"] and not limits["last_seconds"]:
            self.wrong("window", "needs at least one of first_seconds, last_seconds, after, before")
        return Window(limits["first_seconds"], limits["last_seconds"], after, before, str(party), limits["seconds"])

    def conditions(self, raw: dict[str, Any]) -> tuple[Condition, ...]:
        value = raw.get("metrics", [])
        if not isinstance(value, list):
            self.wrong("metrics", "must be a list such as ['silence_ratio > 0.4']")
            return ()
        out = []
        for i, text in enumerate(value):
            match = _CONDITION.match(text) if isinstance(text, str) else None
            if match is None:
                self.wrong(f"metrics[{i}]", f"{text!r} must read like 'silence_ratio > 0.4'")
            elif match[1] not in METRICS:
                self.wrong(f"metrics[{i}]", f"{match[1]!r} is no talk metric; known: {', '.join(sorted(METRICS))}")
            else:
                out.append(Condition(text.strip(), match[1], match[2], float(match[3])))
        return tuple(out)

    def semantic(self, raw: Any) -> Semantic | None:
        if raw is None:
            return None
        if not isinstance(raw, dict):
            self.wrong("semantic", "must be a mapping with 'examples'")
            return None
        for name in sorted(set(map(str, raw)) - _SEMANTIC_FIELDS):
            self.wrong(f"semantic.{name}", "is not a field of semantic")
        examples, unlike = raw.get("examples"), raw.get("unlike", [])
        for name, texts in (("examples", examples), ("unlike", unlike)):
            if not isinstance(texts, list) or not all(isinstance(e, str) and e.strip() for e in texts):
                self.wrong(f"semantic.{name}", "must be a list of texts")
                return None
        if not examples:
            self.wrong("semantic.examples", "must be a non-empty list of texts")
            return None
        threshold = self.number(raw, "threshold", 0.6, low=0.1, high=1.0, at="semantic.")
        return Semantic(tuple(examples), threshold, tuple(unlike))
