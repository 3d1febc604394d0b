"""Phrase matching on spoken words: exact up to punctuation, fillers and contractions, or near up to small ASR errors.

The notation of a phrase (regular expressions are deliberately not supported: a slow one could stall a worker)

    speak to a manager          these words in this order, fillers between them ignored
    speak|talk to a|the|your    one of several words
    the?                        this word may be missing
    cancel*                     any word that begins so
    pay * today                 up to three words between (none of them a negation)
    <num>                       a number, in digits or words

A near match forgives a misheard content word (character similarity of at least 0.8 on words of five letters or more), a
missing or an additional function word; negations are never forgiven. Its score is 1 minus the share of the
phrase that was not heard as written. Near matching needs rapidfuzz; without it only exact matching happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from analytics.nlu.text import FUNCTION_WORDS, NEGATIONS, Stream, normalise

GAP_WORDS = 3
MAX_PAUSE_MS = 6_000
#: How many steps one phrase may take through one party's words; a phrase of many gaps over words said again and again
#: would take longer than anybody waits, and is then simply not found further on.
MAX_STEPS = 60_000
NEAR_TOKEN = 0.8
NEAR_MIN_LETTERS = 5
_NUMBERS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand".split()
)


class PhraseError(ValueError):
    """The phrase cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Element:
    """One place of a phrase: alternatives (token tuples), prefixes, a gap or a number."""

    exact: frozenset[tuple[str, ...]] = frozenset()
    prefixes: tuple[str, ...] = ()
    optional: bool = False
    gap: bool = False
    number: bool = False

    @property
    def weight(self) -> float:
        if self.gap or self.optional:
            return 0.0
        return 0.5 if self.functional else 1.0

    @property
    def functional(self) -> bool:
        """Whether a near match may do without this word: a function word, and never a negation."""
        return (
            bool(self.exact)
            and not self.prefixes
            and all(len(alt) == 1 and alt[0] in FUNCTION_WORDS and alt[0] not in NEGATIONS for alt in self.exact)
        )


@dataclass(frozen=True, slots=True)
class Phrase:
    """A compiled phrase; `text` is what its author wrote."""

    text: str
    elements: tuple[Element, ...]
    weight: float

    @property
    def may_be_near(self) -> bool:
        return sum(not e.functional and not e.gap and not e.optional for e in self.elements) >= 1 and self.weight >= 1.5


@dataclass(frozen=True, slots=True)
class Hit:
    """Tokens [start, end) of a stream matched `phrase`; score 1.0 is an exact match."""

    phrase: Phrase
    start: int
    end: int
    score: float

    @property
    def exact(self) -> bool:
        return self.score >= 1.0


@lru_cache(maxsize=8192)
def compile_phrase(text: str) -> Phrase:
    """Return the compiled phrase. Raises PhraseError with the reason when it cannot be read."""
    if not isinstance(text, str) or not text.strip():
        raise PhraseError("a phrase must be a non-empty text")
    elements: list[Element] = []
    for part in text.split():
        elements.extend(_elements(part, text))
    if not any(e.exact or e.prefixes or e.number for e in elements):
        raise PhraseError(f"phrase {text!r} has no word to look for")
    if elements[0].gap or elements[-1].gap:
        raise PhraseError(f"phrase {text!r} begins or ends with '*', which matches nothing in particular")
    if all(e.optional or e.gap for e in elements):
        raise PhraseError(f"phrase {text!r} has only optional words")
    return Phrase(text, tuple(elements), sum(e.weight for e in elements))


def _elements(part: str, text: str) -> list[Element]:
    if part == "*":
        return [Element(gap=True)]
    if part == "<num>":
        return [Element(number=True)]
    for letter in "()[]{}\\^$+":
        if letter in part:
            raise PhraseError(f"phrase {text!r}: {letter!r} is not part of the notation (no regular expressions)")
    optional = part.endswith("?") and len(part) > 1
    body = part[:-1] if optional else part
    if "|" not in body and not body.endswith("*"):
        return [Element(exact=frozenset({(token,)}), optional=optional) for token in normalise(body)]
    exact: set[tuple[str, ...]] = set()
    prefixes: list[str] = []
    for alternative in body.split("|"):
        stem = alternative.removesuffix("*")
        tokens = normalise(stem)
        if not tokens:
            raise PhraseError(f"phrase {text!r}: an alternative in {part!r} is empty")
        if alternative.endswith("*"):
            if len(stem) < 3:
                raise PhraseError(f"phrase {text!r}: {alternative!r} needs at least three letters before '*'")
            prefixes.append(tokens[-1])
        else:
            exact.add(tokens)
    return [Element(frozenset(exact), tuple(prefixes), optional)]


