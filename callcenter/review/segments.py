"""What people have looked at, as it reads now: where datasets come from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from callcenter.accounts.models import Team
from callcenter.calls.models import Call, Turn
from callcenter.review.models import Correction, Review


@dataclass(frozen=True, slots=True)
class Segment:
    """A turn that a person has corrected or confirmed.

    `words` are (text, start_ms, end_ms) as they read now, `heard` is what `model` had said there. `party` respects
    swapped parties. `agent` is a user name or empty. `audio_channels` is how many channels the recording at
    `recording_key` has; `channel` is the one this turn comes from.
    """

    id: str
    call_id: str
    team_id: int
    team: str
    queue: str
    agent: str
    customer_ref: str
    transcript_id: str
    model: str
    turn_index: int
    party: str
    speaker: str
    channel: int
    start_ms: int
    end_ms: int
    words: tuple[tuple[str, int, int], ...]
    heard: str
    outcome: Literal["corrected", "confirmed"]
    correction_ids: tuple[str, ...]
    reviewed_at: datetime
    recording_key: str
    audio_channels: int

    @property
    def text(self) -> str:
        return " ".join(word[0] for word in self.words)


def reviewed_segments(*, since: datetime | None = None, teams: Collection[Team | int] | None = None) -> list[Segment]:
    """Return every turn of a current transcript that a person has looked at, in a stable order.

    Only approved corrections are in the words; a turn in which one still waits for approval is left out. `since`
    keeps the turns whose last review is not older; `teams` those of these teams (None means all).
    """
    turns = _turns()
    if teams is not None:
        turns = turns.filter(call__team__in=[team.pk if isinstance(team, Team) else team for team in teams])
    return [
        segment
        for segment in _segments(turns.iterator(chunk_size=500))
        if since is None or segment.reviewed_at >= since
    ]


def _turns() -> QuerySet[Turn]:
    waiting = Correction.objects.filter(
        Q(end_ms__gte=OuterRef("start_ms")) & Q(start_ms__lte=OuterRef("end_ms")),
        transcript=OuterRef("transcript_id"),
        turn_index=OuterRef("source_turn"),
        status=Correction.Status.PENDING,
    )
    calls = Call.objects.select_related("recording", "team", "queue", "agent").prefetch_related(
        Prefetch("reviews", queryset=Review.objects.all())
    )
    return (
        Turn.objects.exclude(review="")
        .filter(transcript=F("call__transcript"))
        .exclude(Exists(waiting))
        .prefetch_related(Prefetch("call", queryset=calls))
        .select_related("transcript")
        .order_by("call__started_at", "call_id", "index")
    )


def _segments(turns: Iterator[Turn]) -> Iterator[Segment]:
    for turn in turns:
        review = _review(turn)
        if review is None or not turn.words:
            continue
        call = turn.call
        yield Segment(
            id=f"{turn.transcript_id}:{turn.source_turn}.{turn.source_word}",
            call_id=str(call.pk),
            team_id=call.team_id,
            team=call.team.name,
            queue=call.queue.name if call.queue else "",
            agent=call.agent.username if call.agent else "",
            customer_ref=call.customer_ref,
            transcript_id=str(turn.transcript_id),
            model=turn.transcript.model,
            turn_index=turn.index,
            party=turn.party,
            speaker=turn.speaker,
            channel=turn.channel,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            words=tuple((word[0], word[1], word[2]) for word in turn.words),
            heard=turn.heard or turn.text,
            outcome="corrected" if turn.review == Review.Outcome.CORRECTED else "confirmed",
            correction_ids=tuple(turn.corrections),
            reviewed_at=review.reviewed_at,
            recording_key=call.recording.storage_key,
            audio_channels=call.recording.channels,
        )


def _review(turn: Turn) -> Review | None:
    """Return the review behind a turn's mark: of the same stored turn, the nearest in time."""
    found = [r for r in turn.call.reviews.all() if r.transcript_id == turn.transcript_id]
    found = [r for r in found if r.turn_index == turn.source_turn]
    return min(found, key=lambda r: abs(r.start_ms - turn.start_ms), default=None)
