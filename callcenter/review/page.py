"""What the call page shows of corrections: the turns as this person sees them, and what waits for somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from analytics.redaction import Level, hide_in_place
from callcenter.accounts.models import User
from callcenter.calls.models import Call, Turn
from callcenter.core.errors import CallcenterError
from callcenter.privacy.services.levels import level_for
from callcenter.privacy.services.seeing import spans_of, text_for
from callcenter.review.access import View, has_pending, may_correct, view_of
from callcenter.review.models import Correction
from callcenter.review.projection import OTHER, review_of
from callcenter.review.replay import Piece, digest

#: The key for the next doubtful turn stops where one word is less sure than this, or this share is likely wrong.
UNSURE_WORD = 0.5
UNSURE_SHARE = 0.12
HISTORY = 30
Status = Correction.Status


@dataclass(frozen=True, slots=True)
class Shown:
    """A turn as one person sees it. `waiting` are the places of words that wait for approval."""

    turn: Turn
    digest: str
    waiting: frozenset[int]
    pending: bool

    @property
    def key(self) -> str:
        return f"{self.turn.source_turn}-{self.turn.source_word}"

    @property
    def doubtful(self) -> bool:
        if self.turn.review:
            return False
        share = (self.turn.expected_errors or 0.0) / max(1, len(self.turn.words))
        return share >= UNSURE_SHARE or any(w[3] is not None and w[3] < UNSURE_WORD for w in self.turn.words)


def shown_turns(call: Call, user: User) -> list[Shown]:
    """Return the turns of the current transcript with the user's own waiting corrections in them."""
    if call.transcript_id is None:
        return []
    rows = list(call.turns.filter(transcript=call.transcript_id).order_by("index"))
    if has_pending(call, user):
        try:
            return _own_view(call, user, rows)
        except CallcenterError:
            # The stored transcript is gone; what everybody sees is still there.
            pass
    return [Shown(turn, row_digest(turn, call), frozenset(), False) for turn in rows]


def seen_pieces(call: Call, pieces: Sequence[Piece], level: Level) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Return replayed turns as documents, and the words of each as a reader of this level sees them, one for one."""
    documents = []
    for index, piece in enumerate(pieces):
        start, end = piece.span()
        words = [{"text": w.text, "start_ms": w.start_ms, "end_ms": w.end_ms} for w in piece.words]
        party = OTHER[piece.party] if call.parties_swapped else piece.party
        documents.append(
            {
                "index": index,
                "party": party,
                "channel": max(piece.channel, 0),
                "start_ms": start,
                "end_ms": end,
                "words": words,
                "text": piece.text,
            }  # fmt: skip
        )
    whole = {"turns": documents}
    shown = hide_in_place(whole, spans_of(whole), level)
    return documents, [[word["text"] for word in turn["words"]] for turn in shown["turns"]]


def seen_piece(call: Call, user: User, view: View, piece: Piece) -> list[str]:
    """Return the words of one replayed turn as this user sees them, one for one."""
    pieces = view.done.turns
    at = next((n for n, p in enumerate(pieces) if p.key == piece.key), None)
    if at is None:
        return [text_for(user, call, word.text) for word in piece.words]
    return seen_pieces(call, pieces, level_for(user, call))[1][at]


def row_digest(turn: Turn, call: Call) -> str:
    """Return the digest of a turn's row: equal to that of the replayed turn while nobody has changed it."""
    return digest(OTHER[turn.party] if call.parties_swapped else turn.party, turn.words)


def _own_view(call: Call, user: User, rows: list[Turn]) -> list[Shown]:
    view = view_of(call, user)
    known = {(turn.source_turn, turn.source_word): turn for turn in rows}
    reviews = list(call.reviews.filter(transcript=call.transcript_id))
    found = []
    for index, piece in enumerate(view.done.turns):
        start, end = piece.span()
        row = known.get(piece.key)
        review = review_of(piece, reviews)
        turn = Turn(
            call=call,
            transcript=call.transcript,
            index=index,
            party=OTHER[piece.party] if call.parties_swapped else piece.party,
            speaker=piece.speaker,
            channel=piece.channel,
            start_ms=start,
            end_ms=end,
            text=piece.text,
            words=[[w.text, w.start_ms, w.end_ms, round(w.probability, 4)] for w in piece.words],
            source_turn=piece.key[0],
            source_word=piece.key[1],
            review=review.outcome if review else "",
            expected_errors=row.expected_errors if row else 0.0,
        )
        waiting = frozenset(n for n, word in enumerate(piece.words) if word.change in view.pending)
        pending = not view.pending.isdisjoint(piece.change_ids())
        found.append(Shown(turn, piece.digest(), waiting, pending))
    return found


def panel(call: Call, user: User) -> dict[str, Any]:
    """Return what stands beside the text: what no longer applies, what waits, what was done, and what this user may."""
    editor = may_correct(user) and call.transcript_id is not None
    corrections = Correction.objects.filter(transcript=call.transcript_id).select_related("author", "decided_by")
    groups = _groups(corrections.live().order_by("-created_at")[:200], user)
    return {
        "may_correct": editor,
        "stranded": [_line(c, call, user) for c in corrections.filter(status=Status.STRANDED).order_by("start_ms")],
        "waiting": corrections.filter(status=Status.PENDING).count(),
        "groups": groups[:HISTORY],
        "corrected_at": call.corrected_at,
        "rejected": [
            _line(c, call, user)
            for c in corrections.filter(status=Status.REJECTED, author=user).order_by("-decided_at")[:HISTORY]
        ],
    }


def _groups(rows: QuerySet[Correction], user: User) -> list[dict[str, Any]]:
    """Return the corrections of a call by what was done at once, newest first."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        group = found.setdefault(
            row.group,
            {
                "id": row.group,
                "author": row.author,
                "at": row.created_at,
                "pending": False,
                "carried": row.root_id is not None,
                "may_undo": row.author_id == user.pk or (may_correct(user) and not user.is_agent),
                "lines": [],
            },
        )
        group["pending"] = group["pending"] or row.status == Status.PENDING
        group["lines"].insert(0, _line(row, row.call, user))
    return list(found.values())


def _line(row: Correction, call: Call, user: User) -> dict[str, Any]:
    """Return one correction in words."""
    before, after = (text_for(user, call, text) for text in what_changed(row, swapped=call.parties_swapped))
    return {"row": row, "kind": row.get_kind_display(), "before": before, "after": after, "start_ms": row.start_ms}


def what_changed(row: Correction, *, swapped: bool) -> tuple[str, str]:
    """Return how it was and how it became, for people; empty strings where words say nothing (split, merge)."""
    if row.kind == Correction.Kind.TEXT:
        return " ".join(map(str, row.before)) or "(nothing)", " ".join(map(str, row.after)) or "(nothing)"
    if row.kind == Correction.Kind.PARTY:
        name = (lambda party: OTHER.get(party, party)) if swapped else str
        return name(str(row.before[0])).capitalize(), name(str(row.after[0])).capitalize()
    if row.kind == Correction.Kind.TIMES:
        return _span(row.before), _span(row.after)
    return "", ""


def _span(times: Any) -> str:
    return f"{times[0] / 1000:.2f}–{times[1] / 1000:.2f} s"
