"""The labelled turns and excerpts that understanding is measured on, as transcripts, clean or misheard.

The texts are in tests/nlu; each file has a part `dev`, which may be looked at, and a part `test`, which is only scored.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

TEXTS = Path(__file__).resolve().parents[1] / "tests" / "nlu"
PARTS = ("dev", "test")
WORDS_PER_SECOND = 3.0
PAUSE_MS = 400
MISHEARD_PROBABILITY = 0.5
BY_THE_BOOK = (
    ("agent", "Thank you for calling Acme, my name is Anna and this call is recorded. How can I help you today?"),
    ("customer", "Hello, I have a question for you."),
    ("agent", "Of course. Can I take your full name and your date of birth please, for security?"),
    ("customer", "Yes it's Mary Jones and the first of May nineteen seventy."),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One labelled turn; `tag` says what makes it hard."""

    party: str
    label: str
    tag: str
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn of an excerpt. `pause_s` in seconds is the silence before it."""

    party: str
    text: str
    pause_s: float = PAUSE_MS / 1000
    probability: float = 0.93
    words_per_second: float = WORDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a call: `expect` must be raised, `may` neither counts for nor against, all else is a false alarm."""

    about: str
    expect: frozenset[str]
    may: frozenset[str]
    turns: tuple[Spoken, ...]
    opening: bool = False
    text: str = field(default="", compare=False)


def _part(name: str, part: str) -> list[Any]:
    if part not in PARTS:
        raise ValueError(f"the part must be one of {', '.join(PARTS)}, not {part!r}")
    return _file(name)[part]


@lru_cache(maxsize=4)
def _file(name: str) -> dict[str, list[Any]]:
    return yaml.safe_load((TEXTS / name).read_text(encoding="utf-8"))


def sentiment_turns(part: str) -> list[Turn]:
    """Return the labelled turns of `dev` or `test`. Raises ValueError for another part."""
    return [Turn(*row) for row in _part("sentiment_turns.yaml", part)]


def risk_excerpts(part: str) -> list[Excerpt]:
    """Return the labelled excerpts of `dev` or `test`. Raises ValueError for another part."""
    out = []
    for row in _part("risk_excerpts.yaml", part):
        turns = tuple(Spoken(t[0], t[1], **(t[2] if len(t) > 2 else {})) for t in row["turns"])
        said = " / ".join(f"{t.party[0]}: {t.text}" for t in turns)
        expect, may = frozenset(row["expect"]), frozenset(row.get("may", ()))
        out.append(Excerpt(row["about"], expect, may, turns, bool(row.get("opening")), said))
    return out


def transcript(excerpt: Excerpt, misheard: Mishearing | None = None) -> dict[str, Any]:
    """Return the speech side's JSON of an excerpt, after an opening by the book unless it is one itself.

    With `misheard` the words of the excerpt pass through it; what it changed gets a probability of 0.5.
    """
    spoken = excerpt.turns if excerpt.opening else (*(Spoken(p, t) for p, t in BY_THE_BOOK), *excerpt.turns)
    now, turns = 0, []
    for index, turn in enumerate(spoken):
        now += round(turn.pause_s * 1000)
        own = index >= len(spoken) - len(excerpt.turns)
        heard = list(misheard.words(turn.text.split())) if misheard and own else [(w, True) for w in turn.text.split()]
        step = round(1000 / turn.words_per_second)
        words = []
        for text, right in heard:
            probability = turn.probability if right else min(turn.probability, MISHEARD_PROBABILITY)
            words.append({"text": text, "start_ms": now, "end_ms": now + step * 9 // 10, "probability": probability})
            now += step
        if words:
            last = words[-1]["end_ms"]
            turns.append({"index": index, "party": turn.party, "start_ms": words[0]["start_ms"], "end_ms": last})
            turns[-1] |= {"words": words, "text": " ".join(w["text"] for w in words)}
    return {"schema_version": 1, "turns": turns, "duration_ms": now, "language": "en", "mapping": {"confidence": 1.0}}


class Mishearing:
    """Recognition errors as they happen on the telephone, the same for the same seed: of ten wrong words about six are
    replaced by one that sounds alike, two are lost and two are made up (a stutter or a small word).
    """

    def __init__(self, vocabulary: Iterable[str], *, rate: float = 0.1, seed: int = 1) -> None:
        if not 0 <= rate < 1:
            raise ValueError("rate is a share of words: from 0 up to, not including, 1")
        self.rate, self.random = rate, random.Random(seed)
        self.by_sound: dict[str, list[str]] = {}
        for word in sorted({_plain(w) for w in vocabulary} - {""}):
            self.by_sound.setdefault(sound(word), []).append(word)

    def words(self, words: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """Yield (word, whether it was heard right) for what the recogniser would write of `words`."""
        for word in words:
            draw = self.random.random() / self.rate if self.rate else 1.0
            if draw >= 1:
                yield word, True
            elif draw < 0.6:
                yield self.alike(word), False
            elif draw >= 0.8:
                yield word, True
                yield self.random.choice((_plain(word) or "uh", "the", "a", "and", "to", "it", "you")), False

    def alike(self, word: str) -> str:
        """Return another word that sounds like this one; the word blurred in its last sound when there is none."""
        plain = _plain(word)
        key = sound(plain)
        near = [w for k in _near_keys(key) for w in self.by_sound.get(k, ()) if w != plain]
        near.sort(key=lambda w: (abs(len(w) - len(plain)) + 2 * (w[:1] != plain[:1]), w))
        return self.random.choice(near[:3]) if near else plain[:-1] or "uh"


_CLASSES = {letter: c for c, letters in enumerate(("bp", "fv", "cgkqxjsz", "dt", "l", "mn", "r")) for letter in letters}
_SILENT = (("ght", "t"), ("kn", "n"), ("wr", "r"), ("ph", "f"), ("th", "t"), ("ck", "k"), ("wh", "w"))


def sound(word: str) -> str:
    """Return the consonants of a written word as classes of sound ("bill" and "pull" share one), for likeness only."""
    for written, heard in _SILENT:
        word = word.replace(written, heard)
    out = ""
    for letter in word:
        code = str(_CLASSES.get(letter, ""))
        if code and code != out[-1:]:
            out += code
    return out


def _near_keys(key: str) -> list[str]:
    """Return the key itself, then those with one class of sound less or another in its place."""
    less = [key[:i] + key[i + 1 :] for i in range(len(key))] if len(key) > 1 else []
    other = [key[:i] + str(c) + key[i + 1 :] for i in range(len(key)) for c in range(7)]
    return list(dict.fromkeys((key, *less, *other)))


def _plain(word: str) -> str:
    return word.strip(".,?!\"'").lower()


def vocabulary() -> set[str]:
    """Return every word of the labelled excerpts, what a misheard word may turn into."""
    return {w for part in PARTS for e in risk_excerpts(part) for t in e.turns for w in t.text.split()}
