"""From what a person did to a turn to the corrections that say so, keyed to the stored transcript. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from django.utils.translation import gettext

from callcenter.review.replay import Cell, Change, Piece, State, Unfit

MAX_WORDS = 2000
MAX_LETTERS = 100


def words_of(text: str) -> list[str]:
    """Return the words of a typed text. Raises Unfit for one that is too long to be a turn."""
    words = text.replace("\x00", " ").split()
    if len(words) > MAX_WORDS or any(len(word) > MAX_LETTERS for word in words):
        raise Unfit(
            gettext("That is too long for one turn (at most {max_words} words of {max_letters} letters).").format(
                max_words=MAX_WORDS, max_letters=MAX_LETTERS
            )
        )
    return words


def text_changes(piece: Piece, new: Sequence[str]) -> list[Change]:
    """Return the corrections that make the piece read as `new`; none when it does already.

    Each covers the smallest run of cells in which something changed, so that two people who correct two words of one
    turn do not undo each other.
    """
    owners = [n for n, cell in enumerate(piece.cells) for _ in cell.words]
    old = [word.text for word in piece.words]
    home: list[int] = []
    dirty: list[tuple[int, int]] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, list(new), autojunk=False).get_opcodes():
        if tag == "equal":
            home.extend(owners[a:b])
            continue
        if a < b:
            first, last = owners[a], owners[b - 1]
        else:
            first = last = (owners[a - 1] if a else owners[0]) if owners else 0
        home.extend([first] * (d - c))
        if dirty and dirty[-1][1] >= first:
            dirty[-1] = (dirty[-1][0], max(last, dirty[-1][1]))
        else:
            dirty.append((first, last))
    changes = []
    for first, last in dirty:
        for i, j in _by_turn(piece.cells, first, last):
            before = [word.text for cell in piece.cells[i : j + 1] for word in cell.words]
            after = [text for text, n in zip(new, home, strict=True) if i <= n <= j]
            if before != after:
                changes.append(_change(piece, i, j, "text", before, after))
    return changes


def party_change(piece: Piece, party: str) -> list[Change]:
    """Return the correction that gives the piece to a party; none when it has it."""
    if piece.party == party:
        return []
    turn = piece.cells[0].turn
    last = next((n for n, cell in enumerate(piece.cells) if cell.turn != turn), len(piece.cells)) - 1
    start, end = piece.span()
    found = _change(piece, 0, last, "party", [piece.party], [party])
    return [Change(**{**_fields(found), "start_ms": start, "end_ms": end})]


def split_change(piece: Piece, at: int) -> list[Change]:
    """Return the correction that begins a new turn at the word number `at` of the piece. Raises Unfit."""
    words = piece.words
    if not 0 < at < len(words):
        raise Unfit(gettext("A turn is split before one of its words, not at its edge."))
    left = at
    for n, cell in enumerate(piece.cells):
        if left == 0 and cell.words:
            # Words that were taken away at this place stay with the turn before.
            return [_at(piece, n, cell.first, 0, words[at].start_ms)]
        if left < len(cell.words):
            if cell.first == cell.last:
                raise Unfit(
                    gettext("These words stand in the place of a single one that was heard; split beside them.")
                )
            share = round(left / len(cell.words) * (cell.last - cell.first + 1))
            first = min(cell.last, max(cell.first + 1, cell.first + share))
            return [_at(piece, n, first, left, words[at].start_ms)]
        left -= len(cell.words)
    raise Unfit(gettext("A turn is split before one of its words, not at its edge."))


def merge_change(state: State, piece: Piece, direction: str) -> list[Change]:
    """Return the correction that joins the piece with the previous or next turn of the same party. Raises Unfit."""
    shown = [p for p in state.pieces if any(cell.words for cell in p.cells)]
    here = next(n for n, p in enumerate(shown) if p is piece)
    others = shown[here + 1 :] if direction == "next" else list(reversed(shown[:here]))
    other = next((p for p in others if p.party == piece.party), None)
    if other is None:
        if direction == "next":
            raise Unfit(gettext("There is no turn of the same party after this one."))
        raise Unfit(gettext("There is no turn of the same party before this one."))
    first, second = (piece, other) if direction == "next" else (other, piece)
    turn, word = second.key
    start, end = second.span()
    return [Change("", "merge", turn, word, word, 0, [], list(first.key), start, end)]


def times_change(piece: Piece, number: int, start_ms: int, end_ms: int) -> list[Change]:
    """Return the correction that gives one word of the piece its times. Raises Unfit when they cannot be."""
    words = piece.words
    if not 0 <= number < len(words):
        raise Unfit(gettext("This turn has no such word."))
    if end_ms <= start_ms or start_ms < 0:
        raise Unfit(gettext("A word must end after it starts."))
    if number and start_ms < words[number - 1].end_ms:
        raise Unfit(
            gettext("The word before it ends at {end_ms:.2f} s.").format(end_ms=words[number - 1].end_ms / 1000)
        )
    if number + 1 < len(words) and end_ms > words[number + 1].start_ms:
        raise Unfit(
            gettext("The word after it starts at {start_ms:.2f} s.").format(start_ms=words[number + 1].start_ms / 1000)
        )
    old = words[number]
    if (old.start_ms, old.end_ms) == (start_ms, end_ms):
        return []
    left = number
    for cell in piece.cells:
        if left < len(cell.words):
            times = ([old.start_ms, old.end_ms], [start_ms, end_ms])
            return [
                Change(
                    "",
                    "times",
                    cell.turn,
                    cell.first,
                    cell.last,
                    left,
                    *times,
                    start_ms=old.start_ms,
                    end_ms=old.end_ms,
                )
            ]
        left -= len(cell.words)
    raise Unfit(gettext("This turn has no such word."))


def _by_turn(cells: Sequence[Cell], first: int, last: int) -> list[tuple[int, int]]:
    """Cut a run of cells where the stored turn changes; a correction names words of one stored turn."""
    runs = [(first, first)]
    for n in range(first + 1, last + 1):
        if cells[n].turn == cells[n - 1].turn:
            runs[-1] = (runs[-1][0], n)
        else:
            runs.append((n, n))
    return runs


def _change(piece: Piece, i: int, j: int, kind: str, before: list[Any], after: list[Any]) -> Change:
    cells = piece.cells[i : j + 1]
    words = [word for cell in cells for word in cell.words]
    start, end = piece.span()
    if words:
        start, end = words[0].start_ms, words[-1].end_ms
    return Change("", kind, cells[0].turn, cells[0].first, cells[-1].last, 0, before, after, start, max(start, end))


def _at(piece: Piece, cell: int, first: int, position: int, moment: int) -> Change:
    return Change("", "split", piece.cells[cell].turn, first, first, position, [], [], moment, moment)


def _fields(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in Change.__dataclass_fields__}
