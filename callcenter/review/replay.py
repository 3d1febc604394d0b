"""Replaying corrections: what a model heard, and what people changed, in; turns as they read now, out. Pure.

The stored transcript is never changed. Its words are laid out in *cells*, at first one for each word; a correction of
words joins the cells that it touches into one and puts the new words there. A cell therefore always knows which words
of the stored transcript it stands for, and a correction can be keyed to these however often the text has changed
since. A later correction covers the whole of every earlier one that it touches, so it still holds when the earlier one
is withdrawn. What no longer fits (the words it names were joined or parted otherwise) is left out and named.

Times: a word that stays keeps its times, to the millisecond. New words share the time of the words they replace, in
proportion to their letters, widened towards the unchanged neighbours where that would be too short to say them. There
is no acoustic alignment here on purpose: it needs the recording and a model, which the web side does not load, and
between two words whose times are known the error is a fraction of a word. Training cuts clips by turns, not by words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from django.utils.translation import gettext

from asr_worker.types import Transcript, Word

#: A quick speaker needs about this long for a letter; new words get at least that where there is room.
MS_PER_LETTER = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One correction as replay needs it; `turn`, `first`, `last` name words of the stored transcript.

    text: the words first..last become `after` (a list of words, possibly empty). party: the turn that holds the word
    becomes `after[0]` (as the transcript has the parties, before any swap). split: a turn begins at the word `first`,
    or at the word `position` of what was put in its place. merge: the turn that begins with the word joins the turn
    that holds the word `after` = [turn, word]. times: the word `position` of the cell gets `after` = [start, end].
    """

    id: str
    kind: str
    turn: int
    first: int
    last: int
    position: int = 0
    before: Sequence[Any] = ()
    after: Sequence[Any] = ()
    start_ms: int = 0
    end_ms: int = 0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word as it reads now; `change` is the correction that wrote it, or empty."""

    text: str
    start_ms: int
    end_ms: int
    probability: float
    change: str = ""


@dataclass(slots=True, eq=False)
class Cell:
    """The words that stand where the stored transcript has the words first..last of one turn."""

    turn: int
    first: int
    last: int
    words: list[Spoken]
    changes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Piece:
    """A turn as it reads now. `start_ms` and `end_ms` are set where they are still those of the stored turn."""

    party: str
    speaker: str
    channel: int
    cells: list[Cell]
    anchor_ms: int
    start_ms: int | None = None
    end_ms: int | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        """Return the piece's name: turn and number of its first stored word."""
        return self.cells[0].turn, self.cells[0].first

    @property
    def words(self) -> list[Spoken]:
        return [word for cell in self.cells for word in cell.words]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def span(self) -> tuple[int, int]:
        """Return start and end in ms."""
        words = self.words
        start = self.start_ms if self.start_ms is not None else (words[0].start_ms if words else self.anchor_ms)
        end = self.end_ms if self.end_ms is not None else max((word.end_ms for word in words), default=start)
        return start, max(start, end)

    def change_ids(self) -> list[str]:
        """Return the corrections that made this piece, each once, in the order of the text."""
        return list(dict.fromkeys([*self.changes, *(c for cell in self.cells for c in cell.changes)]))

    def digest(self) -> str:
        """Return 16 hex digits over party, words and times: equal digests mean that nobody changed it meanwhile."""
        return digest(self.party, [[w.text, w.start_ms, w.end_ms] for w in self.words])


