"""Runs compiled rules over one call and gives alerts with their whole evidence; the same call gives the same alerts.

An alert says which words were said, when, by whom, why that matters and how sure the recogniser was of them. An alert
about something that was *not* said is raised only if the party spoke enough in the window, the other party was there
too, and nothing came near the required words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from analytics.nlu.detectors import DETECTORS
from analytics.nlu.evidence import (
    SEVERITY_RANK,
    Evidence,
    alert_of,
    deduplicate,
    metric_span,
    quote_of_range,
)
from analytics.nlu.phrases import Hit, Similarity, best_near_miss, find_any, literals
from analytics.nlu.rules import Rule, Semantic, Window
from analytics.nlu.text import NEGATIONS, CallText, Stream

EXCLUDE_REACH = 4
MERGE_MS = 15_000
SAID_ANYWAY = 0.75
SAID_BY_MEANING = 0.62
MIN_OTHER_WORDS = 5
DOUBTFUL_MAPPING = 0.6
_BEFORE_NEGATION = frozenset(
    "i am is are was were going to want need trying planning would will be a the any really just even ever be do did "
    "does have has had that it intend wish saying we you they looking about".split()
)
_ASKING = frozenset({"can", "could", "why"})


class Chunks(Protocol):
    """Pieces of the call's text with their sentence vectors, as the orchestrator embedded them once for everybody."""

    def of(self, party: str, lo_ms: int, hi_ms: int) -> list[tuple[int, int, int, np.ndarray]]:
        """Return (turn, first word, end word, unit vector) of the party's pieces that start within the time range."""
        ...

    def alike(
        self, semantic: Semantic, category: str, party: str, lo_ms: int, hi_ms: int
    ) -> list[tuple[int, int, int, float, str]]:
        """Return (turn, first word, end word, score, nearest example) of the pieces that reach the threshold."""
        ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors (len(texts), dim) of other texts; cached."""
        ...


@dataclass(slots=True)
class RuleRun:
    """What one run of a pack needs at every rule."""

    call: CallText
    metrics: dict[str, Any]
    chunks: Chunks | None
    similar: Similarity
    notes: list[str] = field(default_factory=list)

    @property
    def doubtful_parties(self) -> bool:
        return self.call.mapping_confidence < DOUBTFUL_MAPPING or not (
            {"agent", "customer"} & {p for p, s in self.call.streams.items() if s.tokens}
        )


def run_rules(
    rules: Sequence[Rule], call: CallText, metrics: dict[str, Any], chunks: Chunks | None = None
) -> list[dict[str, Any]]:
    """Return the alerts of all enabled rules in order of time; overlapping alerts of a category are one.

    `metrics` is what `talk_metrics` gave. Without `chunks`, semantic parts of rules are silently not tried (the caller
    warns once).
    """
    active = [r for r in rules if r.enabled]
    vocabulary = {norm for s in call.streams.values() for norm in s.positions}
    similar = Similarity(literals(p for r in active for p in r.phrases()), vocabulary)
    run = RuleRun(call, metrics, chunks, similar)
    alerts: list[dict[str, Any]] = []
    for rule in active:
        alerts.extend(_apply(rule, run))
    return deduplicate(alerts)


def _apply(rule: Rule, run: RuleRun) -> list[dict[str, Any]]:
    if not run.call.turns and not rule.metrics:
        return []
    if not all(c.holds(run.metrics) for c in rule.metrics):
        return []
    limits = _limits(rule.window, run)
    if limits is None:
        return []
    lo, hi = limits
    measured = [Evidence("metric", f"{c.text} (is {run.metrics[c.metric]:g})", 0.8) for c in rule.metrics]
    spoken = bool(rule.any or rule.all or rule.detector or rule.semantic and not rule.absent)
    if not spoken and not rule.absent:
        start, end = metric_span(rule, run.metrics, run.call)
        return [alert_of(rule, run.call, "any", measured, (start, end), doubtful=False)]
    if spoken and rule.none and _said_by_anyone(rule, run, lo, hi):
        return []
    triggers = _triggers(rule, run, lo, hi) if spoken else []
    if spoken and len(triggers) < rule.min_hits:
        return []
    if rule.absent:
        return _absence(rule, run, limits, triggers, measured)
    out = []
    for group in _clusters(triggers):
        party = group[0].party
        out.append(alert_of(rule, run.call, party, [*group, *measured], None, doubtful=_doubtful(rule, run)))
    out.sort(key=lambda a: -a["score"])
    return sorted(out[: rule.max_alerts], key=lambda a: a["start_ms"])


def _doubtful(rule: Rule, run: RuleRun) -> bool:
    return rule.party != "any" and run.doubtful_parties


def _streams(party: str, run: RuleRun) -> list[Stream]:
    """Return the streams to search: the party's own; where no turn has a party, everything, and the alert says so."""
    streams = run.call.streams
    if party == "any":
        return list(streams.values())
    if party in streams:
        return [streams[party]]
    known = any(p in streams for p in ("agent", "customer"))
    return [streams["unknown"]] if "unknown" in streams and not known else []


