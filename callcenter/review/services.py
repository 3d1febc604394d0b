"""Correcting: every change of a text, by whom, checked, recorded and projected in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from asr_worker.types import PARTIES
from asr_worker.types import Transcript as TranscriptDocument
from callcenter.accounts.models import User
from callcenter.calls.models import Call, Transcript, Turn
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.privacy.services.keeping import after_change, typed_words
from callcenter.privacy.services.levels import level_for
from callcenter.privacy.services.seeing import restored
from callcenter.review import vocabulary
from callcenter.review.access import View, locked_call, needs_approval, view_of
from callcenter.review.carrying import next_order, place_by_hand, row_of
from callcenter.review.edits import merge_change, party_change, split_change, text_changes, times_change, words_of
from callcenter.review.models import Correction, Review
from callcenter.review.projection import OTHER, project
from callcenter.review.replay import Change, Piece, Unfit
from callcenter.review.scoring import wrong_words

Status = Correction.Status
ACTIONS = ("text", "party", "split", "merge", "times", "confirm")


class Conflict(CallcenterError):
    """Somebody else changed the turn meanwhile: `theirs` is how it reads now (None: it is gone), `mine` was sent."""

    code = "conflict"

    def __init__(self, message: str, *, theirs: Piece | None, mine: str) -> None:
        super().__init__(message)
        self.theirs = theirs
        self.mine = mine


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save left: the turn as the person sees it now (None: it has no words left), and what was recorded."""

    piece: Piece | None
    corrections: tuple[Correction, ...] = ()
    pending: bool = False
    withdrawn: int = 0
    group: uuid.UUID = field(default_factory=uuid.uuid4)


def correct_turn(
    *,
    call_id: Any,
    user: User,
    turn: int,
    word: int,
    digest: str,
    action: str,
    data: dict[str, Any] | None = None,
    session: uuid.UUID | None = None,
    sampled: bool = False,
) -> Saved:
    """Change or confirm one turn, named by its first stored word, provided that it still reads as `digest` says.

    `action` and its `data`: text {text}, party {party}, split {at}, merge {direction}, times {number, start_ms,
    end_ms}, confirm {}. Saves of one `session` (one opening of the editor) count as one correction: each replaces the
    last. Raises Conflict when somebody else changed the turn meanwhile, CallcenterError when it cannot be done.
    """
    data = data or {}
    if action not in ACTIONS:
        raise CallcenterError(gettext("This is not something that can be done to a turn."), code="bad_action")
    with transaction.atomic():
        call = locked_call(call_id, user)
        mine = str(data.get("text", "")) if action == "text" else ""
        view = view_of(call, user)
        piece = _unchanged(view, turn, word, digest, mine)
        if action == "confirm":
            _note_review(call, piece, view, user, sampled=sampled)
            audit.record("review.confirm", call, user=user, turn=turn, word=word)
            _project(call, shared=False, document=view.document)
            return Saved(piece)
        earlier = _of_session(call, user, session, view, piece) if action == "text" else []
        try:
            hidden = frozenset(str(c.pk) for c in earlier)
            base = view_of(call, user, without=hidden, document=view.document) if earlier else view
            changes = _changes(action, data, base, base.done.state.find(turn, word), call, user)
        except Unfit as problem:
            raise CallcenterError(problem.message, code="unfit") from problem
        shared = any(c.status == Status.APPROVED for c in earlier)
        _replace(earlier, user)
        group = session or uuid.uuid4()
        rows = _record(call, user, changes, group, pending=needs_approval(call, user, turn, word))
        after = view_of(call, user, document=view.document)
        piece_now = _shown(after, turn, word)
        if action == "text":
            vocabulary.note_use((str(w) for row in rows for w in row.after), call.team_id)
            if piece_now is not None and piece_now.change_ids():
                _note_review(call, piece_now, after, user, sampled=sampled)
            else:
                _forget_reviews(call, earlier)
        shared = shared or any(row.status == Status.APPROVED for row in rows)
        _project(call, shared=shared, document=view.document)
        pending = any(row.status == Status.PENDING for row in rows)
        return Saved(piece_now, tuple(rows), pending, len(earlier), group)


