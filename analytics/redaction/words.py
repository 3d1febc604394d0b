"""E-mail addresses, typed or spelled aloud, and international account numbers: letters and digits in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.redaction.cues import Cues
from analytics.redaction.kinds import ACCOUNT, EMAIL
from analytics.redaction.numbers import REPEATS, TEENS, TENS, UNITS
from analytics.redaction.reading import FILLERS, Piece

# Said without an ending ("at gmail"); names of firms that people are called at are left out.
_PROVIDERS = frozenset("gmail googlemail hotmail outlook yahoo icloud aol btinternet protonmail ymail gmx".split())
_ENDINGS = frozenset(
    "com org net edu gov co uk de fr ie io info biz eu us ca au nz es it nl ch at me ac dotcom".split()
)
_JOINS = frozenset("dot underscore dash hyphen plus point score minus".split())
_STOPS = frozenset(
    "is it's its email mail address that's thats that my the to so and yes yeah okay ok sure it at on e send was use "
    "says please no sorry well um uh all lower lowercase case be would with for by your i".split()
)
_DIGIT_WORDS = UNITS.keys() | TEENS.keys() | TENS.keys() | REPEATS.keys()
LONGEST_LOCAL = 40


@dataclass(frozen=True, slots=True)
class Stretch:
    """Pieces [first, last] of a stream are of this kind.

    `digits` are the pieces that say digits, where the rest are small words between them; None where every piece counts.
    """

    kind: str
    stream: Sequence[Piece]
    first: int
    last: int
    why: str
    certainty: float
    digits: frozenset[int] | None = None


def emails(stream: Sequence[Piece], cues: Cues) -> list[Stretch]:
    """Return the e-mail addresses of one stream. They may be typed, spelled, or half of each, and cross turns."""
    out: list[Stretch] = []
    for at, piece in enumerate(stream):
        typed = "@" in piece.before
        if not typed and piece.norm != "at":
            continue
        end = _domain(stream, at if typed else at + 1)
        if end < 0:
            continue
        first = _local(stream, at - 1)
        if first <= at - 1:
            why = "typed with an at sign" if typed else "letters and words, 'at' and a domain, spelled aloud"
            out.append(Stretch(EMAIL, stream, first, end, why, 0.95 if typed else 0.9))
    return out + _by_cue(stream, cues, out)


def _domain(stream: Sequence[Piece], at: int) -> int:
    """Return the last piece of the domain that begins at `at`; -1 where none does."""
    dotted, last, i = False, -1, at
    while i < len(stream) and i - at < 24:
        piece = stream[i]
        norm = piece.norm
        if norm in FILLERS:
            i += 1
            continue
        if norm == "dot" or norm == "point":
            if i + 1 >= len(stream):
                break
            dotted, last, i = True, i + 1, i + 2
            continue
        if i > at and piece.before == "." and (norm in _ENDINGS or dotted or len(norm) <= 12):
            dotted, last = True, i
        elif norm == "dotcom":
            return i
        elif dotted or piece.turn != stream[at].turn and i - at > 3:
            break
        elif norm in _PROVIDERS and i - at <= 1 and (i + 1 == len(stream) or not _dots(stream[i + 1])):
            return i
        i += 1
        if not dotted and i - at > 4 and not (len(norm) == 1 or norm in _DIGIT_WORDS):
            break
    return last if dotted and _ends_well(stream, last) else -1


def _dots(piece: Piece) -> bool:
    return piece.norm in ("dot", "point", "dotcom") or piece.before == "."


def _ends_well(stream: Sequence[Piece], last: int) -> bool:
    return stream[last].norm in _ENDINGS or (2 <= len(stream[last].norm) <= 6 and not stream[last].is_digits)


def _local(stream: Sequence[Piece], at: int) -> int:
    """Return the first piece of the local part that ends at `at`."""
    first = at + 1
    words = 0
    i = at
    while i >= 0 and at - i < LONGEST_LOCAL:
        piece, norm = stream[i], stream[i].norm
        after = stream[i + 1]
        glued = bool(after.before) and not any(c.isspace() for c in after.before) and after.turn == piece.turn
        if norm in FILLERS:
            i -= 1
            continue
        if norm in _JOINS or len(norm) == 1 or piece.is_digits or norm in _DIGIT_WORDS:
            first = i
        elif glued or norm == "double":
            first = i
        elif norm in _STOPS:
            break
        elif after.norm in _JOINS or (i > 0 and stream[i - 1].norm in _JOINS):
            first = i
        elif words < 2 and not any(mark in after.before for mark in ".?!"):
            words += 1
            first = i
        else:
            break
        i -= 1
    while first <= at and stream[first].norm in ("a", "i") and first < at and stream[first + 1].norm not in _JOINS:
        if len(stream[first + 1].norm) == 1:
            break
        first += 1
    return first


def _by_cue(stream: Sequence[Piece], cues: Cues, found: Sequence[Stretch]) -> list[Stretch]:
    """Return what ends in "dot com" or the like after an e-mail was asked for, though no "at" was recognised."""
    taken = {k for one in found for k in range(one.first, one.last + 1)}
    out = []
    for at in range(1, len(stream) - 1):
        if at in taken or stream[at].norm != "dot" or stream[at + 1].norm not in _ENDINGS:
            continue
        if any(cue.kind == EMAIL for cue in cues.before(stream[at].at, 40)):
            first = _local(stream, at - 1)
            if first < at:
                why = "ends like a domain where an e-mail was asked for"
                out.append(Stretch(EMAIL, stream, first, at + 1, why, 0.7))
    return out


def ibans(stream: Sequence[Piece]) -> list[Stretch]:
    """Return international account numbers, typed in one go or in groups, whose check digits are right."""
    out: list[Stretch] = []
    at = 0
    while at < len(stream):
        end = _iban(stream, at)
        if end > at:
            out.append(
                Stretch(ACCOUNT, stream, at, end, "an international account number with right check digits", 0.99)
            )
            at = end
        at += 1
    return out


def _iban(stream: Sequence[Piece], at: int) -> int:
    if at + 1 >= len(stream) or len(stream[at].norm) != 2 or not stream[at].norm.isascii() or stream[at].is_digits:
        return -1
    if not stream[at + 1].is_digits or stream[at + 1].before:
        return -1
    text, last = "", -1
    for i in range(at, min(len(stream), at + 24)):
        norm = stream[i].norm
        if stream[i].turn != stream[at].turn or not (norm.isascii() and norm.isalnum()) or len(text) + len(norm) > 34:
            break
        text += norm
        if len(text) >= 15 and sum(letter.isdigit() for letter in text) >= 8:
            turned = text[4:] + text[:4]
            if int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1:
                last = i
    return last