class Unfit(Exception):
    """A correction does not fit the text. `message` is a sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def digest(party: str, words: Sequence[Sequence[Any]]) -> str:
    """Return the digest of a turn; `words` are [text, start_ms, end_ms, ...]."""
    plain = [party, [[w[0], w[1], w[2]] for w in words]]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()[:16]


class State:
    """A transcript with some corrections in it. `pieces` are sorted by their start; pieces without words remain."""

    def __init__(self, document: Transcript) -> None:
        self.document = document
        self.heard = {turn.index: turn.words for turn in document.turns}
        self.pieces = [
            Piece(
                party=turn.party,
                speaker=turn.speaker,
                channel=turn.channel,
                cells=[Cell(turn.index, i, i, [_spoken(word)]) for i, word in enumerate(turn.words)],
                anchor_ms=turn.start_ms,
                start_ms=turn.start_ms,
                end_ms=turn.end_ms,
            )
            for turn in document.turns
            if turn.words
        ]
        self._holders: dict[int, list[Piece]] = {}
        for piece in self.pieces:
            self._holders.setdefault(piece.cells[0].turn, []).append(piece)

    def find(self, turn: int, word: int) -> Piece:
        """Return the piece that holds a word of the stored transcript. Raises Unfit when there is none."""
        for piece in self._holders.get(turn, ()):
            if any(cell.turn == turn and cell.first <= word <= cell.last for cell in piece.cells):
                return piece
        raise Unfit(gettext("The transcript has no such word."))

    def heard_in(self, piece: Piece) -> list[Word]:
        """Return what the model had heard where this piece stands."""
        return [word for cell in piece.cells for word in self.heard[cell.turn][cell.first : cell.last + 1]]

    def apply(self, change: Change) -> None:
        """Put one correction into the text. Raises Unfit, with nothing changed, where it does not fit."""
        {
            "text": self._text,
            "party": self._party,
            "split": self._split,
            "merge": self._merge,
            "times": self._times,
        }[change.kind](change)

    def _text(self, change: Change) -> None:
        piece = self.find(change.turn, change.first)
        i, j = _range(piece, change)
        before, after = piece.cells[i], piece.cells[j]
        old = [word for cell in piece.cells[i : j + 1] for word in cell.words]
        lower, upper = self._room(piece, i, j)
        # Where all words had been taken away, new ones stand where the model had heard some.
        anchor = max(lower, min(self.heard[change.turn][change.first].start_ms, upper))
        words = realign(old, [str(w) for w in change.after], lower, upper, anchor=anchor, by=change.id)
        made = [c for cell in piece.cells[i : j + 1] for c in cell.changes]
        piece.cells[i : j + 1] = [Cell(change.turn, before.first, after.last, words, [*made, change.id])]
        piece.start_ms = piece.start_ms if i > 0 else None
        piece.end_ms = piece.end_ms if i < len(piece.cells) - 1 else None

    def _party(self, change: Change) -> None:
        piece = self.find(change.turn, change.first)
        party = str(change.after[0])
        piece.party = party
        named = [speaker for speaker, who in self.document.mapping.parties.items() if who == party]
        if self.document.layout != "two_party" and len(named) == 1:
            # Where voices were told apart by ear, the wrong party means the wrong voice.
            piece.speaker = named[0]
        piece.changes.append(change.id)

    def _split(self, change: Change) -> None:
        piece = self.find(change.turn, change.first)
        at = next(n for n, c in enumerate(piece.cells) if c.turn == change.turn and c.first <= change.first <= c.last)
        cell = piece.cells[at]
        if cell.first < change.first:
            if not 0 < change.position < len(cell.words):
                raise Unfit(gettext("The words at this place read differently by now."))
            left = Cell(cell.turn, cell.first, change.first - 1, cell.words[: change.position], list(cell.changes))
            right = Cell(cell.turn, change.first, cell.last, cell.words[change.position :], list(cell.changes))
            piece.cells[at : at + 1] = [left, right]
            at += 1
        if at == 0:
            raise Unfit(gettext("A turn begins here already."))
        rest = piece.cells[at:]
        del piece.cells[at:]
        anchor = next((c.words[0].start_ms for c in rest if c.words), piece.span()[1])
        made = Piece(
            piece.party, piece.speaker, piece.channel, rest, anchor, None, piece.end_ms, [*piece.changes, change.id]
        )
        piece.end_ms = None
        piece.changes.append(change.id)
        for turn in {c.turn for c in rest}:
            self._holders[turn].append(made)
        self.pieces.append(made)
        self._sort()

    def _merge(self, change: Change) -> None:
        piece = self.find(change.turn, change.first)
        if piece.key != (change.turn, change.first):
            raise Unfit(gettext("No turn begins at this word any more."))
        target = self.find(int(change.after[0]), int(change.after[1]))
        if target is piece:
            raise Unfit(gettext("These turns are one already."))
        if target.party != piece.party:
            raise Unfit(gettext("The two turns are of different parties."))
        first, second = sorted((target, piece), key=lambda p: p.span()[0])
        first.end_ms = max(first.span()[1], second.span()[1]) if second.end_ms is not None else None
        # One may lie within the other, where a turn between them was given to their party.
        first.cells = sorted([*first.cells, *second.cells], key=self._moment)
        first.changes = list(dict.fromkeys([*first.changes, *second.changes, change.id]))
        self.pieces.remove(second)
        for turn in {cell.turn for cell in second.cells}:
            others = [p for p in self._holders[turn] if p is not second and p is not first]
            self._holders[turn] = [*others, first]
        self._sort()

    def _times(self, change: Change) -> None:
        piece = self.find(change.turn, change.first)
        i, _ = _range(piece, change)
        cell = piece.cells[i]
        if change.position >= len(cell.words):
            raise Unfit(gettext("The words at this place read differently by now."))
        number = sum(len(c.words) for c in piece.cells[:i]) + change.position
        words = piece.words
        before = words[number - 1].end_ms if number else 0
        after = words[number + 1].start_ms if number + 1 < len(words) else max(self.document.duration_ms, before)
        start = max(before, min(int(change.after[0]), max(before, after)))
        end = max(start, min(int(change.after[1]), max(start, after)))
        old = cell.words[change.position]
        cell.words[change.position] = Spoken(old.text, start, end, old.probability, old.change)
        cell.changes.append(change.id)
        piece.start_ms = piece.end_ms = None

    def _room(self, piece: Piece, i: int, j: int) -> tuple[int, int]:
        """Return the times between which the cells i..j may lie: up to the words beside them, or the turns around."""
        earlier = [w for c in piece.cells[:i] for w in c.words]
        later = [w for c in piece.cells[j + 1 :] for w in c.words]
        start, end = piece.span()
        near = [p.span() for p in self._near(piece)]
        lower = earlier[-1].end_ms if earlier else max((e for _, e in near if e <= start), default=0)
        longest = max(end, self.document.duration_ms)
        upper = later[0].start_ms if later else min((s for s, _ in near if s >= end), default=longest)
        return lower, max(lower, upper)

    def _moment(self, cell: Cell) -> int:
        return cell.words[0].start_ms if cell.words else self.heard[cell.turn][cell.first].start_ms

    def _near(self, piece: Piece) -> list[Piece]:
        at = next(n for n, p in enumerate(self.pieces) if p is piece)
        return [p for p in self.pieces[max(0, at - 4) : at + 5] if p is not piece]

    def _sort(self) -> None:
        self.pieces.sort(key=lambda p: (p.span()[0], p.key))


@dataclass(frozen=True, slots=True)
class Replayed:
    """The text with every correction that fits; `unfit` says for each other one why not."""

    state: State
    unfit: dict[str, str]

    @property
    def turns(self) -> list[Piece]:
        """Return the turns that have words, in the order of their start."""
        return [piece for piece in self.state.pieces if any(cell.words for cell in piece.cells)]


def replay(document: Transcript, changes: Iterable[Change]) -> Replayed:
    """Return the transcript with the corrections in it, applied in the given order. Pure: same in, same out."""
    state = State(document)
    unfit: dict[str, str] = {}
    for change in changes:
        try:
            state.apply(change)
        except Unfit as problem:
            unfit[change.id] = problem.message
    return Replayed(state, unfit)


def realign(
    old: Sequence[Spoken], new: Sequence[str], lower: int, upper: int, *, anchor: int, by: str = ""
) -> list[Spoken]:
    """Return the new words with times: those that stay keep theirs, the others share the room in between.

    `lower` and `upper` bound what lies outside `old`; `anchor` is where new words go that replace none. Starts never
    go back and no word ends before it starts. A word of which only case or punctuation changed keeps its times.
    """
    out: list[Spoken] = []
    matcher = SequenceMatcher(None, [_plain(w.text) for w in old], [_plain(text) for text in new], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            for word, text in zip(old[a:b], new[c:d], strict=True):
                same = word.text == text
                out.append(
                    word if same else Spoken(text, word.start_ms, word.end_ms, 1.0, by),
                )
            continue
        left = old[a - 1].end_ms if a else min(lower, old[0].start_ms if old else anchor)
        right = old[b].start_ms if b < len(old) else max(upper, old[-1].end_ms if old else anchor)
        if a < b:
            start, end = old[a].start_ms, old[b - 1].end_ms
        else:
            start = end = right if b == 0 and old else (left if old else anchor)
        if b < len(old):
            start, end = min(start, right), min(end, right)
        out.extend(_share(new[c:d], start, end, min(left, start), max(right, end), by))
    return out


def _share(texts: Sequence[str], start: int, end: int, lower: int, upper: int, by: str) -> list[Spoken]:
    if not texts:
        return []
    letters = [max(1, len(_plain(text))) for text in texts]
    missing = MS_PER_LETTER * sum(letters) - (end - start)
    if missing > 0:
        later = min(missing, max(0, upper - end))
        end += later
        start -= min(missing - later, max(0, start - lower))
    total, done, out = sum(letters), 0, []
    for text, count in zip(texts, letters, strict=True):
        first = start + (end - start) * done // total
        done += count
        out.append(Spoken(text, first, start + (end - start) * done // total, 1.0, by))
    return out


def _range(piece: Piece, change: Change) -> tuple[int, int]:
    """Return the places of the cells that make up exactly the words first..last. Raises Unfit."""
    i = j = None
    for n, cell in enumerate(piece.cells):
        if cell.turn == change.turn and cell.first == change.first:
            i = n
        if cell.turn == change.turn and cell.last == change.last:
            j = n
    if i is None or j is None or j < i or any(cell.turn != change.turn for cell in piece.cells[i : j + 1]):
        raise Unfit(gettext("The words around it were changed, joined or parted by another correction."))
    return i, j


def _spoken(word: Word) -> Spoken:
    return Spoken(word.text, word.start_ms, word.end_ms, word.probability)


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum()) or text
