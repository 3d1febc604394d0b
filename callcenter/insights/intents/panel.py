"""What the call page shows for saying what the call was about: who said so, what may be chosen, where it is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from django.utils.translation import gettext

from callcenter.accounts.decorators import SUPERVISORS
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.insights.intents import labels, taxonomy
from callcenter.insights.intents.models import UNKNOWN

MAX_PLACES, MAX_WORDS, MIN_WORDS, SHOWN = 200, 32, 4, 110
_ENDS = (".", "?", "!", "…")


class Word(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


def labelling(call: Call, user: User, turns: Sequence[Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return the label's part of the call page. `turns` are those that this user sees, words included."""
    said = labels.standing(call)
    read = document.get("model_reading") or {}
    may = user.has_role(*SUPERVISORS) and bool(document)
    items = taxonomy.current().content if (may or said) else []
    words = {UNKNOWN: gettext("None of them"), **{item["name"]: item["label"] for item in items}}
    chosen = said.name if said else document.get("intent", "")
    primary: dict[str, Any] = next((i for i in document.get("intents", []) if i.get("primary")), {})
    return {
        "said": said,
        "model": {
            "label": words.get(read["intent"]) or read["intent"].replace("_", " ").capitalize(),
            "probability": read.get("intent_probability"),
        }
        if read
        else None,
        "may": may,
        "choices": [
            {"name": item["name"], "label": "\N{NO-BREAK SPACE}" * 4 * depth + item["label"]}
            for depth, item in taxonomy.tree(items)
            if item["enabled"] or item["name"] == chosen
        ],
        "chosen": chosen,
        "unknown": UNKNOWN,
        "places": _places(turns, said, set(primary.get("turns", [])[:1])) if may else [],
    }


def _places(turns: Sequence[Any], said: Any, decided: set[int]) -> list[dict[str, Any]]:
    """Return the sentences of the customer, of everybody where none is known; the one that decided is chosen."""
    mine = [turn for turn in turns if turn.party == "customer"] or list(turns)
    found: list[dict[str, Any]] = []
    for turn in mine:
        for piece in _pieces(turn.words):
            text = " ".join(word.text for word in piece if word.text)
            start, end = piece[0].start_ms, piece[-1].end_ms
            if end <= start or not text:
                continue
            if said is not None:
                hit = said.start_ms is not None and min(end, said.end_ms) - max(start, said.start_ms) > 0
            else:
                hit = turn.index in decided
            found.append(
                {
                    "value": f"{start}-{end}",
                    "start_ms": start,
                    "text": text if len(text) <= SHOWN else text[: SHOWN - 1] + "…",
                    "hit": len(piece) if hit else 0,
                    "chosen": False,
                }
            )
    best = max(found, key=lambda place: place["hit"], default=None)
    if best is not None and best["hit"]:
        best["chosen"] = True
    return found[:MAX_PLACES]


def _pieces(words: Sequence[Word]) -> list[list[Word]]:
    """Cut a turn into sentences of at most 32 words; a very short one joins the one before."""
    pieces: list[list[Word]] = [[]]
    for word in words:
        pieces[-1].append(word)
        if len(pieces[-1]) >= MAX_WORDS or (word.text.endswith(_ENDS) and len(pieces[-1]) >= MIN_WORDS):
            pieces.append([])
    if len(pieces) > 1 and len(pieces[-1]) < MIN_WORDS:
        last = pieces.pop()
        pieces[-1].extend(last)
    return [piece for piece in pieces if piece]