def undo(*, call_id: Any, user: User) -> list[Correction]:
    """Withdraw the user's last correction of this call (all that was done at once); return what was withdrawn.

    Only of the last day: older ones are undone from the list of corrections, where one sees what it is.
    """
    with transaction.atomic():
        call = locked_call(call_id, user)
        day = timezone.now() - timedelta(days=1)
        mine = Correction.objects.filter(transcript=call.transcript, author=user, root=None, created_at__gte=day).live()
        last = mine.order_by("-order").first()
        if last is None:
            raise CallcenterError(gettext("You have corrected nothing here that could be undone."), code="nothing")
        rows = list(mine.filter(group=last.group))
        _withdraw(call, rows, user)
    return rows


def withdraw_group(*, group: uuid.UUID, user: User) -> int:
    """Withdraw everything of one group, for example one fix-all over many calls; return how many calls changed.

    Only the author and supervisors of the calls may. Raises CallcenterError when there is nothing (left).
    """
    found = Correction.objects.visible_to(user).filter(group=group).live()
    if user.is_agent:
        found = found.filter(author=user)
    call_ids = sorted(set(found.values_list("call_id", flat=True)))
    if not call_ids:
        raise CallcenterError(gettext("There is nothing left to undo."), code="nothing")
    for call_id in call_ids:
        with transaction.atomic():
            call = locked_call(call_id, user)
            _withdraw(call, list(found.filter(call=call)), user)
    return len(call_ids)


def decide(*, ids: Sequence[Any], user: User, approve: bool) -> int:
    """Approve or reject corrections that wait; return how many were decided. Those decided meanwhile are left alone."""
    found = Correction.objects.visible_to(user).filter(pk__in=list(ids), status=Status.PENDING)
    done = 0
    for call_id in sorted(set(found.values_list("call_id", flat=True))):
        with transaction.atomic():
            call = locked_call(call_id, user)
            rows = list(found.filter(call=call).order_by("order"))
            status = Status.APPROVED if approve else Status.REJECTED
            _decide(rows, status, user)
            for row in rows:
                audit.record(f"correction.{status}", row, user=user, call=str(call.pk))
            _settle(call, rows)
            done += len(rows)
    return done


def apply_stranded(*, correction: Correction, user: User) -> Saved:
    """Put a correction that no longer applied to where its time is, whatever stands there now."""
    with transaction.atomic():
        call = locked_call(correction.call_id, user)
        row = Correction.objects.filter(pk=correction.pk, transcript=call.transcript, status=Status.STRANDED).first()
        if row is None:
            raise CallcenterError(gettext("This correction is not waiting for anything any more."), code="nothing")
        view = view_of(call, user)
        try:
            changes = place_by_hand(correction=row, state=view.done.state, document=view.document)
        except Unfit as problem:
            raise CallcenterError(problem.message, code="unfit") from problem
        root = row.root or row
        made = [
            row_of(call, _transcript(call), change, root=root, status=Status.APPROVED, author=user)
            for change in changes
        ]
        _number(made, _transcript(call))
        Correction.objects.bulk_create(made)
        _only(row, Status.SETTLED, user)
        audit.record("correction.apply_by_hand", row, user=user, call=str(call.pk))
        _settle(call, made)
    return Saved(None, tuple(made))


def dismiss_stranded(*, correction: Correction, user: User) -> None:
    """Set a correction that no longer applies aside for good, also for transcripts to come."""
    with transaction.atomic():
        call = locked_call(correction.call_id, user)
        row = Correction.objects.filter(pk=correction.pk, call=call, status=Status.STRANDED).first()
        if row is None:
            raise CallcenterError(gettext("This correction is not waiting for anything any more."), code="nothing")
        _decide([row], Status.WITHDRAWN, user)
        audit.record("correction.dismiss", row, user=user, call=str(call.pk))


def write_text(
    *, call: Call, user: User, edits: Sequence[tuple[int, int, str, str]], group: uuid.UUID
) -> tuple[int, int]:
    """Correct several turns of a locked call at once: (turn, word, digest, text); return (turns changed, left alone).

    A turn that changed since it was looked at is left alone. For fix-all.
    """
    changed = left = 0
    rows: list[Correction] = []
    view = view_of(call, user)
    for turn, word, digest, text in edits:
        try:
            piece = _unchanged(view, turn, word, digest, text)
            changes = text_changes(piece, typed_in(call, user, view, piece, words_of(text)))
        except (Conflict, Unfit):
            left += 1
            continue
        rows += _record(call, user, changes, group, pending=needs_approval(call, user, turn, word))
        changed += 1
    _project(call, shared=any(row.status == Status.APPROVED for row in rows), document=view.document)
    return changed, left


