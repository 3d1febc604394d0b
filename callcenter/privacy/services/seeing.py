"""How words read to one reader: turns, single texts, documents and alerts with what the level hides replaced.

Nothing here writes to the database: what it returns or changes is for showing. Where a call's hidden places lie is
kept in the cache, without a word of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

from django.core.cache import cache
from django.db.models import F

from analytics.redaction import (
    PLACEHOLDERS,
    Level,
    Span,
    find,
    hide_in_place,
    merged,
    plain_text,
    redact_document,
    says_digits,
    scrub,
)
from callcenter.accounts.models import User
from callcenter.calls.models import Call, Turn
from callcenter.privacy.services.levels import level_for

RULES = "1"
KEEP_SECONDS = 24 * 3600
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*", re.UNICODE)

Stretch = tuple[str, tuple[str, ...]]


def document_of(turns: Iterable[Turn]) -> dict[str, Any]:
    """Return turns as the document that the rules read."""
    return {
        "turns": [
            {
                "index": turn.index,
                "party": turn.party,
                "channel": turn.channel,
                "start_ms": turn.start_ms,
                "end_ms": turn.end_ms,
                "words": [{"text": w[0], "start_ms": w[1], "end_ms": w[2]} for w in turn.words],
                "text": turn.text,
            }
            for turn in turns
        ]
    }


def spans_of(document: dict[str, Any]) -> list[Span]:
    """Return the hidden places of a call's text. The same text is read once a day."""
    said = [
        [t["party"], t["start_ms"], [w["text"] for w in t["words"]] or t.get("text", "")] for t in document["turns"]
    ]
    digest = hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()
    key = f"privacy:spans:{RULES}:{digest}"
    known = cache.get(key)
    if known is None:
        known = [
            [s.kind, s.turn, s.first_word, s.end_word, s.start, s.end, s.start_ms, s.end_ms, s.channel, s.group]
            for s in find(document)
        ]
        cache.set(key, known, KEEP_SECONDS)
    return [
        Span(kind, turn, first, last, start, end, start_ms, end_ms, channel, "", 1.0, group)
        for kind, turn, first, last, start, end, start_ms, end_ms, channel, group in known
    ]


def words_of(turns: Sequence[Turn], level: Level, *, once: bool = True) -> dict[int, list[str]]:
    """Return the words of each turn, by its index, as a reader of this level sees them.

    There are as many as before: with `once` a placeholder stands for the first of the hidden words and the others are
    empty, otherwise it stands for each of them.
    """
    document = document_of(turns)
    hide = redact_document if once else hide_in_place
    out = hide(document, spans_of(document), level)
    return {turn["index"]: [word["text"] for word in turn["words"]] for turn in out["turns"]}


def show(turns: Sequence[Turn], level: Level) -> None:
    """Change the turns' words and texts to what a reader of this level sees. They must not be saved after that."""
    seen = words_of(turns, level)
    for turn in turns:
        texts = seen[turn.index]
        turn.words = [[text, *word[1:]] for text, word in zip(texts, turn.words, strict=True)]
        turn.text = " ".join(text for text in texts if text)


def searchable(turns: Sequence[Turn], level: Level) -> dict[int, str]:
    """Return, by turn index, the text that goes into the index of words."""
    return {index: " ".join(text for text in texts if text) for index, texts in words_of(turns, level).items()}


