"""From the stored transcript and its corrections to the turns that every page, search and figure reads.

Turn rows are a projection: they can be made again at any time, and only this module writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext

from asr_worker.types import Transcript as TranscriptDocument
from callcenter.calls.models import Call, Transcript, Turn
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.review import vocabulary
from callcenter.review.models import Correction, Review
from callcenter.review.replay import Change, Piece, Replayed, replay
from callcenter.review.scoring import Vocabulary, expected_errors, plain, spot_check

OTHER = {"agent": "customer", "customer": "agent", "unknown": "unknown"}
#: A turn counts as looked at when a review covers this share of it; a turn that grew since must be looked at again.
COVERED = 0.8
FIELDS = (
    "party", "speaker", "channel", "start_ms", "end_ms", "text", "searchable", "words", "mean_probability",
    "source_turn", "source_word", "heard", "corrections", "review", "expected_errors", "spot_check", "to_review",
)  # fmt: skip


def load(transcript: Transcript) -> TranscriptDocument:
    """Return the stored transcript. Raises CallcenterError when it is gone or unreadable."""
    try:
        return TranscriptDocument.from_json(json.loads(store().get_bytes(transcript.artefact_key)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = gettext("The stored transcript of this call cannot be read; process the call again to correct it.")
        raise CallcenterError(message, code="artefact_unreadable") from error


def change_of(correction: Correction) -> Change:
    """Return a correction as replay reads it."""
    return Change(
        id=str(correction.pk),
        kind=correction.kind,
        turn=correction.turn_index,
        first=correction.first_word,
        last=correction.last_word,
        position=correction.position,
        before=correction.before,
        after=correction.after,
        start_ms=correction.start_ms,
        end_ms=correction.end_ms,
    )


def ordered(corrections: QuerySet[Correction]) -> list[Correction]:
    """Return corrections in the order in which they are replayed."""
    return list(corrections.order_by("order", "created_at", "pk"))


def project(call: Call, transcript: Transcript, *, document: TranscriptDocument | None = None) -> Replayed:
    """Write the turns of a transcript as they read now, touching only the rows that change; return what was replayed.

    The caller holds the call's row lock. An approved correction that does not fit (any more) is marked as such.
    Raises CallcenterError when the stored transcript cannot be read.
    """
    document = document or load(transcript)
    with transaction.atomic():
        approved = ordered(Correction.objects.filter(transcript=transcript, status=Correction.Status.APPROVED))
        done = replay(document, [change_of(c) for c in approved])
        if done.unfit:
            Correction.objects.filter(pk__in=list(done.unfit)).update(status=Correction.Status.STRANDED)
        _write(call, transcript, done)
    return done


def _write(call: Call, transcript: Transcript, done: Replayed) -> None:
    reviews = list(Review.objects.filter(transcript=transcript))
    terms = vocabulary.vocabulary_of(call.team_id)
    pieces = done.turns
    rare = vocabulary.rare_words((w.text for p in pieces for w in p.words), Transcript.objects.count())
    current = call.transcript_id == transcript.pk
    existing = {turn.index: turn for turn in Turn.objects.filter(transcript=transcript)}
    texts = _searchable(pieces)
    fresh, changed = [], []
    for index, piece in enumerate(pieces):
        review = review_of(piece, reviews)
        heard = " ".join(word.text for word in done.state.heard_in(piece))
        doubts = [(w.text, None if w.change else w.probability) for w in piece.words]
        start, end = piece.span()
        values: dict[str, Any] = {
            "party": OTHER[piece.party] if call.parties_swapped else piece.party,
            "speaker": piece.speaker[:40],
            "channel": max(piece.channel, 0),
            "start_ms": start,
            "end_ms": end,
            "text": piece.text,
            "searchable": texts[index],
            "words": [[w.text, w.start_ms, w.end_ms, round(w.probability, 4)] for w in piece.words],
            "mean_probability": fmean([w.probability for w in piece.words]),
            "source_turn": piece.key[0],
            "source_word": piece.key[1],
            "heard": heard if heard != piece.text else "",
            "corrections": piece.change_ids(),
            "review": review.outcome if review else "",
            "expected_errors": expected_errors(doubts, terms, lambda word: plain(word) in rare),
            "spot_check": spot_check(f"{transcript.artefact_key}:{piece.key}"),
            "to_review": current and review is None,
        }
        old = existing.pop(index, None)
        if old is None:
            fresh.append(Turn(transcript=transcript, call=call, index=index, **values))
        elif any(getattr(old, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(old, name, value)
            changed.append(old)
    if existing:
        Turn.objects.filter(pk__in=[turn.pk for turn in existing.values()]).delete()
    Turn.objects.bulk_update(changed, FIELDS, batch_size=500)
    Turn.objects.bulk_create(fresh, batch_size=500)


def _searchable(pieces: Sequence[Piece]) -> dict[int, str]:
    """Return what of each turn may be searched for."""
    from callcenter.privacy.services.levels import search_level
    from callcenter.privacy.services.seeing import searchable

    rows = []
    for index, piece in enumerate(pieces):
        start, end = piece.span()
        words = [[w.text, w.start_ms, w.end_ms] for w in piece.words]
        rows.append(
            Turn(
                index=index,
                party=piece.party,
                channel=max(piece.channel, 0),
                start_ms=start,
                end_ms=end,
                text=piece.text,
                words=words,
            )  # fmt: skip
        )
    return searchable(rows, search_level())


def review_of(piece: Piece, reviews: Iterable[Review]) -> Review | None:
    """Return the review that covers a turn: of the same stored turn, and of nearly all of its time."""
    start, end = piece.span()
    best: tuple[bool, Review] | None = None
    for review in reviews:
        if review.turn_index != piece.key[0]:
            continue
        shared = min(end, review.end_ms) - max(start, review.start_ms)
        if shared >= COVERED * (end - start):
            exact = review.first_word == piece.key[1]
            if best is None or exact:
                best = (exact, review)
    return best[1] if best else None


def rescore(*, team_id: int | None, limit: int = 500) -> int:
    """Compute the expectations of the turns that wait for review again, newest calls first; return how many calls.

    For a changed vocabulary: what is said stays, what is doubtful changes.
    """
    calls = Call.objects.filter(transcript__isnull=False).select_related("transcript").order_by("-started_at")
    if team_id is not None:
        calls = calls.filter(team=team_id)
    count = Transcript.objects.count()
    terms: dict[int, Vocabulary] = {}
    done = 0
    for call in calls[:limit]:
        if call.team_id not in terms:
            terms[call.team_id] = vocabulary.vocabulary_of(call.team_id)
        known = terms[call.team_id]
        turns = list(Turn.objects.filter(transcript=call.transcript_id, to_review=True, corrections=[]))
        rare = vocabulary.rare_words((w[0] for turn in turns for w in turn.words), count)
        changed = []
        for turn in turns:
            words = [(w[0], w[3]) for w in turn.words]
            found = expected_errors(words, known, lambda word, r=rare: plain(word) in r)  # type: ignore[misc]
            if found != turn.expected_errors:
                turn.expected_errors = found
                changed.append(turn)
        Turn.objects.bulk_update(changed, ["expected_errors"], batch_size=500)
        done += 1
    return done


def fill_in(limit: int = 20) -> int:
    """Project calls that were stored before there were expectations; return how many. For the sweep."""
    waiting = Turn.objects.filter(expected_errors=None, transcript=F("call__transcript"))
    ids = list(waiting.order_by("call_id").values_list("call_id", flat=True).distinct()[:limit])
    for call_id in ids:
        with transaction.atomic():
            call = Call.objects.select_for_update(of=("self",)).select_related("transcript").get(pk=call_id)
            if call.transcript is None:
                continue
            try:
                project(call, call.transcript)
            except CallcenterError:
                # The stored transcript is gone: the turns stay readable, and nobody is sent to correct them.
                Turn.objects.filter(transcript=call.transcript_id, expected_errors=None).update(expected_errors=0.0)
    return len(ids)