def typed_in(call: Call, user: User, view: View, piece: Piece, new: list[str]) -> list[str]:
    """Return the words that a person left in the editor, as they are stored.

    What the person was not shown and left alone stays as it is; a card number that was typed is not kept.
    """
    from callcenter.review.page import seen_pieces

    pieces = view.done.turns
    at = next((n for n, p in enumerate(pieces) if p is piece), None)
    if at is None:
        return new
    documents, seen = seen_pieces(call, pieces, level_for(user, call))
    words = restored([w.text for w in piece.words], seen[at], new)
    return typed_words(documents, at, words)


def _unchanged(view: View, turn: int, word: int, digest: str, mine: str) -> Piece:
    piece = _shown(view, turn, word)
    if piece is None:
        raise Conflict(
            gettext("Somebody joined this turn with another one or emptied it meanwhile."), theirs=None, mine=mine
        )
    if piece.digest() != digest:
        raise Conflict(gettext("Somebody else changed this turn meanwhile."), theirs=piece, mine=mine)
    return piece


def _shown(view: View, turn: int, word: int) -> Piece | None:
    """Return the turn of this name, if there is one with words."""
    try:
        piece = view.done.state.find(turn, word)
    except Unfit:
        return None
    return piece if piece.key == (turn, word) and piece.words else None


def _changes(action: str, data: dict[str, Any], view: View, piece: Piece, call: Call, user: User) -> list[Change]:
    if action == "party":
        party = str(data.get("party", ""))
        if party not in PARTIES:
            raise Unfit(gettext("A party is agent, customer or unknown."))
        return party_change(piece, OTHER[party] if call.parties_swapped else party)
    if action == "text":
        return text_changes(piece, typed_in(call, user, view, piece, words_of(str(data.get("text", "")))))
    if action == "merge":
        return merge_change(view.done.state, piece, "next" if data.get("direction") == "next" else "previous")
    if action == "split":
        return split_change(piece, _number_in(data, "at"))
    start, end = _number_in(data, "start_ms"), _number_in(data, "end_ms")
    if end > view.document.duration_ms:
        raise Unfit(
            gettext("The recording ends at {duration_ms:.2f} s.").format(duration_ms=view.document.duration_ms / 1000)
        )
    return times_change(piece, _number_in(data, "number"), start, end)


def _number_in(data: dict[str, Any], name: str) -> int:
    try:
        return int(data.get(name, ""))
    except (TypeError, ValueError) as error:
        raise Unfit(gettext("A number is missing.")) from error


def _record(call: Call, user: User, changes: Sequence[Change], group: uuid.UUID, *, pending: bool) -> list[Correction]:
    status = Status.PENDING if pending else Status.APPROVED
    rows = [row_of(call, _transcript(call), change, status=status, author=user) for change in changes]
    _number(rows, _transcript(call))
    for row in rows:
        row.group = group
    Correction.objects.bulk_create(rows)
    for row in rows:
        audit.record("correction.make", row, user=user, call=str(call.pk), kind=row.kind, status=row.status)
    return rows


def _number(rows: Sequence[Correction], transcript: Transcript) -> None:
    for order, row in enumerate(rows, next_order(transcript)):
        row.order = order


def _project(call: Call, *, shared: bool, document: TranscriptDocument | None = None) -> None:
    """Write the turns; where what everybody reads has changed (`shared`), the call is to be understood again."""
    project(call, _transcript(call), document=document)
    after_change(call)
    if shared:
        Call.objects.filter(pk=call.pk).update(corrected_at=timezone.now())


def _settle(call: Call, rows: Sequence[Correction]) -> None:
    """After decisions: the reviews that rested on what is gone go too, and the text is projected."""
    _forget_reviews(call, rows)
    _project(call, shared=True)


def _withdraw(call: Call, rows: Sequence[Correction], user: User) -> None:
    _decide(rows, Status.WITHDRAWN, user)
    for row in rows:
        audit.record("correction.withdraw", row, user=user, call=str(call.pk))
    _settle(call, rows)


