"""Carrying corrections over to what another model heard: by time and words, in the order in which they were made. Pure.

A correction said: here, at this time, these words stand where those stood. In the new transcript it

- is *settled* where the right words stand there already,
- *applies* where the same wrong words stand there again,
- is *stranded* where neither does: a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from django.utils.translation import gettext

from callcenter.review.edits import merge_change, party_change, split_change, text_changes
from callcenter.review.replay import Change, Piece, Spoken, State, Unfit
from callcenter.review.scoring import plain

Outcome = Literal["applied", "settled", "stranded"]
#: Two models rarely disagree by more than this about when a word was said.
NEAR_MS = 800


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of one correction; `changes` key it to the new transcript (one, or several across turns)."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()
    reason: str = ""


def carry(state: State, change: Change, *, party: str = "", force: bool = False) -> Placed:
    """Find where a correction belongs in another transcript and put it there.

    `state` is the new transcript with the corrections carried so far; it gets this one where that applies. `party` is
    who spoke (as stored, before any swap), to tell two who spoke at once apart. With `force`, what stands at the
    correction's time is taken for the words it was about: for a person who has looked.
    """
    try:
        placed = {"text": _text, "party": _party, "split": _split, "merge": _merge, "times": _times}[change.kind](
            state, change, party, force
        )
        for made in placed.changes:
            state.apply(replace(made, id=change.id))
    except Unfit as problem:
        return Placed("stranded", reason=problem.message)
    return placed


def _text(state: State, change: Change, party: str, force: bool) -> Placed:
    before, after = [str(w) for w in change.before], [str(w) for w in change.after]
    # The more words are found again, the surer it is that it is them; with as many, what is right already wins.
    tries = sorted((("settled", after), ("applied", before)), key=lambda item: -len(item[1]))
    for exact in (True, False):
        for outcome, words in tries:
            if not words or (outcome == "settled" and not exact):
                continue
            found = _find(state, words, change, party, exact=exact)
            if found is None:
                continue
            if outcome == "settled":
                return Placed("settled")
            piece, at = found
            return Placed("applied", tuple(_put(piece, at, at + len(words), after)))
    if not after and _nobody_said(state, before, change, party):
        return Placed("settled")
    if force:
        piece, first, last = _stretch(state, change, party)
        return Placed("applied", tuple(_put(piece, first, last, after)))
    said = " ".join(plain(word) for word in after)
    for piece in _around(state, change, party):
        near = [w for w in piece.words if _near(w, change)]
        if said and said in " ".join(plain(w.text) for w in near):
            # Only case or punctuation differs: the words themselves are right.
            return Placed("settled")
    return Placed("stranded", reason="The new transcript reads differently at this place.")


def _put(piece: Piece, first: int, last: int, after: Sequence[str]) -> list[Change]:
    texts = [w.text for w in piece.words]
    return text_changes(piece, [*texts[:first], *after, *texts[last:]])


def _find(state: State, words: Sequence[str], change: Change, party: str, *, exact: bool) -> tuple[Piece, int] | None:
    """Return the piece and place where these words stand in a row, nearest in time to where they were."""

    def same(text: str) -> str:
        return text if exact else plain(text)

    wanted = [same(word) for word in words]
    best: tuple[int, Piece, int] | None = None
    for piece in _around(state, change, party):
        spoken = piece.words
        texts = [same(w.text) for w in spoken]
        for at in range(len(texts) - len(wanted) + 1):
            if texts[at : at + len(wanted)] != wanted:
                continue
            start, end = spoken[at].start_ms, spoken[at + len(wanted) - 1].end_ms
            off = abs((start + end) - (change.start_ms + change.end_ms)) // 2
            if off > NEAR_MS:
                continue
            # The same words of the other party count only where this one does not say them: they talk at once.
            off += NEAR_MS if party and piece.party != party else 0
            if best is None or off < best[0]:
                best = (off, piece, at)
    return (best[1], best[2]) if best else None


def _nobody_said(state: State, words: Sequence[str], change: Change, party: str) -> bool:
    """Return whether none of these words stands around the correction's time."""
    gone = {plain(word) for word in words}
    return not any(
        plain(w.text) in gone for piece in _around(state, change, party) for w in piece.words if _near(w, change)
    )


