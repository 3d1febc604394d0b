"""From what a rule found to an alert: span, quote with digits masked, word ids, confidence, components and score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analytics.nlu.detectors import Finding, digit_runs
from analytics.nlu.phrases import Hit
from analytics.nlu.rules import SEVERITIES, Rule
from analytics.nlu.text import CallText, Stream, Token, is_speech
from analytics.redaction import merged

SEVERITY_RANK = {name: rank for rank, name in enumerate(SEVERITIES)}
CONTEXT_WORDS = 7
MAX_QUOTE_WORDS = 45
LISTEN_BELOW = 0.6
LISTEN_WORD_BELOW = 0.25
MASK = "•"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason for an alert; `stream` and its token range are given where words carry the reason."""

    kind: str
    detail: str
    strength: float
    stream: Stream | None = None
    start: int = 0
    end: int = 0

    @classmethod
    def of_tokens(cls, kind: str, detail: str, strength: float, stream: Stream, start: int, end: int) -> Evidence:
        return cls(kind, detail, strength, stream, start, end)

    @classmethod
    def of_hit(cls, stream: Stream, hit: Hit) -> Evidence:
        tokens = stream.tokens[hit.start : hit.end]
        heard = " ".join(MASK * len(t.norm) if t.norm.isdecimal() and len(t.norm) > 2 else t.norm for t in tokens)
        if hit.exact:
            rule = "" if heard == hit.phrase.text else f" (phrase: {hit.phrase.text})"
            return cls("phrase", f"said '{heard}'{rule}", 1.0, stream, hit.start, hit.end)
        detail = f"heard '{heard}' for '{hit.phrase.text}' (likeness {hit.score:.2f})"
        return cls("near_phrase", detail, hit.score * 0.9, stream, hit.start, hit.end)

    @classmethod
    def of_finding(cls, finding: Finding) -> Evidence:
        return cls("phrase", finding.detail, finding.strength, finding.stream, finding.start, finding.end)

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.stream.tokens[self.start : self.end] if self.stream is not None else ()

    @property
    def party(self) -> str:
        return self.stream.party if self.stream is not None else "unknown"

    @property
    def start_ms(self) -> int:
        return self.tokens[0].start_ms if self.tokens else 0

    @property
    def end_ms(self) -> int:
        return max((t.end_ms for t in self.tokens), default=0)


def alert_of(
    rule: Rule,
    call: CallText,
    party: str,
    parts: list[Evidence],
    span: tuple[int, int] | None,
    *,
    doubtful: bool,
) -> dict[str, Any]:
    """Return the alert document; component shares sum to 1. `span` is used where the words do not give one.

    `doubtful` says that the party or the finding itself is uncertain, so a person should listen before acting.
    """
    spoken = [p for p in parts if p.stream is not None]
    own = [p for p in spoken if not p.detail.startswith("closest: ")] or spoken
    tokens = [t for p in own for t in p.tokens]
    start = span[0] if span is not None else min(t.start_ms for t in tokens)
    end = span[1] if span is not None else max(t.end_ms for t in tokens)
    ids = list(dict.fromkeys((t.turn, t.word) for t in sorted(tokens, key=lambda t: (t.start_ms, t.turn, t.word))))
    heard = list({(t.turn, t.word): t.probability for t in tokens}.values())
    if heard:
        confidence = sum(heard) / len(heard)
    else:
        every = [w.probability for w in call.words() if is_speech(w.text)]
        confidence = sum(every) / len(every) if every else 0.0
    total = sum(p.strength for p in parts) or 1.0
    strength = max(p.strength for p in parts)
    strength = min(1.0, strength + 0.03 * (len([p for p in parts if p.kind != "near_phrase"]) - 1))
    only_near = bool(spoken) and all(p.kind in ("near_phrase", "semantic") for p in spoken)
    shares = [round(p.strength / total, 4) for p in parts]
    shares[0] = round(shares[0] + 1 - sum(shares), 4)
    first = own[0] if own else None
    return {
        "category": rule.category,
        "severity": rule.severity,
        "rule_key": rule.key,
        "rule_version": rule.version,
        "party": party if party in ("agent", "customer") else "unknown",
        "start_ms": int(start),
        "end_ms": int(max(start, end)),
        "quote": quote(call, own, rule.category),
        "turn": first.tokens[0].turn if first is not None and first.tokens else _turn_at(call, int(start)),
        "word_ids": [f"{turn}:{word}" for turn, word in ids],
        "transcription_confidence": round(confidence, 4),
        "components": [
            {"kind": p.kind, "detail": p.detail, "share": share} for p, share in zip(parts, shares, strict=True)
        ],
        "score": round(strength * (0.6 + 0.4 * confidence), 4),
        "listen_first": bool(
            doubtful
            or only_near
            or (heard and (confidence < LISTEN_BELOW or min(heard) < LISTEN_WORD_BELOW))
            or any(p.strength < 0.7 and p.stream is not None and p.kind == "phrase" for p in parts)
        ),
    }