def _decide(rows: Sequence[Correction], status: str, user: User) -> None:
    """Write a decision on corrections and on everything carried over from or to them."""
    if not rows:
        return
    roots = {row.root_id or row.pk for row in rows}
    family = Correction.objects.filter(Q(pk__in=roots) | Q(root__in=roots))
    counted = [Status.PENDING] if status == Status.APPROVED else [Status.PENDING, Status.APPROVED, Status.STRANDED]
    now = timezone.now()
    family.filter(status__in=counted).update(status=status, decided_by=user, decided_at=now)
    for row in rows:
        row.status, row.decided_by, row.decided_at = status, user, now


def _replace(rows: Sequence[Correction], user: User) -> None:
    """Forget what this opening of the editor has saved so far: half-typed words are nobody's correction.

    What a dataset or another transcript has taken up meanwhile is withdrawn instead, so that it can still be traced.
    """
    named = Correction.objects.filter(pk__in=[row.pk for row in rows])
    taken_up = Q(datasets__isnull=False) | Q(carried__isnull=False) | Q(root__isnull=False)
    kept = set(named.filter(taken_up).values_list("pk", flat=True))
    _decide([row for row in rows if row.pk in kept], Status.WITHDRAWN, user)
    named.exclude(pk__in=kept).delete()


def _only(row: Correction, status: str, user: User) -> None:
    Correction.objects.filter(pk=row.pk).update(status=status, decided_by=user, decided_at=timezone.now())


def _of_session(call: Call, user: User, session: uuid.UUID | None, view: View, piece: Piece) -> list[Correction]:
    """Return what this opening of the editor has saved of this turn so far."""
    if session is None:
        return []
    found = Correction.objects.filter(transcript=call.transcript, author=user, group=session, kind="text").live()
    state = view.done.state
    return [row for row in found if state.find(row.turn_index, row.first_word) is piece]


def _note_review(call: Call, piece: Piece, view: View, user: User, *, sampled: bool) -> None:
    """Record that a person has looked at this turn and left it as it reads now."""
    transcript = _transcript(call)
    key: dict[str, Any] = {"transcript": transcript, "turn_index": piece.key[0], "first_word": piece.key[1]}
    state = view.done.state
    source = state.heard_in(piece)
    heard = " ".join(word.text for word in source)
    old = Review.objects.filter(**key).first()
    corrected = bool(piece.change_ids())
    words, wrong = wrong_words(heard, piece.text)
    turn = Turn.objects.filter(transcript=transcript, source_turn=piece.key[0], source_word=piece.key[1]).first()
    start, end = piece.span()
    Review.objects.update_or_create(
        **key,
        defaults={
            "call": call,
            # Words taken away at an edge were looked at as well.
            "start_ms": min(start, source[0].start_ms),
            "end_ms": max(end, source[-1].end_ms),
            "text": piece.text,
            "outcome": Review.Outcome.CORRECTED if corrected else Review.Outcome.CONFIRMED,
            "reviewer": user,
            "sampled": (sampled and bool(turn and turn.spot_check is not None)) or bool(old and old.sampled),
            "expected_errors": old.expected_errors if old else (turn.expected_errors or 0.0) if turn else 0.0,
            "words": words,
            "wrong": wrong,
            "reviewed_at": timezone.now(),
        },
    )


def _forget_reviews(call: Call, rows: Sequence[Correction]) -> None:
    """A turn whose corrections are all gone reads as nobody has said it should: it waits for review again."""
    live = list(
        Correction.objects.filter(transcript=call.transcript).live().values_list("turn_index", "start_ms", "end_ms")
    )
    for review in Review.objects.filter(transcript=call.transcript, outcome=Review.Outcome.CORRECTED):
        touched = any(
            row.turn_index == review.turn_index and _overlap(row.start_ms, row.end_ms, review) for row in rows
        )
        left = any(turn == review.turn_index and _overlap(start, end, review) for turn, start, end in live)
        if touched and not left:
            review.delete()


def _overlap(start: int, end: int, review: Review) -> bool:
    return start <= review.end_ms and end >= review.start_ms


def _transcript(call: Call) -> Transcript:
    assert call.transcript is not None
    return call.transcript