def _stretch(state: State, change: Change, party: str) -> tuple[Piece, int, int]:
    """Return the piece and the words whose middle lies within the correction's time."""
    best: tuple[int, Piece] | None = None
    for piece in _around(state, change, party):
        start, end = piece.span()
        shared = min(end, change.end_ms) - max(start, change.start_ms)
        shared = shared if not party or piece.party == party else shared // 2
        if piece.words and (best is None or shared > best[0]):
            best = (shared, piece)
    if best is None:
        raise Unfit(gettext("Nobody speaks at this time in the new transcript."))
    words = best[1].words
    inside = [n for n, w in enumerate(words) if change.start_ms <= (w.start_ms + w.end_ms) // 2 <= change.end_ms]
    if inside:
        return best[1], inside[0], inside[-1] + 1
    at = next((n for n, w in enumerate(words) if w.start_ms >= change.start_ms), len(words))
    return best[1], at, at


def _party(state: State, change: Change, party: str, force: bool) -> Placed:
    piece = _same_stretch(state, change, 0.0 if force else 0.6)
    wanted = str(change.after[0])
    if piece.party == wanted:
        return Placed("settled")
    return Placed("applied", tuple(party_change(piece, wanted)))


def _split(state: State, change: Change, party: str, force: bool) -> Placed:
    if any(piece.words and abs(piece.span()[0] - change.start_ms) <= 400 for piece in state.pieces):
        return Placed("settled")
    for piece in _around(state, change, party):
        words = piece.words
        inner = [(abs(w.start_ms - change.start_ms), n) for n, w in enumerate(words) if n]
        if inner and min(inner)[0] <= NEAR_MS:
            return Placed("applied", tuple(split_change(piece, min(inner)[1])))
    return Placed("stranded", reason="No turn of the new transcript can be split at this time.")


def _merge(state: State, change: Change, party: str, force: bool) -> Placed:
    for piece in state.pieces:
        if piece.words and (not party or piece.party == party) and abs(piece.span()[0] - change.start_ms) <= 400:
            return Placed("applied", tuple(merge_change(state, piece, "previous")))
    if _around(state, change, party):
        return Placed("settled")
    return Placed("stranded", reason="Nobody speaks at this time in the new transcript.")


def _times(state: State, change: Change, party: str, force: bool) -> Placed:
    # Another model has its own times, and nothing says that they are wrong in the same way.
    return Placed("settled")


def _same_stretch(state: State, change: Change, least: float) -> Piece:
    best, share = None, -1.0
    for piece in state.pieces:
        start, end = piece.span()
        shared = min(end, change.end_ms) - max(start, change.start_ms)
        union = max(end, change.end_ms) - min(start, change.start_ms)
        if piece.words and union > 0 and shared / union > share:
            best, share = piece, shared / union
    if best is None or share < least or share <= 0:
        raise Unfit(gettext("No turn of the new transcript is about as long at this time."))
    return best


def _around(state: State, change: Change, party: str) -> list[Piece]:
    """Return the pieces at the correction's time, those of the same party first."""
    near = [
        piece
        for piece in state.pieces
        if piece.words and piece.span()[0] <= change.end_ms + NEAR_MS and piece.span()[1] >= change.start_ms - NEAR_MS
    ]
    return sorted(near, key=lambda piece: piece.party != party)


def _near(word: Spoken, change: Change) -> bool:
    return word.end_ms >= change.start_ms - NEAR_MS // 2 and word.start_ms <= change.end_ms + NEAR_MS // 2