def _turn_at(call: CallText, ms: int) -> int | None:
    after = [t for t in call.turns if t.end_ms > ms]
    return (after[0] if after else call.turns[-1]).index if call.turns else None


def quote(call: CallText, parts: list[Evidence], category: str) -> str:
    """Return what was said around the evidence, at most 45 words, numbers masked as `masked_words` says."""
    if not parts or parts[0].stream is None:
        return ""
    stream = parts[0].stream
    same = [p for p in parts if p.stream is stream]
    lo = min(p.start for p in same)
    hi = max(p.end for p in same)
    return quote_of_range(call, stream, lo, hi, category)


def quote_of_range(call: CallText, stream: Stream, lo: int, hi: int, category: str) -> str:
    """Return the words of tokens [lo, hi) with some words before and after, cut at turn borders, digits masked."""
    masks = masked_words(stream, everything=category == "payment_data")
    first, last = stream.tokens[lo], stream.tokens[hi - 1]
    turns = {t.index: t for t in call.turns if t.party == stream.party}
    out: list[str] = []
    cut = False
    order = [t for t in turns.values() if first.start_ms <= t.end_ms and t.start_ms <= last.end_ms]
    for turn in sorted(order, key=lambda t: t.start_ms):
        begin = max(0, first.word - CONTEXT_WORDS) if turn.index == first.turn else 0
        stop = min(len(turn.words), last.word + 1 + CONTEXT_WORDS) if turn.index == last.turn else len(turn.words)
        if turn.index == first.turn and begin > 0:
            out.append("…")
        out.extend(masks.get((turn.index, w.word), w.text) for w in turn.words[begin:stop])
        cut = stop < len(turn.words)
    if len(out) > MAX_QUOTE_WORDS:
        out, cut = out[:MAX_QUOTE_WORDS], True
    out = merged(out)
    return " ".join([*out, "…"] if cut else out)


def masked_words(stream: Stream, *, everything: bool) -> dict[tuple[int, int], str]:
    """Return the replacement of every word that belongs to a long number; alerts go to many sinks.

    Runs of six digits or more are masked (three or more with `everything`); the last two digits stay readable in runs
    of eight or more, and nothing of a shorter one.
    """
    out: dict[tuple[int, int], str] = {}
    for run in digit_runs(stream):
        size = len(run.digits)
        if size < (3 if everything else 6):
            continue
        keep_from = size - 2 if size >= 8 else size
        by_word: dict[tuple[int, int], list[int]] = {}
        for k in range(size):
            token = stream.tokens[run.owners[k]]
            by_word.setdefault((token.turn, token.word), []).append(k)
        for word, places in by_word.items():
            written = "".join(run.digits[k] if k >= keep_from else MASK for k in places)
            norms = [t.norm for t in stream.tokens if (t.turn, t.word) == word]
            spoken = not any(n.isdecimal() for n in norms)
            out[word] = (written if MASK not in written or not spoken else MASK) if written else MASK
    return out


def metric_span(rule: Rule, metrics: dict[str, Any], call: CallText) -> tuple[int, int]:
    """Return the place in the call that a metric rule is about: the silence, the longest hold, else the whole call."""
    names = {c.metric for c in rule.metrics}
    if "hold_ms" in names and metrics.get("holds"):
        hold = max(metrics["holds"], key=lambda h: h["end_ms"] - h["start_ms"])
        return hold["start_ms"], hold["end_ms"]
    if "longest_silence_ms" in names and metrics.get("longest_silence_start_ms") is not None:
        start = metrics["longest_silence_start_ms"]
        return start, start + metrics["longest_silence_ms"]
    return 0, call.duration_ms


def deduplicate(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the alerts in order of time, where several of one category stand on the same words only the gravest.

    Alerts without words (metrics, absences) speak of different duties and all stay.
    """
    ranked = sorted(alerts, key=lambda a: (-SEVERITY_RANK[a["severity"]], -a["score"], a["start_ms"], a["rule_key"]))
    kept: list[dict[str, Any]] = []
    for alert in ranked:
        if not any(_same(alert, other) for other in kept):
            kept.append(alert)
    return sorted(kept, key=lambda a: (a["start_ms"], a["rule_key"]))


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a["category"] != b["category"] or a["party"] != b["party"]:
        return False
    absences = [any(c["kind"] in ("absence", "metric") for c in x["components"]) for x in (a, b)]
    if any(absences):
        return False
    overlap = a["start_ms"] < b["end_ms"] and b["start_ms"] < a["end_ms"]
    return overlap or bool(set(a["word_ids"]) & set(b["word_ids"]))