def restored(words: Sequence[str], seen: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return `new`, typed by somebody who saw `seen` for `words`: what was hidden and left alone is as it was."""
    out: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, list(seen), list(new), autojunk=False).get_opcodes():
        if tag == "equal":
            out += words[a:b]
            continue
        left = [at for at in range(a, b) if seen[at] != words[at]]
        for text in new[c:d]:
            at = next((at for at in left if seen[at] == text), None)
            if at is not None:
                left.remove(at)
            out.append(text if at is None else words[at])
    return out


def document_for(who: User | str, call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """Return a transcript document as this user or sink may have it; a placeholder is one word with the time of all."""
    out = redact_document(document, spans_of(document), level_for(who, call))
    for turn in out["turns"]:
        kept: list[dict[str, Any]] = []
        for word in turn["words"]:
            if word["text"] or not kept:
                kept.append(word)
            else:
                kept[-1]["end_ms"] = max(kept[-1]["end_ms"], word["end_ms"])
        turn["words"] = kept
    return out


def text_for(who: User | str, call: Call | None, text: str) -> str:
    """Return one text about a call (a quote, a comment, a note) as this user or sink may read it.

    What stands hidden in the call is replaced where the text repeats it, and what the text alone gives away as well.
    """
    return _Reader(who, call).text(text) if text else ""


def texts_for(who: User | str, call: Call | None, value: Any) -> Any:
    """Return a JSON value with every text in it as `text_for` gives it. Keys stay."""
    return _Reader(who, call).deep(value)


def show_alerts(who: User | str, alerts: Iterable[Any]) -> None:
    """Change quotes, reasons and comments of alerts to what this user or sink may read. Do not save them after that."""
    alerts = list(alerts)
    calls = {alert.call_id: alert.call for alert in alerts}
    rows: dict[Any, list[Turn]] = defaultdict(list)
    for turn in Turn.objects.filter(call__in=list(calls), transcript=F("call__transcript")).order_by("index"):
        rows[turn.call_id].append(turn)
    readers = {pk: _Reader(who, call, turns=rows[pk]) for pk, call in calls.items()}
    for alert in alerts:
        reader = readers[alert.call_id]
        alert.quote = reader.text(alert.quote)
        alert.components = reader.deep(alert.components)
        alert.dismiss_reason = reader.text(alert.dismiss_reason)


class _Reader:
    """One reader of one call: its level, and the words that the level hides there."""

    def __init__(self, who: User | str, call: Call | None, turns: Sequence[Turn] | None = None) -> None:
        self.level = level_for(who, call)
        self._call, self._turns = call, turns
        self._hidden: list[Stretch] | None = None

    def text(self, text: str) -> str:
        if not text:
            return ""
        return plain_text(scrub(without(text, self._stretches()), self.level))

    def deep(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value) if _is_text(value) else value
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return {key: self.deep(item) for key, item in value.items()} if isinstance(value, dict) else value

    def _stretches(self) -> list[Stretch]:
        if self._hidden is None:
            turns = self._turns
            if turns is None:
                found = Turn.objects.none() if self._call is None else self._call.turns.all()
                turns = list(found.filter(transcript=self._call.transcript_id)) if self._call is not None else []
            document = document_of(turns)
            said = {turn["index"]: [word["text"] for word in turn["words"]] for turn in document["turns"]}
            self._hidden = [
                (span.kind, tuple(norms(" ".join(said[span.turn][span.first_word : span.end_word]))))
                for span in spans_of(document)
                if span.kind in self.level.hides and span.turn in said
            ]
        return self._hidden


def _is_text(value: str) -> bool:
    """Return whether a value may say something; names, ids and moments may not."""
    return " " in value or "@" in value or (len(value) > 5 and not any(letter.isalpha() for letter in value))


def norms(text: str) -> list[str]:
    return [match[0].lower() for match in _TOKEN.finditer(text)]


def without(text: str, stretches: Sequence[Stretch]) -> str:
    """Return the text with what these stretches say replaced: all of one, or a part that says two digits or more."""
    tokens = list(_TOKEN.finditer(text))
    norms = [token[0].lower() for token in tokens]
    hidden: dict[int, str] = {}
    for kind, words in stretches:
        for at in range(len(norms)):
            size = _shared(norms, at, words)
            whole = size == len(words) and size > 0
            if whole or (size > 1 and all(says_digits(n) for n in norms[at : at + size])):
                hidden.update(dict.fromkeys(range(at, at + size), kind))
            elif kind == "name" and norms[at] in words and tokens[at][0][:1].isupper() and len(norms[at]) > 2:
                hidden[at] = kind
    out, last = [], 0
    for at, token in enumerate(tokens):
        if at in hidden:
            out += [text[last : token.start()], PLACEHOLDERS[hidden[at]]]
            last = token.end()
    joined = "".join([*out, text[last:]])
    return " ".join(merged(joined.split(" "))) if out else text


def _shared(norms: Sequence[str], at: int, words: Sequence[str]) -> int:
    """Return how many words from `at` on stand in a row anywhere in `words`."""
    best = 0
    for first in range(len(words)):
        size = 0
        while at + size < len(norms) and first + size < len(words) and norms[at + size] == words[first + size]:
            size += 1
        best = max(best, size)
    return best
