"""The keyboard map: which keys do what, on every page and on one; the dialog and the jumps are made from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Keys as they are pressed, one after the other or together, and what they do."""

    keys: tuple[str, ...]
    text: str | _StrPromise


@dataclass(frozen=True, slots=True)
class Group:
    """Shortcuts that hold in the same place."""

    title: str | _StrPromise
    shortcuts: tuple[Shortcut, ...]


#: After `g`: the letter that leads to a page of the navigation.
JUMPS = {
    "dashboards:home": "d",
    "calls:list": "c",
    "insights:alerts": "a",
    "review:queue": "r",
    "privacy:masks": "p",
    "calls:batches": "b",
    "learning:overview": "l",
    "pipeline:operations": "o",
    "notifications:inbox": "i",
    "help": "h",
}
EVERYWHERE = (
    Shortcut(("?",), _("this list")),
    Shortcut(("/",), _("search on this page, or else in all calls")),
    Shortcut(("Esc",), _("close what is open")),
)
LISTENING = Group(
    _("Listening"),
    (
        Shortcut(("Space",), _("play, pause")),
        Shortcut(("←", "→"), _("back, forward 5 s")),
        Shortcut(("b",), _("back 2 s")),
        Shortcut(("[", "]"), _("slower, faster")),
        Shortcut(("/",), _("find in this call; Enter goes to the next place")),
    ),
)
CORRECTING = Group(
    _("Correcting"),
    (
        Shortcut(("n", "p"), _("next, previous doubtful turn")),
        Shortcut(("e",), _("correct the turn")),
        Shortcut(("r",), _("this is right")),
        Shortcut(("u",), _("undo")),
        Shortcut(("j",), _("next in the queue")),
    ),
)
TYPING = Group(
    _("While you type a correction"),
    (
        Shortcut(("Alt", "P"), _("play, pause")),
        Shortcut(("Alt", "B"), _("back 2 s")),
        Shortcut(("Alt", "N"), _("save, next doubtful turn")),
        Shortcut(("Alt", "S"), _("split at the cursor")),
        Shortcut(("Ctrl", "Enter"), _("save and close")),
        Shortcut(("Esc",), _("close (what you typed is saved)")),
    ),
)
RULE_TEXT = Group(
    _("In the text of a rule"),
    (
        Shortcut(("Tab",), _("indent")),
        Shortcut(("Esc", "Tab"), _("leave the field")),
    ),
)
#: The groups of each page that has keys of its own, by the name of its address.
ON_PAGE: dict[str, tuple[Group, ...]] = {
    "calls:detail": (LISTENING, CORRECTING, TYPING),
    "insights:rule_new": (RULE_TEXT,),
    "insights:rule": (RULE_TEXT,),
}


def groups(view_name: str, may_correct: bool) -> list[Group]:
    """Return the groups of one page; correcting only for whom it is open."""
    found = ON_PAGE.get(view_name, ())
    return [group for group in found if may_correct or group not in (CORRECTING, TYPING)]


def jumps(navigation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the letter, the address and the label of each page that this person may open."""
    return [
        {"letter": JUMPS[entry["name"]], "url": entry["url"], "label": entry["label"]}
        for entry in navigation
        if entry["name"] in JUMPS
    ]
