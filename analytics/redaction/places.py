"""Addresses and postcodes, written or spelled."""

from __future__ import annotations

import re

from analytics.redaction.cues import Cues
from analytics.redaction.kinds import ADDRESS, POSTCODE
from analytics.redaction.numbers import Atom, atoms, is_number
from analytics.redaction.reading import Reading
from analytics.redaction.runs import SOFT
from analytics.redaction.words import Stretch

_STREETS = frozenset(
    "street road lane avenue drive close court way place crescent terrace gardens grove square hill boulevard park "
    "mews row view rise walk rd ave ln blvd pl dr ct cres parade quay green highway parkway trail circle".split()
)
_SURE = frozenset("street road lane avenue crescent boulevard terrace rd ave blvd ln mews".split())
_HOMES = frozenset("flat apartment apt unit suite house".split())
_INNER = frozenset("st saint the of old new great upper lower north south east west".split())
_NO_TOWN = frozenset(
    "i i'm it it's that that's the and my yes no so what okay is we they you well thank thanks".split()
)
_POSTCODE = re.compile(r"[a-z]{1,2}[\do][a-z\d]?[\do][a-z]{2}")
_SMALL = frozenset("is at to in on of it so no my we us am pm an as be by do go he hi if me oh ok or up".split())


def addresses(reading: Reading, cues: Cues) -> list[Stretch]:
    """Return house number and street, with the flat before and the town after; one of them alone where it was asked."""
    pieces = reading.pieces
    out: list[Stretch] = []
    for at, piece in enumerate(pieces):
        if piece.norm not in _STREETS:
            continue
        first = _house_number(reading, at)
        asked = any(cue.kind == ADDRESS for cue in cues.before(pieces[at].at, 40))
        written = reading.capital(piece)
        if first >= 0 and (asked or written or piece.norm in _SURE):
            out.append(_stretch(reading, first, at, "a house number and a street", 0.85))
        elif first < 0 and asked and written and at and reading.capital(pieces[at - 1]):
            out.append(_stretch(reading, at - 1, at, "a street where an address was asked for", 0.6))
    out += _asked(reading, cues, out)
    return out


def _house_number(reading: Reading, street: int) -> int:
    """Return the first piece of the house number before a street, its flat included; -1 where there is none."""
    pieces = reading.pieces
    at = street - 1
    while at >= 0 and street - at <= 4 and pieces[at].turn == pieces[street].turn and not is_number(pieces[at].norm):
        if pieces[at].norm in SOFT and pieces[at].norm not in _INNER:
            return -1
        at -= 1
    if at < 0 or street - at < 2 or street - at > 4 or not is_number(pieces[at].norm):
        return -1
    if pieces[at].turn != pieces[street].turn:
        return -1
    while (
        at > 0
        and pieces[at - 1].turn == pieces[at].turn
        and (
            is_number(pieces[at - 1].norm)
            or pieces[at - 1].norm in _HOMES
            or pieces[at - 1].norm in ("hundred", "number")
        )
    ):
        at -= 1
    return at


def _stretch(reading: Reading, first: int, last: int, why: str, certainty: float) -> Stretch:
    """Return the stretch with the flat or house after the street and with the town ("in Norwich") where they follow."""
    pieces = reading.pieces
    turn = pieces[last].turn
    if last + 2 < len(pieces) and pieces[last + 1].norm in _HOMES and is_number(pieces[last + 2].norm):
        last += 2
    at = last + 1
    if at < len(pieces) and pieces[at].turn == turn and pieces[at].norm in ("in", "at"):
        at += 1
    elif at < len(pieces) and "." in pieces[at].before:
        at = len(pieces)
    end = at
    while end < len(pieces) and end - at < 2 and pieces[end].turn == turn and reading.capital(pieces[end]):
        if pieces[end].norm in _NO_TOWN or is_number(pieces[end].norm) or (end > at and pieces[end].before.strip()):
            break
        end += 1
    return Stretch(ADDRESS, pieces, first, end - 1 if end > at else last, why, certainty)


def _asked(reading: Reading, cues: Cues, known: list[Stretch]) -> list[Stretch]:
    """Return a number and words with capitals soon after an address was asked for."""
    pieces = reading.pieces
    covered = {k for one in known for k in range(one.first, one.last + 1)}
    out = []
    for cue in cues.all:
        if cue.kind != ADDRESS:
            continue
        for at in range(cue.last + 1, min(len(pieces) - 1, cue.last + 20)):
            after = at + 1
            if at in covered:
                break
            if not is_number(pieces[at].norm) or is_number(pieces[after].norm):
                continue
            if (
                reading.capital(pieces[after])
                and pieces[after].turn == pieces[at].turn
                and not pieces[after].before.strip()
            ):
                out.append(_stretch(reading, at, after, "a number and a name where an address was asked for", 0.6))
                break
    return out


def postcodes(reading: Reading, cues: Cues) -> list[Stretch]:
    """Return British postcodes, typed or spelled; letters in lower case count only where a postcode was asked for."""
    pieces = reading.pieces
    numbers = {atom.first: atom for atom in atoms(pieces)}
    out: list[Stretch] = []
    at = 0
    while at < len(pieces):
        end = _postcode(reading, at, numbers, cues)
        if end >= at:
            out.append(Stretch(POSTCODE, pieces, at, end, "letters and digits in the order of a postcode", 0.85))
            at = end
        at += 1
    return out


def _postcode(reading: Reading, at: int, numbers: dict[int, Atom], cues: Cues) -> int:
    pieces = reading.pieces
    if len(pieces[at].norm) > 2 or not pieces[at].norm.isalpha():
        return -1
    asked: bool | None = None
    text, best, i = "", -1, at
    while i < len(pieces) and len(text) < 7 and i - at < 10:
        norm = pieces[i].norm
        atom = numbers.get(i)
        if atom is not None and norm not in ("o", "oh") and len(atom.digits) <= 3:
            text, i = text + atom.digits, atom.last
        elif norm == "oh":
            text += "o"
        elif norm.isalpha() and len(norm) <= 2:
            if not reading.capital(pieces[i]) or (
                norm in _SMALL and not reading.turns[pieces[i].turn].written(pieces[i]).isupper()
            ):
                if asked is None:
                    asked = any(cue.kind == POSTCODE for cue in cues.before(pieces[at].at, 30))
                if not asked:
                    break
            text += norm
        elif norm not in ("and", "then", "um", "uh"):
            break
        if _POSTCODE.fullmatch(text):
            best = i
        i += 1
    return best
