"""Birth dates, and card expiry dates that name their month; other dates are nobody's secret."""

from __future__ import annotations

from analytics.redaction.cues import CARD_WEAK, Cue, Cues
from analytics.redaction.kinds import BIRTH_DATE, CARD_CODE, CARD_EXPIRY, CARD_NUMBER
from analytics.redaction.numbers import is_number
from analytics.redaction.reading import FILLERS, Piece, Reading
from analytics.redaction.words import Stretch

_MONTHS = frozenset(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec".split()
)
_ORDINALS = frozenset(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth thirtieth st nd rd th".split()
)
_BETWEEN = FILLERS | frozenset("of the in and oh o hundred thousand it's slash stroke dash".split())
AHEAD = {BIRTH_DATE: 45, CARD_EXPIRY: 20}
LONGEST = 16
CARD_BEFORE = 300


def dates(reading: Reading, cues: Cues) -> list[Stretch]:
    """Return the dates that were asked for as a birth date or as a card's expiry."""
    out = []
    for cue in cues.all:
        if cue.kind == BIRTH_DATE or (cue.kind == CARD_EXPIRY and _of_a_card(cue, cues)):
            found = _date(reading, cue, cues.pieces)
            if found is not None:
                why = (
                    "a date where a birth date was asked for"
                    if cue.kind == BIRTH_DATE
                    else "a month where an expiry was asked for"
                )
                out.append(Stretch(cue.kind, reading.pieces, *found, why, 0.85))
    return out


def _of_a_card(cue: Cue, cues: Cues) -> bool:
    """Return whether something of a card expires: an offer may expire in March without being a secret."""
    if cue.last - cue.first >= 1:
        return True
    around = cues.before(cue.first, CARD_BEFORE) + cues.after(cue.last, 10)
    return any(other.kind in (CARD_NUMBER, CARD_WEAK, CARD_CODE) for other in around)


def _date(reading: Reading, cue: Cue, named: frozenset[int]) -> tuple[int, int] | None:
    """Return the first and last piece of the first date after a cue."""
    pieces = reading.pieces
    at = cue.last + 1
    stop = min(len(pieces), at + AHEAD[cue.kind])
    while at < stop:
        if _part(pieces[at]) and (at not in named or _month(pieces[at])):
            end, months, numbers = _end(pieces, at, named)
            complete = numbers >= 2 or (months and numbers) or len(pieces[at].norm) >= 4 and pieces[at].is_digits
            if complete if cue.kind == BIRTH_DATE else months and numbers:
                return at, end
            at = end
        at += 1
    return None


def _month(piece: Piece) -> bool:
    return piece.norm in _MONTHS


def _part(piece: Piece) -> bool:
    return piece.norm in _MONTHS or piece.norm in _ORDINALS or is_number(piece.norm)


def _end(pieces: list[Piece], at: int, named: frozenset[int]) -> tuple[int, int, int]:
    """Return the last piece of a row of date parts, and how many months and numbers are in it."""
    end, months, numbers = at, 0, 0
    for i in range(at, min(len(pieces), at + LONGEST)):
        if i in named and not _month(pieces[i]):
            break  # "the three digits on the back" is another question
        if _part(pieces[i]):
            end = i
            months += pieces[i].norm in _MONTHS
            numbers += pieces[i].norm not in _MONTHS
        elif pieces[i].norm not in _BETWEEN:
            break
    return end, months, numbers
