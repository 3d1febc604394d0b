"""Digits that were said in one go, across hesitations, corrections and the other party's answers.

A segment is read out with nothing but small words between its digits. A chain is a row of segments with something
else between them (a stall, a sentence) but no word that opens another subject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analytics.redaction.cues import CARD_WEAK, Cues
from analytics.redaction.kinds import CARD_NUMBER
from analytics.redaction.numbers import Atom, atoms, is_number
from analytics.redaction.reading import FILLERS, Piece

SOFT = FILLERS | frozenset(
    "okay ok yes yeah yep yup right so and then dash hyphen space slash stroke of that's thats that is it's its "
    "it the next sorry no not wait i mean i'm correction hang on hold let me see say start again bear with a "
    "second moment sec just well oh last ones digits digit numbers number first finally lastly followed by got "
    "comma you ready rest go scratch actually rather my mistake wrong oops was should be there here we are "
    "after before double triple treble minute tick done all good now lovely great perfect thanks thank please".split()
)
REGRETS = frozenset("no sorry wait correction scratch mean rather actually wrong mistake again oops".split())
_UNITS = frozenset(
    "pound pounds quid pence p penny dollar dollars buck bucks cent cents euro euros percent per day days week weeks "
    "working month months year years hour hours minute minutes mins second seconds sec secs moment o'clock am pm times "
    "people person kids children megabytes megs mbps gig gigs kilowatt units unit cards accounts calls letters "
    "digit digits numbers letters thing more other others bedroom bedrooms half".split()
)
_CURRENCY = frozenset("£$€%")
TIGHT_WORDS, TIGHT_STRANGERS = 14, 2
LOOSE_WORDS = 16
TIGHT_OTHERS, LOOSE_OTHERS = 22, 40
LONGEST_PAUSE_MS = 90_000
FEW = 4
ENOUGH = 13


@dataclass(frozen=True, slots=True)
class Segment:
    """Digits said in one go, from pieces [first, last] of `stream`; `atoms` point into the stream too.

    `regrets` counts the places where a correction may lie. A `stray` one is a small number in a sentence about
    something else ("twelve on the list"), unless it is what is left of a misheard group.
    """

    stream: Sequence[Piece]
    atoms: tuple[Atom, ...]
    regrets: int
    stray: bool = False

    @property
    def first(self) -> int:
        return self.atoms[0].first

    @property
    def last(self) -> int:
        return self.atoms[-1].last

    @property
    def first_at(self) -> int:
        return self.stream[self.first].at

    @property
    def last_at(self) -> int:
        return self.stream[self.last].at

    @property
    def digits(self) -> str:
        return "".join(atom.digits for atom in self.atoms)


def segments(stream: Sequence[Piece], cues: Cues) -> list[Segment]:
    """Return the segments of one stream in order, without amounts and counts ("two cards", "£40", "ten days")."""
    out: list[Segment] = []
    open_: list[Atom] = []
    regrets = 0
    found = [a for a in atoms(stream) if stream[a.first].at not in cues.pieces and not _counts_digits(stream, a)]
    figures = _figures(stream, found)
    amount = False
    for at, atom in enumerate(found):
        amount = at in figures or _is_amount(stream, atom, amount)
        # In "... nine five six, second line" the last digit of a long number only looks like a count.
        goes_on = (
            bool(open_) and open_[-1].last + 1 == atom.first and stream[atom.first].turn == stream[atom.first - 1].turn
        )
        if amount and not (goes_on and atom.spoken and sum(len(a.digits) for a in open_) >= 8):
            if open_:
                out.append(Segment(stream, tuple(open_), regrets))
            open_, regrets = [], 0
            continue
        size = sum(len(a.digits) for a in open_[-4:])
        if open_ and not _tight(stream, open_[-1], atom, size, cues):
            out.append(Segment(stream, tuple(open_), regrets))
            open_, regrets = [], 0
        elif open_:
            between = [stream[k].norm for k in range(open_[-1].last + 1, atom.first)]
            regrets += any(norm in REGRETS or norm not in SOFT for norm in between)
        open_.append(atom)
    if open_:
        out.append(Segment(stream, tuple(open_), regrets))
    strangers = _strangers(stream)
    return [replace(s, stray=True) if len(s.digits) <= 2 and strangers[stream[s.first].turn] > 1 else s for s in out]


def _strangers(stream: Sequence[Piece]) -> Counter[int]:
    """Return per turn how many words are neither digits nor what is said between them."""
    return Counter(piece.turn for piece in stream if piece.norm not in SOFT and not is_number(piece.norm))


def _counts_digits(stream: Sequence[Piece], atom: Atom) -> bool:
    """Return whether a number says how many digits are meant: the four of "and the next four?"."""
    if len(atom.digits) > 1 or atom.first != atom.last or not atom.first:
        return False
    before, at = stream[atom.first - 1], stream[atom.first]
    if before.norm not in ("next", "last", "first", "other", "final") or before.turn != at.turn:
        return False
    follows = stream[atom.last + 1] if atom.last + 1 < len(stream) else None
    return follows is None or follows.turn != at.turn or not is_number(follows.norm)


def _figures(stream: Sequence[Piece], found: Sequence[Atom]) -> set[int]:
    """Return which numbers are a date in figures, such as 6/2/2025, or a fraction with many places."""
    out: set[int] = set()
    for at in range(2, len(found)):
        three = found[at - 2 : at + 1]
        marks = {stream[atom.first].before for atom in three[1:]}
        sizes = [len(atom.digits) for atom in three]
        if (
            marks == {"/"}
            and max(sizes[:2]) < 3
            and sizes[2] in (2, 4)
            and all(a.last + 1 == b.first for a, b in zip(three, three[1:], strict=False))
        ):
            out |= {at - 2, at - 1, at}
    for at in range(1, len(found)):
        left, right = found[at - 1 : at + 1]
        point = left.last + 1 == right.first and stream[right.first].before == "."
        if point and len(left.digits) <= 3 and len(right.digits) >= 7:
            out |= {at - 1, at}
    return out


def _is_amount(stream: Sequence[Piece], atom: Atom, after_amount: bool) -> bool:
    before = stream[atom.first].before
    if any(mark in _CURRENCY for mark in before):
        return True
    if after_amount and before in (".", ","):
        return True
    follows = stream[atom.last + 1] if atom.last + 1 < len(stream) else None
    if follows is None or follows.turn != stream[atom.last].turn:
        return False
    if "%" in follows.before:
        return True
    return follows.norm in _UNITS and not any(mark in follows.before for mark in ".;?!")


def _tight(stream: Sequence[Piece], left: Atom, right: Atom, size: int, cues: Cues) -> bool:
    gap = right.first - left.last - 1
    if gap > TIGHT_WORDS:
        return False
    turns = stream[left.last].turn, stream[right.first].turn
    strangers = sum(stream[k].norm not in SOFT for k in range(left.last + 1, right.first))
    if turns[0] != turns[1] and (strangers or _chatty(stream, right)):
        return False  # "... since nine this morning." and, a turn later, the first digits of something
    return strangers <= TIGHT_STRANGERS and not _parted(
        stream[left.last], stream[right.first], gap, TIGHT_OTHERS, size, cues
    )


def _chatty(stream: Sequence[Piece], atom: Atom) -> bool:
    """Return whether a number is followed by words that are no digits ("twelve on the list")."""
    after = [p for p in stream[atom.last + 1 : atom.last + 4] if p.turn == stream[atom.last].turn]
    return len(after) >= 2 and not any(is_number(p.norm) for p in after) and any(p.norm not in SOFT for p in after)


def _parted(left: Piece, right: Piece, gap: int, others: int, size: int, cues: Cues) -> bool:
    """Return whether a long pause, a long speech of others or a cue of something else lies between two pieces."""
    if right.at - left.at - 1 - gap > others:
        return True
    if left.ms is not None and right.ms is not None and right.ms - left.ms > LONGEST_PAUSE_MS:
        return True
    # A stray number before the card is asked for is none of its digits; a few digits later the card may be named again.
    same = (CARD_NUMBER, CARD_WEAK) if size >= FEW else ()
    return any(cue.kind not in same for cue in cues.between(left.at, right.at))


def chains(found: Sequence[Segment], cues: Cues) -> Iterator[list[Segment]]:
    """Yield the segments of one stream in rows that may be one number."""
    row: list[Segment] = []
    for segment in found:
        if row:
            left, right = row[-1].stream[row[-1].last], segment.stream[segment.first]
            gap = segment.first - row[-1].last - 1
            size = sum(len(s.digits) for s in row[-4:])
            done = sum(len(s.digits) for s in row) >= ENOUGH
            strayed = (segment.stray and done) or (not segment.stray and _begins_astray(row, cues))
            if gap > LOOSE_WORDS or strayed or _parted(left, right, gap, LOOSE_OTHERS, size, cues):
                yield row
                row = []
        row.append(segment)
    if row:
        yield row


def _begins_astray(row: Sequence[Segment], cues: Cues) -> bool:
    """Return whether all of a row is small numbers in other sentences, and no card was spoken of before."""
    if not all(segment.stray for segment in row[-8:]):
        return False
    return not any(cue.kind in (CARD_NUMBER, CARD_WEAK) for cue in cues.before(row[0].first_at, 30))
