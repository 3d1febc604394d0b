"""How many words of a turn are likely wrong, and how many were. Pure: no database, no clock.

The expectation of a word is one minus the probability that the model gave it, raised where the word is rare in this
house, and raised further where it almost is a term of the vocabulary: models mishear names as something alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from asr_worker.normalise import normalise

RARE = 0.2
NEAR_MISS = 0.5
#: One turn in this many is a spot check, whatever the model thinks of it.
SPOT_CHECK_EVERY = 10


def plain(text: str) -> str:
    """Return letters and digits only, in one case: how words are compared with terms."""
    return "".join(c for c in text.casefold() if c.isalnum())


def word_hash(word: str) -> int:
    """Return a signed 64-bit number for a word, so that a table can count words without holding them."""
    return int.from_bytes(hashlib.blake2b(plain(word).encode(), digest_size=8).digest(), "big", signed=True)


class Vocabulary:
    """Terms of a team, ready to tell which heard words are near misses of one.

    A near miss differs from a term by at most one letter (terms of 4 to 7 letters) or two (8 and more), or only by
    where the words are parted ("North wind" for "Northwind"). A term itself is never one.
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self._exact: set[tuple[str, ...]] = set()
        self._joined: dict[str, tuple[str, ...]] = {}
        self._near: dict[str, set[str]] = {}
        for term in terms:
            parts = tuple(filter(None, (plain(word) for word in term.split())))
            joined = "".join(parts)
            if len(joined) < 4:
                continue
            self._exact.add(parts)
            self._joined[joined] = parts
            for variant in _deletions(joined, _reach(joined)):
                self._near.setdefault(variant, set()).add(joined)

    def near_misses(self, words: Sequence[str]) -> dict[int, str]:
        """Return, for each place of `words` that is part of a near miss, the term it may be (letters only)."""
        found: dict[int, str] = {}
        if not self._joined:
            return found
        parts = [plain(word) for word in words]
        taken = {
            n
            for size in (1, 2, 3)
            for start in range(len(parts) - size + 1)
            if tuple(parts[start : start + size]) in self._exact
            for n in range(start, start + size)
        }
        for size in (1, 2, 3):
            for start in range(len(parts) - size + 1):
                places = range(start, start + size)
                if taken.intersection(places) or any(n in found for n in places) or not parts[start]:
                    continue
                term = self._term("".join(parts[start : start + size]))
                if term:
                    found.update(dict.fromkeys(places, term))
        return found

    def _term(self, heard: str) -> str:
        if heard in self._joined:
            return heard
        if len(heard) < 3:
            return ""
        candidates = {t for variant in _deletions(heard, 2) for t in self._near.get(variant, ())}
        for term in sorted(candidates):
            if letters_apart(heard, term, _reach(term)) <= _reach(term):
                return term
        return ""


def expected_errors(
    words: Sequence[tuple[str, float | None]], vocabulary: Vocabulary, rare: Callable[[str], bool]
) -> float:
    """Return the expected number of wrong words; a word with no probability counts as written by a person: 0."""
    misses = vocabulary.near_misses([text for text, _ in words])
    total = 0.0
    for place, (text, probability) in enumerate(words):
        if probability is None:
            continue
        doubt = 1.0 - probability + (RARE if rare(text) else 0.0) + (NEAR_MISS if place in misses else 0.0)
        total += min(1.0, max(0.0, doubt))
    return round(total, 4)


def wrong_words(heard: str, right: str) -> tuple[int, int]:
    """Return (words that were said, errors in what was heard) by the normaliser of every word error rate here."""
    a, b = normalise(heard).split(), normalise(right).split()
    said = len(b)
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return said, row[-1]


def spot_check(name: str) -> int | None:
    """Return the place of a segment among the spot checks, or None where it is none. Decided by its name alone."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    return (number >> 16) if number % SPOT_CHECK_EVERY == 0 else None


def letters_apart(a: str, b: str, limit: int) -> int:
    """Return the edit distance of two words, or limit + 1 where it is more than `limit`."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
        if min(row) > limit:
            return limit + 1
    return row[-1]


def _reach(term: str) -> int:
    return 2 if len(term) >= 8 else 1


def _deletions(word: str, most: int) -> set[str]:
    """Return the word with up to `most` letters left out: words at edit distance `most` share one of these."""
    if len(word) > 24:
        most = min(most, 1)
    found = {word}
    for count in range(1, most + 1):
        for gone in combinations(range(len(word)), count):
            found.add("".join(c for n, c in enumerate(word) if n not in gone))
    return found
