"""Names: after a word that announces one, behind a title, spelled letter by letter, and said again later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analytics.redaction.cues import Cues
from analytics.redaction.kinds import NAME
from analytics.redaction.numbers import is_number
from analytics.redaction.reading import FILLERS, Piece, Reading
from analytics.redaction.words import Stretch

_TITLES = frozenset("mr mrs miss ms mister missus dr doctor madam sir professor prof".split())
# Words that begin sentences with a capital, or stand between a question for a name and the name.
_NO_NAME = (
    FILLERS
    | _TITLES
    | frozenset(
        "a an the and or but so is are am was were be it it's its that that's thats this these i i'm i've i'll i'd "
        "you you're he she we they my your his her our their me him us them name names yes yeah yep no not sure okay "
        "ok right well oh hi hello hey good morning afternoon evening please thank thanks you're of course certainly "
        "absolutely on in at for to from with by as if then can could would may will shall do did does what what's "
        "which who how when where why just let lovely great perfect fine calling speaking account number card holder "
        "under see let's got here there first last full surname spell spelled spelt yours sorry pardon hang hold one "
        "two mum dad husband wife going not also now all anything is there have has had been about really very still "
        "actually only because calls monday tuesday wednesday thursday friday saturday sunday january february march "
        "april june july august september october november december english ringing after looking having trying want "
        "wanting happy afraid".split()
    )
)
_GREETINGS = frozenset("hi hello hey thanks you course sorry morning afternoon".split())
AHEAD = 14
LONGEST_NAME = 3


def names(reading: Reading, cues: Cues) -> list[Stretch]:
    """Return the names of one call, in no order."""
    pieces = reading.pieces
    found: list[tuple[int, int, str, float]] = []
    capitals = any(reading.capital(p) and p.norm not in _NO_NAME for p in pieces)
    for cue in cues.all:
        if cue.kind == NAME:
            place = _after_cue(reading, cue.last, capitals)
            if pieces[cue.first].norm == "through" and place is not None and place[0] != cue.last + 1:
                place = None  # "through to the right team" names nobody
            if place is not None:
                found.append((*place, "where a name was asked for or given", 0.8))
    for at, piece in enumerate(pieces):
        if piece.norm in _TITLES:
            end = _capitals(reading, at + 1, 2)
            if end >= at + 1:
                found.append((at + 1, end, "behind a title", 0.8))
        elif (
            piece.norm == "speaking" and at and _is_name(reading, pieces[at - 1]) and pieces[at - 1].turn == piece.turn
        ):
            found.append((at - 1, at - 1, "somebody says who is speaking", 0.7))
        elif piece.norm == "is" and at and pieces[at - 1].norm in ("this", "it"):
            found += _introduced(reading, at, sure=pieces[at - 1].norm == "this")
        elif piece.norm == "it's":
            found += _introduced(reading, at, sure=False)
        elif piece.norm in _GREETINGS and at + 1 < len(pieces) and _is_addressed(reading, at + 1):
            found.append((at + 1, at + 1, "somebody is greeted or thanked", 0.6))
    said = {pieces[k].norm for first, last, _, _ in found for k in range(first, last + 1) if len(pieces[k].norm) > 2}
    covered = {k for first, last, _, _ in found for k in range(first, last + 1)}
    for at, piece in enumerate(pieces):
        if at not in covered and piece.norm in said and (not capitals or reading.capital(piece)):
            found.append((at, at, "repeats a name said in this call", 0.7))
    stretches = [Stretch(NAME, pieces, first, last, why, sure) for first, last, why, sure in found]
    for stream in reading.streams.values():
        stretches.extend(_spelled(stream, cues))
    return stretches


def _introduced(reading: Reading, at: int, *, sure: bool) -> list[tuple[int, int, str, float]]:
    """Return who is named in "this is Ann" and "it's Ann from ..."; piece `at` is the "is"."""
    end = _capitals(reading, at + 1, 2)
    if end <= at:
        return []
    after = reading.pieces[end + 1].norm if end + 1 < len(reading.pieces) else ""
    if not sure and after not in ("from", "at", "calling", "here"):
        return []
    return [(at + 1, end, "somebody says who is speaking", 0.6)]


def _is_addressed(reading: Reading, at: int) -> bool:
    """Return whether this one word, up to the end of a sentence or a comma, is whom a greeting addresses."""
    pieces = reading.pieces
    if pieces[at].turn != pieces[at - 1].turn or not _is_name(reading, pieces[at]) or pieces[at].before.strip(" ,"):
        return False
    last = at + 1 == len(pieces) or pieces[at + 1].turn != pieces[at].turn
    return last or any(mark in pieces[at + 1].before for mark in ".!?," if mark != "," or not pieces[at].before.strip())


def _is_name(reading: Reading, piece: Piece) -> bool:
    return len(piece.norm) > 1 and piece.norm not in _NO_NAME and not is_number(piece.norm) and reading.capital(piece)


def _capitals(reading: Reading, at: int, most: int = LONGEST_NAME) -> int:
    """Return the last of up to `most` words with a capital from `at` on, in one turn and sentence; at - 1 for none."""
    pieces, end = reading.pieces, at - 1
    while end + 1 < len(pieces) and end + 1 - at < most and _is_name(reading, pieces[end + 1]):
        if end >= at and (pieces[end + 1].turn != pieces[at].turn or any(m in pieces[end + 1].before for m in ".,?!;")):
            break
        end += 1
    return end


def _after_cue(reading: Reading, last: int, capitals: bool) -> tuple[int, int] | None:
    pieces = reading.pieces
    turns: set[int] = set()
    for at in range(last + 1, min(len(pieces), last + 1 + AHEAD)):
        piece = pieces[at]
        turns.add(piece.turn)
        if len(turns) > 3:
            return None
        if capitals:
            end = _capitals(reading, at)
            if end >= at:
                return at, end
        elif piece.norm not in _NO_NAME and len(piece.norm) > 1 and not is_number(piece.norm):
            follows = pieces[at + 1] if at + 1 < len(pieces) else None
            more = follows is not None and follows.turn == piece.turn and follows.norm not in _NO_NAME
            return at, at + 1 if more else at
    return None


def _spelled(stream: Sequence[Piece], cues: Cues) -> Iterator[Stretch]:
    """Yield rows of single letters ("L, I, N", "R, double E, D", "M for mother"), three where one was asked for."""
    at = 0
    while at < len(stream):
        letters, last = _letters(stream, at)
        if len(letters) >= 3 and len(set(letters)) > 1:
            asked = any(cue.kind == NAME for cue in cues.before(stream[at].at, 40))
            if asked or len(letters) >= 4:
                yield Stretch(NAME, stream, at, last, "spelled letter by letter", 0.8 if asked else 0.6)
        at = last + 1 if letters else at + 1


def _letters(stream: Sequence[Piece], at: int) -> tuple[str, int]:
    text, last, i = "", at, at
    while i < len(stream) and stream[i].at - stream[last].at < 20:
        norm = stream[i].norm
        if len(norm) == 1 and norm.isalpha():
            text, last = text + norm, i
        elif norm == "double" and i + 1 < len(stream) and len(stream[i + 1].norm) == 1:
            pass
        elif norm in ("for", "as") and text and i + 1 < len(stream):
            # "M for mother", "M as in mother": the example is as telling as its letter.
            example = i + 2 if stream[i + 1].norm == "in" else i + 1
            if example >= len(stream) or not stream[example].norm.startswith(text[-1]):
                break
            last = i = example
        elif norm not in FILLERS:
            break
        i += 1
    return text, last
