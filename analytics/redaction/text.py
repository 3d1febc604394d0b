"""Hiding spans in text: one text, or a whole transcript document."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from analytics.redaction.kinds import (
    KINDS,
    PLACEHOLDERS,
    STRICT,
    Level,
    RedactionError,
    Span,
    level_of,
    merged,
    placeholder_kind,
)
from analytics.redaction.reading import text_of

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_SEPARATORS = frozenset(" ,.;:-\n\t")


def redact_text(text: str, spans: Iterable[Span], level: Level | str | Iterable[str] = STRICT) -> str:
    """Return the text with every span that `level` hides replaced by its placeholder, such as "[card-number]".

    The spans are those of one turn, and the text is the one they were found in. Raises RedactionError where a span
    does not lie in the text (then it was found in another) and for an unknown level.
    """
    hides = level_of(level).hides
    ranges: list[tuple[int, int, str]] = []
    for span in sorted((s for s in spans if s.kind in hides), key=lambda s: (s.start, s.end)):
        if not 0 <= span.start < span.end <= len(text):
            raise RedactionError(
                f"a {span.kind} at characters {span.start} to {span.end} does not lie in a text of {len(text)}"
            )
        ranges = _joined(ranges, (span.start, span.end, span.kind), text)
    out, last = [], 0
    for start, end, kind in ranges:
        out += [text[last:start], PLACEHOLDERS[kind]]
        last = end
    return "".join([*out, text[last:]])


def _joined(ranges: list[tuple[int, int, str]], new: tuple[int, int, str], text: str) -> list[tuple[int, int, str]]:
    """Add a range to ranges in order, in place; what overlaps, or is of one kind with nothing between, becomes one."""
    if ranges:
        start, end, kind = ranges[-1]
        overlap = new[0] < end
        if overlap or (kind == new[2] and all(letter in _SEPARATORS for letter in text[end : new[0]])):
            best = min(kind, new[2], key=_RANK.__getitem__)
            ranges[-1] = (start, max(end, new[1]), best)
            return ranges
    ranges.append(new)
    return ranges


def redact_document(
    document: dict[str, Any], spans: Sequence[Span], level: Level | str | Iterable[str] = STRICT
) -> dict[str, Any]:
    """Return a copy of a transcript document without the words that `level` hides.

    The first word of a hidden stretch becomes the placeholder and the others become empty, so that word numbers and
    times stay as they were; the text of every turn is made anew from its words. Raises RedactionError where a span
    points to a turn or a word that is not there.
    """
    hides = level_of(level).hides
    by_turn: dict[int, list[Span]] = {}
    for span in spans:
        if span.kind in hides:
            by_turn.setdefault(span.turn, []).append(span)
    out = copy.deepcopy(document)
    for position, turn in enumerate(out["turns"]):
        if not isinstance(turn, dict):
            continue
        index = turn.get("index")
        mine = by_turn.pop(index if isinstance(index, int) and not isinstance(index, bool) else position, [])
        words = turn.get("words")
        if not isinstance(words, list) or not words:
            turn["text"] = redact_text(text_of(turn), mine, Level("these", hides))
            continue
        _hide_words(words, mine)
        texts = [_text_of(word) for word in words]
        turn["text"] = " ".join(str(text) for text in texts if text)
    if by_turn:
        raise RedactionError(f"there are spans of turns that the transcript has not: {sorted(by_turn)}")
    return out


def hide_in_place(
    document: dict[str, Any], spans: Sequence[Span], level: Level | str | Iterable[str] = STRICT
) -> dict[str, Any]:
    """Return a copy of a transcript document in which each word that `level` hides is the placeholder by itself.

    For what is kept: numbers of words and their times stay, and no word is empty. Raises as `redact_document` does.
    """
    hides = level_of(level).hides
    wanted = [span for span in spans if span.kind in hides]
    out = redact_document(document, wanted, Level("these", hides))
    for old, turn in zip(document["turns"], out["turns"], strict=True):
        words = turn.get("words") if isinstance(turn, dict) else None
        if not isinstance(words, list) or not words:
            continue
        kind = ""
        for before, word in zip(old["words"], words, strict=True):
            if isinstance(word, dict):
                kind = word["text"] or (kind if before.get("text") else "")
                word["text"] = kind
        turn["text"] = " ".join(str(word["text"]) for word in words if isinstance(word, dict))
    return out


def plain_text(text: str) -> str:
    """Return a text in which a run of one placeholder is told once."""
    return " ".join(merged(text.split(" "))) if "[" in text else text


def _text_of(word: Any) -> Any:
    return word.get("text") if isinstance(word, dict) else word


def _hide_words(words: list[Any], spans: Sequence[Span]) -> None:
    covers = {at: kind for at, word in enumerate(words) if (kind := placeholder_kind(str(_text_of(word) or "")))}
    for span in spans:
        if not 0 <= span.first_word < span.end_word <= len(words):
            raise RedactionError(f"a {span.kind} in turn {span.turn} points to words that are not there")
        for at in range(span.first_word, span.end_word):
            covers[at] = min(covers.get(at, span.kind), span.kind, key=_RANK.__getitem__)
    for at, kind in covers.items():
        text = "" if covers.get(at - 1) == kind else PLACEHOLDERS[kind]
        if isinstance(words[at], dict):
            words[at]["text"] = text
        else:
            words[at] = text