def compile_phrases(texts: Iterable[str]) -> tuple[Phrase, ...]:
    """Return all phrases compiled. Raises PhraseError for the first that cannot be read."""
    return tuple(compile_phrase(text) for text in texts)


class Similarity:
    """Which heard words resemble which phrase words, computed once per call for the whole rule pack."""

    def __init__(self, literals: Sequence[str], vocabulary: Iterable[str]) -> None:
        self.table: dict[str, dict[str, float]] = {}
        heard = [w for w in vocabulary if len(w) >= NEAR_MIN_LETTERS - 1]
        wanted = [w for w in literals if len(w) >= NEAR_MIN_LETTERS]
        if not heard or not wanted or not near_available():
            return
        import numpy as np
        from rapidfuzz import fuzz, process

        grid = process.cdist(wanted, heard, scorer=fuzz.ratio, score_cutoff=NEAR_TOKEN * 100, dtype=np.uint8)
        for i, j in zip(*np.nonzero(grid), strict=True):
            if wanted[i] != heard[j]:
                self.table.setdefault(wanted[i], {})[heard[j]] = float(grid[i, j]) / 100

    def get(self, wanted: str) -> dict[str, float]:
        return self.table.get(wanted, {})


@lru_cache(maxsize=1)
def near_available() -> bool:
    """Return whether near matching can work here (rapidfuzz is installed)."""
    try:
        import rapidfuzz  # noqa: F401
    except ImportError:
        return False
    return True


def literals(phrases: Iterable[Phrase]) -> list[str]:
    """Return every single word that the phrases look for, once each."""
    return sorted({alt[0] for p in phrases for e in p.elements for alt in e.exact if len(alt) == 1})


class _Walk:
    """Depth-first matching of one phrase from one token on, with an error budget that keeps it short."""

    def __init__(
        self, phrase: Phrase, stream: Stream, hi: int, budget: float, similar: Similarity | None, *, loose: bool = False
    ) -> None:
        self.elements, self.tokens, self.hi, self.budget = phrase.elements, stream.tokens, hi, budget
        self.similar, self.loose = similar, loose
        self.best: tuple[float, int] | None = None
        self.steps = 0

    def go(self, i: int, j: int, cost: float, last: int) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        if cost > self.budget + 1e-9 or (self.best is not None and cost >= self.best[0]):
            return
        if i == len(self.elements):
            self.best = (cost, last + 1)
            return
        element = self.elements[i]
        if element.gap:
            for skip in range(GAP_WORDS + 1):
                if any(t.norm in NEGATIONS for t in self.tokens[j : j + skip]) or j + skip > self.hi:
                    break
                self.go(i + 1, j + skip, cost, last)
            return
        if j < self.hi and (last < 0 or self.tokens[j].start_ms - self.tokens[last].end_ms <= MAX_PAUSE_MS):
            for width, extra in self._ways(element, j):
                self.go(i + 1, j + width, cost + extra, j + width - 1)
            if last >= 0:
                token = self.tokens[j].norm
                if token == self.tokens[j - 1].norm:
                    self.go(i, j + 1, cost, last)  # a stutter
                elif self.similar is not None and token in FUNCTION_WORDS and token not in NEGATIONS:
                    self.go(i, j + 1, cost + 0.35, last)
        if element.optional:
            self.go(i + 1, j, cost, last)
        elif self.similar is not None and element.functional:
            self.go(i + 1, j, cost + 0.5, last)
        elif self.loose and last >= 0 and not any(alt[0] in NEGATIONS for alt in element.exact):
            self.go(i + 1, j, cost + 1.0, last)

    def _ways(self, element: Element, j: int) -> list[tuple[int, float]]:
        token = self.tokens[j].norm
        if element.number:
            return [(1, 0.0)] if token.isdigit() or token in _NUMBERS else []
        if (token,) in element.exact or any(token.startswith(p) for p in element.prefixes):
            return [(1, 0.0)]
        ways: list[tuple[int, float]] = []
        for alt in element.exact:
            if len(alt) > 1 and tuple(t.norm for t in self.tokens[j : j + len(alt)]) == alt:
                ways.append((len(alt), 0.0))
            elif len(alt) == 1 and self.similar is not None:
                score = self.similar.get(alt[0]).get(token)
                if score is not None:
                    ways.append((1, 2 * (1 - score) * element.weight))
        return ways


