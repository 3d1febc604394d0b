"""A call has a new transcript: what people had corrected and looked at in the old ones goes along."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Max
from django.utils import timezone

from asr_worker.normalise import normalise
from asr_worker.types import Transcript as TranscriptDocument
from callcenter.accounts.models import User
from callcenter.calls.models import Call, Transcript, Turn
from callcenter.core.errors import CallcenterError
from callcenter.review.carry import carry
from callcenter.review.models import Correction, Review
from callcenter.review.projection import change_of, load, ordered
from callcenter.review.replay import Change, Piece, State, Unfit
from callcenter.review.scoring import wrong_words

Status = Correction.Status


def carry_over(*, call: Call, transcript: Transcript, document: TranscriptDocument) -> dict[str, int]:
    """Carry the corrections and reviews of the call's other transcripts over; return how many had which outcome.

    What was carried before is not carried again, so a call may go back to an earlier transcript. The caller holds the
    call's row lock and projects afterwards.
    """
    Turn.objects.filter(call=call, to_review=True).exclude(transcript=transcript).update(to_review=False)
    counts = {"applied": 0, "settled": 0, "stranded": 0}
    roots = Correction.objects.filter(call=call, root=None).live().exclude(transcript=transcript)
    roots = roots.exclude(carried__transcript=transcript).select_related("transcript")
    waiting = sorted(roots, key=lambda c: (c.created_at, c.order))
    state = State(document)
    here = Correction.objects.filter(transcript=transcript, status=Status.APPROVED)
    for correction in ordered(here):
        _apply(state, change_of(correction))
    speakers = _speakers({c.transcript for c in waiting})
    made: list[Correction] = []
    order = next_order(transcript)
    for root in waiting:
        change = change_of(root)
        placed = carry(state, change, party=speakers.get((str(root.transcript_id), root.turn_index), ""))
        counts[placed.outcome] += 1
        rows = [row_of(call, transcript, one, root=root, status=root.status) for one in placed.changes]
        if placed.outcome == "stranded":
            rows = [row_of(call, transcript, change, root=root, status=Status.STRANDED)]
        else:
            _cover_earlier(made, change)
            rows = rows or [row_of(call, transcript, change, root=root, status=Status.SETTLED)]
        for row in rows:
            row.order, order = order, order + 1
        made.extend(rows)
    Correction.objects.bulk_create(made)
    _carry_reviews(call, transcript, state)
    return counts


def place_by_hand(*, correction: Correction, state: State, document: TranscriptDocument) -> list[Change]:
    """Return the changes that put a stranded correction where its time is, whatever stands there. Raises Unfit."""
    root = correction.root or correction
    party = _speakers({root.transcript}).get((str(root.transcript_id), root.turn_index), "")
    placed = carry(state, change_of(root), party=party, force=True)
    if placed.outcome == "stranded":
        raise Unfit(placed.reason)
    return list(placed.changes)


def row_of(
    call: Call,
    transcript: Transcript,
    change: Change,
    *,
    status: str,
    root: Correction | None = None,
    author: User | None = None,
) -> Correction:
    """Return an unsaved correction; a carried one keeps the author of what it carries."""
    row = Correction(
        call=call,
        transcript=transcript,
        kind=change.kind,
        root=root,
        model=transcript.model,
        turn_index=change.turn,
        first_word=change.first,
        last_word=change.last,
        position=change.position,
        before=list(change.before),
        after=list(change.after),
        start_ms=change.start_ms,
        end_ms=change.end_ms,
        author=root.author if root else author,
        status=status,
    )
    if root is not None:
        row.group = root.group
        row.decided_by, row.decided_at = root.decided_by, root.decided_at
    return row


def next_order(transcript: Transcript) -> int:
    """Return the place after the last correction of a transcript."""
    last = Correction.objects.filter(transcript=transcript).aggregate(last=Max("order"))["last"]
    return 0 if last is None else last + 1


def _apply(state: State, change: Change) -> None:
    try:
        state.apply(change)
    except Unfit:
        # The projection that follows marks it; what comes after must not wait for that.
        return


def _cover_earlier(made: Iterable[Correction], change: Change) -> None:
    """An earlier correction that found no place is no loss where a later one speaks for all of its time."""
    if change.kind != "text":
        return
    for row in made:
        covered = change.start_ms <= row.start_ms and row.end_ms <= change.end_ms
        if row.kind == "text" and row.status == Status.STRANDED and covered:
            row.status = Status.SETTLED


def _speakers(transcripts: Iterable[Transcript]) -> dict[tuple[str, int], str]:
    """Return who spoke each turn of some stored transcripts; nothing for one that is gone."""
    found = {}
    for transcript in transcripts:
        try:
            document = load(transcript)
        except CallcenterError:
            continue
        found.update({(str(transcript.pk), turn.index): str(turn.party) for turn in document.turns})
    return found


def _carry_reviews(call: Call, transcript: Transcript, state: State) -> None:
    """A turn that reads as a person has once left it needs nobody to look again; any other one does."""
    known = list(Review.objects.filter(call=call).exclude(transcript=transcript).order_by("-reviewed_at"))
    have = set(Review.objects.filter(transcript=transcript).values_list("turn_index", "first_word"))
    fresh = []
    for piece in state.pieces:
        if not piece.words or piece.key in have:
            continue
        old = next((review for review in known if _same(piece, review)), None)
        if old is None:
            continue
        start, end = piece.span()
        heard = " ".join(word.text for word in state.heard_in(piece))
        words, wrong = wrong_words(heard, piece.text)
        review = replace_review(old, transcript, piece.key, (start, end), piece.text)
        review.outcome = Review.Outcome.CORRECTED if piece.change_ids() else Review.Outcome.CONFIRMED
        review.words, review.wrong = words, wrong
        fresh.append(review)
    Review.objects.bulk_create(fresh)


def replace_review(
    old: Review, transcript: Transcript, key: tuple[int, int], span: tuple[int, int], text: str
) -> Review:
    """Return an unsaved review of the same looking on another transcript; never one of the spot checks.

    Only turns that read right again are carried, so counting them would make the new model look better than it is.
    """
    return Review(
        call_id=old.call_id,
        transcript=transcript,
        turn_index=key[0],
        first_word=key[1],
        start_ms=span[0],
        end_ms=span[1],
        text=text,
        outcome=old.outcome,
        reviewer_id=old.reviewer_id,
        sampled=False,
        expected_errors=0.0,
        reviewed_at=old.reviewed_at or timezone.now(),
    )


def _same(piece: Piece, review: Review) -> bool:
    start, end = piece.span()
    shared = min(end, review.end_ms) - max(start, review.start_ms)
    longest = max(end - start, review.end_ms - review.start_ms, 1)
    return shared >= 0.7 * longest and normalise(piece.text) == normalise(review.text)