def _limits(window: Window | None, run: RuleRun) -> tuple[int, int] | None:
    """Return the searched time range in ms, or None when the rule does not apply to this call."""
    first, last = run.call.first_ms, run.call.last_ms
    lo, hi = 0, max(run.call.duration_ms, last)
    if window is None:
        return lo, hi
    if window.first_seconds is not None:
        hi = min(hi, first + int(window.first_seconds * 1000))
    if window.last_seconds is not None:
        lo = max(lo, last - int(window.last_seconds * 1000))
    if window.after:
        ends = [s.tokens[h.end - 1].end_ms for s, h in _said(window.after, window.party, run, lo, hi)]
        if not ends:
            return None
        lo = max(lo, min(ends))
        if window.seconds is not None:
            hi = min(hi, lo + int(window.seconds * 1000))
    if window.before:
        starts = [s.tokens[h.start].start_ms for s, h in _said(window.before, window.party, run, lo, hi)]
        if not starts:
            return None
        hi = min(hi, min(starts))
        if window.seconds is not None and not window.after:
            lo = max(lo, hi - int(window.seconds * 1000))
    return (lo, hi) if hi > lo else None


def _said(phrases: Any, party: str, run: RuleRun, lo: int, hi: int, near: float = 0.85) -> list[tuple[Stream, Hit]]:
    out: list[tuple[Stream, Hit]] = []
    for stream in _streams(party, run):
        a, b = stream.span(lo, hi)
        out.extend((stream, hit) for hit in find_any(phrases, stream, a, b, near=near, similar=run.similar))
    return out


def _said_by_anyone(rule: Rule, run: RuleRun, lo: int, hi: int) -> bool:
    return bool(_said(rule.none, "any", run, lo, hi, near=0.0))


def _triggers(rule: Rule, run: RuleRun, lo: int, hi: int) -> list[Evidence]:
    found: list[Evidence] = []
    for stream in _streams(rule.party, run):
        a, b = stream.span(lo, hi)
        blocked = find_any(rule.exclude, stream) if rule.exclude else []
        if rule.any:
            for hit in find_any(rule.any, stream, a, b, near=rule.near, similar=run.similar):
                if not _excluded(hit.start, hit.end, blocked) and not (rule.negation and negated(stream, hit)):
                    found.append(Evidence.of_hit(stream, hit))
        if rule.semantic and not rule.absent and run.chunks is not None:
            found.extend(_semantic(rule, run, stream, lo, hi, blocked))
    if rule.detector:
        for finding in DETECTORS[rule.detector](run.call, rule.detector_options):
            start = finding.stream.tokens[finding.start].start_ms
            if lo <= start <= hi and (rule.party == "any" or finding.stream in _streams(rule.party, run)):
                found.append(Evidence.of_finding(finding))
    if rule.all:
        found = _with_all(rule, run, lo, hi, found)
    return sorted(found, key=lambda e: e.start_ms)


def _semantic(rule: Rule, run: RuleRun, stream: Stream, lo: int, hi: int, blocked: list[Hit]) -> list[Evidence]:
    assert rule.semantic is not None and run.chunks is not None
    measure = "likelihood" if rule.semantic.unlike else "cosine"
    out = []
    for turn, first, end, score, example in run.chunks.alike(rule.semantic, rule.category, stream.party, lo, hi):
        places = [i for i, t in enumerate(stream.tokens) if t.turn == turn and first <= t.word < end]
        if not places or _excluded(places[0], places[-1] + 1, blocked):
            continue
        detail = f"means about the same as {example!r} ({measure} {score:.2f})"
        strength = min(0.95, 0.5 + 0.5 * (score - rule.semantic.threshold) / (1 - rule.semantic.threshold + 1e-6))
        out.append(Evidence.of_tokens("semantic", detail, strength, stream, places[0], places[-1] + 1))
    return out


def _with_all(rule: Rule, run: RuleRun, lo: int, hi: int, found: list[Evidence]) -> list[Evidence]:
    """Keep only what every `all` group accompanies in time; groups alone trigger when nothing else can."""
    reach = int(rule.within_seconds * 1000)
    groups: list[list[Evidence]] = []
    for group in rule.all:
        hits = []
        for stream in _streams(rule.party, run):
            a, b = stream.span(lo, hi)
            blocked = find_any(rule.exclude, stream) if rule.exclude else []
            hits += [
                Evidence.of_hit(stream, h)
                for h in find_any(group, stream, a, b, near=rule.near, similar=run.similar)
                if not _excluded(h.start, h.end, blocked)
            ]
        groups.append(hits)
    alone = not (rule.any or rule.detector or rule.semantic)
    heads, rest = (groups[0], groups[1:]) if alone else (found, groups)
    out: list[Evidence] = []
    for head in heads:
        near = [min(g, key=lambda e: abs(e.start_ms - head.start_ms), default=None) for g in rest]
        chosen = [e for e in near if e is not None and abs(e.start_ms - head.start_ms) <= reach]
        if len(chosen) == len(rest):
            out.extend(e for e in (head, *chosen) if e not in out)
    return out


