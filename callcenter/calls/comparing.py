"""Two versions of what was said side by side, word by word: model against model, before and after correction.

Words are aligned by the longest common runs of their plain forms, so that capitals and commas are no difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from django.utils import dateformat
from django.utils.translation import gettext as _

from analytics.redaction import Level, redact_document
from callcenter.calls.models import Call, Transcript
from callcenter.core.errors import CallcenterError
from callcenter.privacy.services.seeing import show, spans_of

CURRENT = "current"
_PLAIN = re.compile(r"[^\w']+")


@dataclass(frozen=True, slots=True)
class Version:
    """Something to compare: its key in the address, and what it is called."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Said:
    """One word of one version."""

    text: str
    start_ms: int
    party: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of words that stand in both versions, or differ."""

    same: bool
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """What was said from `start_ms` on: the left and the right version of one stretch of a party."""

    party: str
    start_ms: int
    left: list[Piece]
    right: list[Piece]

    @property
    def differs(self) -> bool:
        return any(not piece.same for piece in (*self.left, *self.right))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows, and how many words were replaced, left out or added on the way from left to right."""

    rows: list[Row]
    words: int
    changed: int


def versions(call: Call) -> list[Version]:
    """Return what can be compared: the text as it reads now and what each model heard, newest first."""
    found = [Version(CURRENT, _("As it reads now, with corrections"))] if call.transcript_id else []
    for transcript in call.transcripts.order_by("-created_at"):
        label = f"{transcript.model.rsplit('/', 1)[-1]}, {dateformat.format(transcript.created_at, _('d M Y, H:i'))}"
        found.append(Version(str(transcript.pk), label))
    return found


def words_of(call: Call, key: str, level: Level) -> list[Said]:
    """Return the words of a version in order, as a reader of this level sees them.

    Raises CallcenterError for one that is not there or cannot be read.
    """
    if key == CURRENT:
        turns = list(call.transcript.turns.all()) if call.transcript else []
        show(turns, level)
        return [Said(str(w[0]), int(w[1]), turn.party) for turn in turns for w in turn.words if w[0]]
    transcript = next((t for t in call.transcripts.all() if str(t.pk) == key), None)
    if transcript is None:
        raise CallcenterError(_("That version is not there."), code="no_version")
    return _heard(call, transcript, level)


def _heard(call: Call, transcript: Transcript, level: Level) -> list[Said]:
    from callcenter.calls.services.transcripts import OTHER
    from callcenter.review.projection import load

    turned: dict[str, Any] = OTHER if call.parties_swapped else {}
    document = load(transcript).to_json()
    seen = redact_document(document, spans_of(document), level)
    return [
        Said(word["text"], word["start_ms"], turned.get(turn["party"], turn["party"]))
        for turn in seen["turns"]
        for word in turn["words"]
        if word["text"]
    ]


def compare(left: Sequence[Said], right: Sequence[Said]) -> Comparison:
    """Return the two versions in rows that break where the party changes on the left."""
    matcher = SequenceMatcher(None, [_plain(w) for w in left], [_plain(w) for w in right], autojunk=False)
    rows: list[Row] = []
    changed = 0
    for kind, a, b, c, d in matcher.get_opcodes():
        same = kind == "equal"
        changed += 0 if same else max(b - a, d - c)
        if same:
            for offset in range(b - a):
                _put(rows, left[a + offset], right[c + offset], same=True)
            continue
        for word in left[a:b]:
            _put(rows, word, None, same=False)
        for word in right[c:d]:
            _put(rows, None, word, same=False)
    return Comparison(rows=[_joined(row) for row in rows], words=len(left), changed=changed)


def _put(rows: list[Row], left: Said | None, right: Said | None, *, same: bool) -> None:
    word = left or right
    assert word is not None
    # A word that only the right version has belongs to the stretch that is going on.
    if not rows or (left is not None and left.party != rows[-1].party and not _only_right(rows[-1])):
        rows.append(Row(word.party, word.start_ms, [], []))
    elif left is not None and left.party != rows[-1].party:
        rows[-1] = Row(left.party, rows[-1].start_ms, rows[-1].left, rows[-1].right)
    if left is not None:
        rows[-1].left.append(Piece(same, left.text))
    if right is not None:
        rows[-1].right.append(Piece(same, right.text))


def _only_right(row: Row) -> bool:
    return not row.left


def _joined(row: Row) -> Row:
    return Row(row.party, row.start_ms, _runs(row.left), _runs(row.right))


def _runs(pieces: Sequence[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        if out and out[-1].same == piece.same:
            out[-1] = Piece(piece.same, f"{out[-1].text} {piece.text}")
        else:
            out.append(piece)
    return out


def _plain(word: Said) -> str:
    return _PLAIN.sub("", word.text.casefold()) or word.text
