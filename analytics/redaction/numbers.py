"""Numbers as people say them, turned into the digits they mean; each remembers which pieces said it.

"double five", "three zeros", "forty two", "twenty-one hundred", "one thousand two hundred and six", "4532" and "oh"
are all one atom. Nothing here decides what a number is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.redaction.reading import Piece

UNITS = {name: value for value, name in enumerate("zero one two three four five six seven eight nine".split())} | {
    "oh": 0, "o": 0, "nought": 0, "naught": 0, "nil": 0, "ought": 0, "aught": 0, "niner": 9, "fower": 4,
    "fife": 5, "tree": 3, "nein": 9, "sero": 0, "null": 0,
}  # fmt: skip
TEENS = {
    name: value + 10
    for value, name in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
    )
}
TENS = {
    name: value * 10 for value, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
TENS |= {"fourty": 40, "ninty": 90}
PLURALS = {name + ("es" if name == "six" else "s"): value for name, value in UNITS.items() if name != "o"} | {
    "zeroes": 0,
    "os": 0,
    "fives": 5,
}
REPEATS = {"double": 2, "dubble": 2, "triple": 3, "treble": 3, "tripple": 3, "quadruple": 4}
# Words that a recogniser writes for a digit; they count only between two digits that are sure.
SOUNDALIKES = {
    "to": 2, "too": 2, "for": 4, "fore": 4, "ate": 8, "won": 1, "free": 3, "sex": 6, "sicks": 6, "a": 8, "owe": 0,
    "fine": 5, "hate": 8,
}  # fmt: skip
_LETTER_ZEROS = frozenset({"oh", "o", "ought", "nil", "null", "tree"})
_NOT_ONE_AFTER = frozenset(
    "this that which no any another new old other every each right wrong same first last next only some".split()
)


@dataclass(frozen=True, slots=True)
class Atom:
    """One number: `digits` as said, from pieces [first, last] of its stream. `spoken` is False where it was written."""

    digits: str
    first: int
    last: int
    spoken: bool


def is_number(norm: str) -> bool:
    """Return whether a piece by itself says digits for sure (so not "oh", which is mostly a sigh)."""
    return norm.isdecimal() or norm in TEENS or norm in TENS or (norm in UNITS and norm not in _LETTER_ZEROS)


def atoms(stream: Sequence[Piece]) -> list[Atom]:
    """Return the numbers of one stream in order; no piece is in two of them."""
    out: list[Atom] = []
    at = 0
    while at < len(stream):
        found = _atom(stream, at)
        if found is None:
            at += 1
            continue
        out.append(found)
        at = found.last + 1
    return out


def _atom(stream: Sequence[Piece], at: int) -> Atom | None:
    norm = stream[at].norm
    if norm in REPEATS:
        return _repeated(stream, at)
    counted = _counted(stream, at)
    if counted is not None:
        return counted
    if norm in _LETTER_ZEROS:
        value = UNITS[norm]
        return Atom(str(value), at, at, True) if _beside_digits(stream, at) else None
    if norm in SOUNDALIKES:
        sure = at > 0 and at + 1 < len(stream) and _sure(stream, at - 1) and _sure(stream, at + 1)
        return Atom(str(SOUNDALIKES[norm]), at, at, True) if sure else None
    if norm == "one" and at and stream[at - 1].norm in _NOT_ONE_AFTER and stream[at - 1].turn == stream[at].turn:
        return None
    if norm.isdecimal() or norm in UNITS or norm in TEENS or norm in TENS:
        return _counting(stream, at)
    return None


def _sure(stream: Sequence[Piece], at: int) -> bool:
    return 0 <= at < len(stream) and (is_number(stream[at].norm) or stream[at].norm in ("oh", "o", *REPEATS))


def _beside_digits(stream: Sequence[Piece], at: int) -> bool:
    """Return whether digits stand beside an "oh", other such zeros between them allowed for."""
    turn = stream[at].turn
    if any(0 <= k < len(stream) and stream[k].norm in ("oh", "o") and stream[k].turn == turn for k in (at - 1, at + 1)):
        return stream[at].norm in ("oh", "o")  # two in a row are hardly a sigh
    more = at + 1 < len(stream) and stream[at + 1].turn == turn
    # "... three one. Oh, wonderful": a sigh begins a sentence and something follows that is no digit.
    sigh = more and any(mark in stream[at].before for mark in ".?!")
    for step in (1,) if sigh else (-1, 1):
        near = at + step
        while 0 <= near < len(stream) and abs(near - at) < 6 and stream[near].norm in _LETTER_ZEROS:
            near += step
        if 0 <= near < len(stream) and stream[near].turn == turn:
            if is_number(stream[near].norm) or stream[near].norm in REPEATS:
                return True
    return False


def _repeated(stream: Sequence[Piece], at: int) -> Atom | None:
    times, i = 1, at
    while i < len(stream) and stream[i].norm in REPEATS and i - at < 3:
        times *= REPEATS[stream[i].norm]
        i += 1
    if i >= len(stream):
        return None
    norm = stream[i].norm
    value = UNITS.get(norm, SOUNDALIKES.get(norm) if norm != "a" else None)
    if value is None:
        number = TENS.get(norm, TEENS.get(norm))
        if number is None:
            if not norm.isdecimal() or len(norm) > 2:
                return None
            return Atom(norm * times, at, i, True)
        return Atom(str(number) * times, at, i, True)
    return Atom(str(value) * times, at, i, True)


def _counted(stream: Sequence[Piece], at: int) -> Atom | None:
    """Return "four fives" and "three zeros"."""
    if at + 1 >= len(stream):
        return None
    count = UNITS.get(stream[at].norm)
    if count is None and stream[at].norm in "23456789":
        count = int(stream[at].norm)
    value = PLURALS.get(stream[at + 1].norm)
    if count is None or value is None or count < 2:
        return None
    return Atom(str(value) * count, at, at + 1, True)


def _counting(stream: Sequence[Piece], at: int) -> Atom:
    """Return the number that begins here: tens and units, hundreds and thousands, each as long as it makes sense."""
    group, last = _below_hundred(stream, at)
    spoken = not stream[at].is_digits
    total = 0
    digits = ""
    if len(group) <= 2 and not group.startswith("0"):
        total, last, digits = _scaled(stream, last, int(group))
    return Atom(digits or group, at, last, spoken)


def _scaled(stream: Sequence[Piece], last: int, value: int) -> tuple[int, int, str]:
    """Return (value, last piece, digits) of "... hundred ..." or "... thousand ...", else no digits."""
    norm = stream[last + 1].norm if last + 1 < len(stream) else ""
    if norm == "thousand":
        last, total = last + 1, value * 1000
        if last + 2 < len(stream) and stream[last + 2].norm == "hundred" and stream[last + 1].norm in UNITS:
            total, last = total + UNITS[stream[last + 1].norm] * 100, last + 2
        rest, last = _rest(stream, last)
        return total + rest, last, str(total + rest)
    if norm != "hundred":
        return value, last, ""
    last, total = last + 1, value * 100
    rest, last = _rest(stream, last)
    return total + rest, last, str(total + rest)


def _rest(stream: Sequence[Piece], last: int) -> tuple[int, int]:
    """Return what is added after "hundred" (with its "and") and the last piece of it."""
    joined = last + 1 < len(stream) and stream[last + 1].norm == "and"
    at = last + 2 if joined else last + 1
    if at >= len(stream):
        return 0, last
    norm = stream[at].norm
    follows = norm in TENS or norm in TEENS or (joined and norm in UNITS and UNITS[norm] > 0)
    # "two hundred forty" is one number; "two hundred, forty" read out as groups is two.
    if not follows or (not joined and not _same_breath(stream, at - 1)):
        return 0, last
    group, last = _below_hundred(stream, at)
    return int(group), last


def _same_breath(stream: Sequence[Piece], at: int) -> bool:
    """Return whether the next piece follows in the same turn without a comma or a full stop between."""
    after = stream[at + 1]
    return after.turn == stream[at].turn and not any(mark in after.before for mark in ",.;")


def _below_hundred(stream: Sequence[Piece], at: int) -> tuple[str, int]:
    norm = stream[at].norm
    if norm.isdecimal():
        return norm, at
    if norm in UNITS:
        return str(UNITS[norm]), at
    if norm in TEENS:
        return str(TEENS[norm]), at
    after = stream[at + 1] if at + 1 < len(stream) else None
    if after is not None and UNITS.get(after.norm, 0) > 0 and _same_breath(stream, at):
        return str(TENS[norm] + UNITS[after.norm]), at + 1
    return str(TENS[norm]), at


def says_digits(word: str) -> bool:
    """Return whether a written word says digits, alone or among others: "4242", "four", "double", "oh", "sixes"."""
    pieces = [piece for piece in re.split(r"[^\w]+|_", word.lower()) if piece]
    return any(
        any(letter.isdecimal() for letter in piece)
        or is_number(piece)
        or piece in REPEATS
        or piece in PLURALS
        or piece in _LETTER_ZEROS
        for piece in pieces
    )