def _excluded(start: int, end: int, blocked: list[Hit]) -> bool:
    return any(b.start - EXCLUDE_REACH < end and start < b.end + EXCLUDE_REACH for b in blocked)


def negated(stream: Stream, hit: Hit) -> bool:
    """Return whether the words right before a hit deny it ("I am not going to ..."); a negative phrase is never denied.

    "Can I not just ..." and "why not ..." ask for the thing and so deny nothing.
    """
    said = stream.tokens[hit.start : hit.end]
    if any(t.norm in NEGATIONS for t in said):
        return False
    at = hit.start - 1
    while at >= 0 and hit.start - at <= 6:
        token = stream.tokens[at]
        if token.norm in ("not", "never", "without"):
            before = {t.norm for t in stream.tokens[max(0, at - 2) : at]}
            return not before & _ASKING or token.norm != "not"
        if token.norm not in _BEFORE_NEGATION or stream.tokens[at + 1].start_ms - token.end_ms > 1500:
            return False
        at -= 1
    return False


def _clusters(found: list[Evidence]) -> list[list[Evidence]]:
    groups: list[list[Evidence]] = []
    for item in found:
        for group in reversed(groups):
            if group[0].party == item.party and item.start_ms - group[-1].end_ms <= MERGE_MS:
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def _absence(
    rule: Rule, run: RuleRun, limits: tuple[int, int], triggers: list[Evidence], measured: list[Evidence]
) -> list[dict[str, Any]]:
    """Accuse nobody unless the window was really heard: enough words of the party, both parties there, no near miss."""
    lo, hi = limits
    if triggers and rule.window is None:
        lo = triggers[0].start_ms
    heard = [(stream, a, b) for stream in _streams(rule.party, run) for a, b in [stream.span(lo, hi)] if b - a > 0]
    words = sum(len({(t.turn, t.word) for t in s.tokens[a:b]}) for s, a, b in heard)
    if words < rule.min_words:
        return []
    others = sum(len(s.tokens) for p, s in run.call.streams.items() if all(s is not h[0] for h in heard))
    if rule.party != "any" and others < MIN_OTHER_WORDS:
        return []
    searched = list(run.call.streams.values()) if _doubtful(rule, run) else [s for s, _, _ in heard]
    best: tuple[Stream, Hit] | None = None
    for stream in searched:
        a, b = stream.span(lo, hi)
        hit = best_near_miss(rule.absent, stream, a, b, run.similar)
        if hit is not None and (best is None or hit.score > best[1].score):
            best = (stream, hit)
    if best is not None and best[1].score >= SAID_ANYWAY:
        return []
    if _said_by_meaning(rule, run, searched, lo, hi):
        return []
    stream, a, b = max(heard, key=lambda h: h[2] - h[1])
    wanted = ", ".join(repr(p.text) for p in rule.absent[:3]) + (" ..." if len(rule.absent) > 3 else "")
    who = stream.party if rule.party != "any" else "anyone"
    detail = f"not said by {who} from {lo / 1000:.0f} s to {hi / 1000:.0f} s ({words} words heard): {wanted}"
    parts = [*triggers, Evidence("absence", detail, 0.85), *measured]
    if best is not None:
        near = Evidence.of_hit(*best)
        parts.append(Evidence("near_phrase", "closest: " + near.detail, 0.15, near.stream, near.start, near.end))
    alert = alert_of(rule, run.call, stream.party, parts, (lo, hi), doubtful=best is not None or _doubtful(rule, run))
    tokens = stream.tokens[a:b]
    if not triggers:
        alert["quote"] = quote_of_range(run.call, stream, a, min(b, a + 25), rule.category)
        alert["turn"] = tokens[0].turn
    mean = sum(t.probability for t in tokens) / len(tokens)
    alert["transcription_confidence"] = round(mean, 4)
    alert["listen_first"] = alert["listen_first"] or mean < 0.6
    return [alert]


def _said_by_meaning(rule: Rule, run: RuleRun, searched: list[Stream], lo: int, hi: int) -> bool:
    """Return whether a sentence in the window means what was required, in words that nobody foresaw."""
    if run.chunks is None or rule.semantic is None:
        return False
    pieces = [p for s in searched for p in run.chunks.of(s.party, lo, hi)]
    if not pieces:
        return False
    examples = run.chunks.embed(rule.semantic.examples)
    limit = min(rule.semantic.threshold, SAID_BY_MEANING)
    return bool((np.stack([p[3] for p in pieces]) @ examples.T).max() >= limit)


__all__ = ["SEVERITY_RANK", "negated", "run_rules"]
