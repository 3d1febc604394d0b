"""Pseudo-labels: turns that the model was sure of and nobody has touched, offered as training rows and marked so."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from callcenter.calls.models import Call, Turn
from callcenter.learning.models import SplitAssignment
from callcenter.learning.services import privacy
from callcenter.review.segments import Segment

CONFIDENT = 0.93
MIN_WORDS = 4
MAX_TURNS = 2000


def confident(
    *,
    sides: dict[str, str],
    held_customers: dict[str, set[str]],
    teams: set[int] | None = None,
    since: object = None,
) -> list[Segment]:
    """Return the surest unreviewed turns of calls whose voice stands on the training side, at most 2,000.

    A call without a side belongs to a voice that nobody has placed yet; it is left alone, since it may become golden.
    """
    calls = privacy.allowed(Call.objects.filter(agent__isnull=False))
    if teams is not None:
        calls = calls.filter(team__in=teams)
    if since is not None:
        calls = calls.filter(started_at__gte=since)
    agents = SplitAssignment.objects.filter(side=SplitAssignment.Side.TRAIN, key__startswith="agent:")
    names = [key.removeprefix("agent:") for key in agents.values_list("key", flat=True)]
    turns = (
        Turn.objects.filter(
            call__in=calls.filter(agent__username__in=names),
            transcript=F("call__transcript"),
            mean_probability__gte=CONFIDENT,
            review="",
            transcript__degraded="",
        )
        .select_related("call__recording", "call__team", "call__queue", "call__agent", "transcript")
        .order_by("-mean_probability", "call_id", "index")[:MAX_TURNS]
    )
    held = held_customers.get(SplitAssignment.Side.TRAIN, set())
    return [
        _segment(turn)
        for turn in turns
        if len(turn.words) >= MIN_WORDS
        and sides.get(str(turn.call_id), SplitAssignment.Side.TRAIN) == SplitAssignment.Side.TRAIN
        and (turn.party == "agent" or turn.call.customer_ref not in held)
        and not turn.corrections
    ]


def _segment(turn: Turn) -> Segment:
    call = turn.call
    return Segment(
        id=f"pseudo:{turn.transcript_id}:{turn.index}",
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
        words=tuple((str(w[0]), int(w[1]), int(w[2])) for w in turn.words),
        heard=turn.text,
        outcome="pseudo",  # type: ignore[arg-type]
        correction_ids=(),
        reviewed_at=timezone.now(),
        recording_key=call.recording.storage_key,
        audio_channels=call.recording.channels,
    )
