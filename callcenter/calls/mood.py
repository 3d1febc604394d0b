"""How a call went, as its page shows it: by quarter, from start to end, and what the voice adds to the words."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

NAMES = (("customer", _("Customer")), ("agent", _("Agent")))
KINDS = {
    "calm_words_raised_voice": _("calm words, raised voice"),
    "hard_words_calm_voice": _("hard words, calm voice"),
}
PARTS = (("energy", _("louder")), ("pitch", _("higher")), ("rate", _("faster")))
#: From here on a part of the voice is named as what is unusual.
NAMED = 0.7


def feelings(document: dict[str, Any]) -> dict[str, Any]:
    """Return `quarters` and `voice` for the page; `voice` is None where nobody measured it."""
    by_party = document.get("sentiment", {}).get("quarters", {})
    quarters = [
        {"party": party, "name": name, "values": by_party[party]}
        for party, name in NAMES
        if any(value is not None for value in by_party.get(party, []))
    ]
    return {"quarters": quarters, "voice": _voice(document)}


def _voice(document: dict[str, Any]) -> dict[str, Any] | None:
    found = document.get("voice")
    if not found:
        return None
    turns = found.get("turns", [])
    told = [turn for turn in turns if turn["arousal"] is not None]
    raised = {party: sum(turn["level"] == "raised" for turn in told if turn["party"] == party) for party, _ in NAMES}
    return {
        "told": len(told),
        "turns": len(turns),
        "raised": [(party, name, raised[party]) for party, name in NAMES if any(t["party"] == party for t in told)],
        "disagreements": [
            {
                **item,
                "name": dict(NAMES).get(item["party"], _("Speaker")),
                "words": KINDS.get(item["kind"], item["kind"]),
                "because": _because(item.get("parts", {})) if item["arousal"] > 0 else "",
            }
            for item in found.get("disagreements", [])
        ],
    }


def _because(parts: dict[str, float]) -> str:
    """Write which parts of a voice are above its usual: louder, higher and faster."""
    words = [str(word) for name, word in PARTS if parts.get(name, 0.0) >= NAMED]
    if len(words) < 2:
        return "".join(words)
    return gettext("%(first)s and %(last)s") % {"first": gettext(", ").join(words[:-1]), "last": words[-1]}


def voice_points(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the page's script draws: arousal by turn, and where it disagrees with the words."""
    found = document.get("voice") or {}
    return {
        "voice": [
            {"party": turn["party"], "at": (turn["start_ms"] + turn["end_ms"]) // 2, "arousal": turn["arousal"]}
            for turn in found.get("turns", [])
            if turn["arousal"] is not None
        ],
        "disagreements": [
            {
                "at": (i["start_ms"] + i["end_ms"]) // 2,
                "score": i["score"],
                "arousal": i["arousal"],
                "kind": KINDS[i["kind"]],
            }
            for i in found.get("disagreements", [])
            if i["kind"] in KINDS
        ],
    }
