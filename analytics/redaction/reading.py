"""A transcript as small pieces: letters or digits, each with its place in the text and, where known, in time."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from analytics.redaction.kinds import PLACEHOLDERS

# Plain alternatives without nesting: every character is looked at once. What is hidden already is one piece that is
# neither digits nor a word, so that hiding twice changes nothing.
_PIECE = re.compile(
    r"\[(?:" + "|".join(text[1:-1] for text in PLACEHOLDERS.values()) + r")\]|\d+|[^\W\d_]+(?:['’][^\W\d_]+)*",
    re.UNICODE,
)
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'"})
FILLERS = frozenset("uh um uhm umm er err erm ah hmm hm mm mhm uhhuh eh em".split())


@dataclass(frozen=True, slots=True)
class Piece:
    """One run of letters or of digits. `at` counts all pieces of the call in the order in which they were said.

    `before` holds the characters between the piece before it in its turn and this one; `turn` is the position of the
    turn in `Reading.turns`, not its index.
    """

    norm: str
    at: int
    turn: int
    word: int
    start: int
    end: int
    before: str
    ms: int | None

    @property
    def is_digits(self) -> bool:
        return self.norm.isdecimal()


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; `words` are (start, end) offsets in `text`, `times` the (start_ms, end_ms) or None of each word."""

    index: int
    party: str
    channel: int | None
    text: str
    words: tuple[tuple[int, int], ...]
    times: tuple[tuple[int, int] | None, ...]

    def written(self, piece: Piece) -> str:
        return self.text[piece.start : piece.end]


@dataclass(slots=True)
class Reading:
    """A call read once. `pieces` are in the order of speech; `streams` hold every party's pieces by themselves."""

    turns: list[Turn]
    pieces: list[Piece]
    streams: dict[str, list[Piece]] = field(default_factory=dict)

    def capital(self, piece: Piece) -> bool:
        return self.turns[piece.turn].text[piece.start].isupper()


def read(document: Any) -> Reading:
    """Return the call as pieces. Raises ValueError where the document is no mapping with a list of turns."""
    if not isinstance(document, dict) or not isinstance(document.get("turns"), list):
        raise ValueError("transcript has no list 'turns'")
    raw = [(at, turn) for at, turn in enumerate(document["turns"]) if isinstance(turn, dict)]
    raw.sort(key=lambda pair: (_whole(pair[1].get("start_ms")) or 0, pair[0]))
    turns = [_turn(turn, at) for at, turn in raw]
    reading = Reading(turns, [])
    for position, turn in enumerate(turns):
        for piece in _pieces(turn, position, len(reading.pieces)):
            reading.pieces.append(piece)
            reading.streams.setdefault(turn.party, []).append(piece)
    return reading


def text_of(turn: dict[str, Any]) -> str:
    """Return the text of a turn that spans count their characters in."""
    return _turn(turn, 0).text


def _turn(raw: dict[str, Any], position: int) -> Turn:
    words: list[tuple[int, int]] = []
    times: list[tuple[int, int] | None] = []
    given = raw.get("words")
    if isinstance(given, list) and given:
        parts = []
        offset = 0
        for word in given:
            word = word if isinstance(word, dict) else {"text": word}
            text = "" if word.get("text") is None else str(word["text"])
            parts.append(text)
            words.append((offset, offset + len(text)))
            times.append(_times(word))
            offset += len(text) + 1
        text = " ".join(parts)
    else:
        text = "" if raw.get("text") is None else str(raw["text"])
        words = [match.span() for match in re.finditer(r"\S+", text)]
        times = [None] * len(words)
    index, channel = _whole(raw.get("index")), _whole(raw.get("channel"))
    return Turn(
        position if index is None else index,
        str(raw.get("party") or "unknown"),
        channel,
        text,
        tuple(words),
        tuple(times),
    )


def _whole(value: Any) -> int | None:
    """Return a time or an index as an integer; None for what is neither (a bool, a text, nan, something negative)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value < 0:
        return None
    return int(value)


def _times(word: dict[str, Any]) -> tuple[int, int] | None:
    start, end = _whole(word.get("start_ms")), _whole(word.get("end_ms"))
    return (start, end) if start is not None and end is not None and start <= end else None


def _pieces(turn: Turn, position: int, at: int) -> Iterator[Piece]:
    word, last = 0, 0
    for match in _PIECE.finditer(turn.text):
        start, end = match.span()
        while word + 1 < len(turn.words) and turn.words[word][1] <= start:
            word += 1
        times = turn.times[word] if turn.words else None
        norm = normal(match[0])
        yield Piece(norm, at, position, word, start, end, turn.text[last:start], times[0] if times else None)
        last, at = end, at + 1


def normal(text: str) -> str:
    """Return letters in lower case with plain apostrophes, and digits of any script as 0 to 9."""
    if text.isascii():
        return text.lower()
    if text.isdecimal():
        return "".join(str(unicodedata.decimal(letter)) for letter in text)
    return unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).lower()