def find(
    phrase: Phrase,
    stream: Stream,
    lo: int = 0,
    hi: int | None = None,
    *,
    near: float = 0.0,
    similar: Any = None,
    loose: bool = False,
) -> list[Hit]:
    """Return the hits of one phrase whose tokens lie in [lo, hi), not overlapping each other, in order.

    `near` is the lowest score that still counts; 0 means exact hits only. `similar` is this call's Similarity.
    `loose` lets content words be missing too, to find what comes near a required phrase.
    """
    end = len(stream.tokens) if hi is None else hi
    fuzzy = similar if near > 0 and phrase.may_be_near else None
    budget = (1 - near) * phrase.weight if fuzzy is not None else 0.0
    hits: list[Hit] = []
    free, steps = lo, 0
    for start, i, cost in _starts(phrase, stream, fuzzy):
        if start < free or start >= end or cost > budget + 1e-9:
            continue
        walk = _Walk(phrase, stream, end, budget, fuzzy, loose=loose)
        walk.steps = steps
        walk.go(i, start, cost, -1)
        steps = walk.steps
        if walk.best is not None:
            spent, stop = walk.best
            hits.append(Hit(phrase, start, stop, round(1 - spent / phrase.weight, 4) if spent else 1.0))
            free = stop
    return hits


def _starts(phrase: Phrase, stream: Stream, similar: Similarity | None) -> list[tuple[int, int, float]]:
    """Return (token, element, cost so far) from which the phrase could begin."""
    out: dict[int, tuple[int, float]] = {}
    cost = 0.0
    for i, element in enumerate(phrase.elements):
        for norm, at in _candidates(element, stream, similar):
            for position in at:
                if position not in out or out[position][1] > cost:
                    out[position] = (i, cost)
            del norm
        if element.optional:
            continue
        if similar is not None and element.functional and i == 0:
            cost += 0.5
            continue
        break
    return [(position, i, c) for position, (i, c) in sorted(out.items())]


def _candidates(element: Element, stream: Stream, similar: Similarity | None) -> Iterable[tuple[str, tuple[int, ...]]]:
    for alt in element.exact:
        if alt[0] in stream.positions:
            yield alt[0], stream.positions[alt[0]]
        if similar is not None and len(alt) == 1:
            for norm in similar.get(alt[0]):
                if norm in stream.positions:
                    yield norm, stream.positions[norm]
    if element.prefixes or element.number:
        for norm, at in stream.positions.items():
            if any(norm.startswith(p) for p in element.prefixes) or (
                element.number and (norm.isdigit() or norm in _NUMBERS)
            ):
                yield norm, at


def find_any(
    phrases: Iterable[Phrase],
    stream: Stream,
    lo: int = 0,
    hi: int | None = None,
    *,
    near: float = 0.0,
    similar: Any = None,
    loose: bool = False,
) -> list[Hit]:
    """Return the hits of several phrases in order; of two that overlap the better one stays."""
    every = [h for p in phrases for h in find(p, stream, lo, hi, near=near, similar=similar, loose=loose)]
    every.sort(key=lambda h: (-h.score, -(h.end - h.start), h.start))
    kept: list[Hit] = []
    for hit in every:
        if all(hit.end <= k.start or hit.start >= k.end for k in kept):
            kept.append(hit)
    return sorted(kept, key=lambda h: h.start)


def best_near_miss(phrases: Iterable[Phrase], stream: Stream, lo: int, hi: int, similar: Any) -> Hit | None:
    """Return the closest thing to any of the phrases in [lo, hi), at a score of 0.5 or more, or None."""
    hits = find_any(phrases, stream, lo, hi, near=0.5, similar=similar, loose=True)
    return max(hits, key=lambda h: h.score, default=None)
