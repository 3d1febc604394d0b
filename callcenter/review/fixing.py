"""Fix-all: a word or phrase that is wrong in many calls, found, shown, chosen and corrected, undoable as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Turn
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.review.access import locked_call
from callcenter.review.page import row_digest
from callcenter.review.scoring import plain
from callcenter.review.selectors import seen_words
from callcenter.review.services import write_text

MAX_TURNS = 200
MAX_WORDS = 8
CONTEXT = 8


@dataclass(frozen=True, slots=True)
class Found:
    """One place where the words stand. `name` identifies it, with the digest of the turn it was seen in."""

    name: str
    turn: Turn
    before: str
    words: str
    after: str
    start_ms: int


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a fix-all did: how many turns in how many calls, and how many were left alone."""

    group: uuid.UUID
    turns: int
    calls: int
    left: int


def find(*, user: User, wrong: str, right: str = "") -> tuple[list[Found], bool]:
    """Return the places in visible calls where the words stand, and whether there may be more.

    Words match whatever their case and punctuation; places that read as `right` to the letter are left out. Raises
    CallcenterError for nothing to search or too many words.
    """
    wanted = _wanted(wrong)
    calls = Call.objects.visible_to(user)
    turns = Turn.objects.filter(call__in=calls, transcript=F("call__transcript"))
    query = SearchQuery(wrong, search_type="phrase", config="english")
    order = ("-call__started_at", "call_id", "index")
    candidates = list(turns.filter(search=query).select_related("call__agent").order_by(*order)[: MAX_TURNS + 1])
    if not candidates:
        # Words that full-text search passes over ("to the"), or that it cuts differently.
        narrowed = turns.filter(searchable__icontains=wrong.split()[0].strip(".,;:!?"))
        candidates = list(narrowed.select_related("call__agent").order_by(*order)[: MAX_TURNS + 1])
    found = []
    shown = seen_words(user, candidates[:MAX_TURNS])
    for turn in candidates[:MAX_TURNS]:
        # What the person is not shown is not found either: a search that answers tells.
        texts = shown[turn.pk]
        for at in _places(texts, wanted):
            here = texts[at : at + len(wanted)]
            if _dressed(here, right) == here:
                continue
            found.append(
                Found(
                    name=f"{turn.call_id}/{turn.source_turn}/{turn.source_word}/{row_digest(turn, turn.call)}/{at}",
                    turn=turn,
                    before=" ".join(texts[max(0, at - CONTEXT) : at]),
                    words=" ".join(here),
                    after=" ".join(texts[at + len(wanted) : at + len(wanted) + CONTEXT]),
                    start_ms=turn.words[at][1],
                )
            )
    return found, len(candidates) > MAX_TURNS


def fix_all(*, user: User, wrong: str, right: str, chosen: Sequence[str]) -> Fixed:
    """Put `right` in place of `wrong` at the chosen places, as corrections of one group.

    A turn that has changed since it was shown is left alone. Raises CallcenterError when nothing was chosen.
    """
    wanted = _wanted(wrong)
    by_call: dict[str, dict[tuple[int, int, str], set[int]]] = {}
    for name in chosen[:5000]:
        parts = name.split("/")
        if len(parts) != 5:
            continue
        try:
            call_id, key, at = str(uuid.UUID(parts[0])), (int(parts[1]), int(parts[2]), parts[3]), int(parts[4])
        except ValueError:
            continue
        by_call.setdefault(call_id, {}).setdefault(key, set()).add(at)
    if not by_call:
        raise CallcenterError(gettext("Choose at least one place."), code="nothing_chosen")
    group = uuid.uuid4()
    turns = calls = left = 0
    for call_id in sorted(by_call):
        try:
            with transaction.atomic():
                call = locked_call(call_id, user)
                edits, gone = _edits(call, user, by_call[call_id], wanted, right)
                changed, unchanged = write_text(call=call, user=user, edits=edits, group=group)
                if changed:
                    audit.record("correction.fix_all", call, user=user, group=str(group), turns=changed)
        except CallcenterError:
            left += len(by_call[call_id])
            continue
        turns, left, calls = turns + changed, left + unchanged + gone, calls + bool(changed)
    return Fixed(group, turns, calls, left)


def _edits(
    call: Call, user: User, keys: dict[tuple[int, int, str], set[int]], wanted: list[str], right: str
) -> tuple[list[tuple[int, int, str, str]], int]:
    rows = {
        (turn.source_turn, turn.source_word): turn
        for turn in Turn.objects.filter(call=call, transcript=call.transcript_id)
    }
    shown = seen_words(user, list(rows.values()))
    edits, gone = [], 0
    for (turn_no, word_no, digest), places in keys.items():
        turn = rows.get((turn_no, word_no))
        if turn is None or row_digest(turn, call) != digest:
            gone += 1
            continue
        texts = list(shown[turn.pk])
        for at in sorted(places & set(_places(texts, wanted)), reverse=True):
            texts[at : at + len(wanted)] = _dressed(texts[at : at + len(wanted)], right)
        edits.append((turn_no, word_no, digest, " ".join(texts)))
    return edits, gone


def _wanted(wrong: str) -> list[str]:
    wanted = [plain(word) for word in wrong.split() if plain(word)]
    if not wanted:
        raise CallcenterError(gettext("Say which word or phrase is wrong."), code="nothing_to_find")
    if len(wanted) > MAX_WORDS:
        raise CallcenterError(gettext("At most {max_words} words.").format(max_words=MAX_WORDS), code="too_many")
    return wanted


def _places(texts: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return where the words stand, without overlaps."""
    plains = [plain(text) for text in texts]
    found: list[int] = []
    for at in range(len(plains) - len(wanted) + 1):
        if plains[at : at + len(wanted)] == list(wanted) and (not found or at >= found[-1] + len(wanted)):
            found.append(at)
    return found


def _dressed(here: Sequence[str], right: str) -> list[str]:
    """Return the right words with the punctuation that stood around the wrong ones."""
    words = right.split()
    if not words:
        return []
    first, last = here[0], here[-1]
    lead = first[: len(first) - len(first.lstrip("\"'(“‘"))]
    tail = last[len(last.rstrip(".,;:!?\"')”’…")) :]
    if words[-1][-1] in ".,;:!?":
        tail = ""
    words[0] = lead + words[0]
    words[-1] = words[-1] + tail
    return words
