"""Stored calls in bulk, as the rule engine reads them: a few queries for many calls, and nothing kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from analytics.nlu.screen import vocabulary
from analytics.nlu.text import CallText, read
from callcenter.calls.models import Call, Turn

#: What makes a stored call another one to the rules; compared before anything is written.
State = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StoredCall:
    """One call's current text, and the state of its row when it was read."""

    pk: Any
    text: CallText
    state: State


def states(calls: QuerySet[Call]) -> dict[Any, State]:
    """Return what the calls' texts depend on."""
    rows = calls.values_list("pk", "transcript_id", "parties_swapped", "corrected_at")
    return {row[0]: tuple(row[1:]) for row in rows}


def vocabularies(transcripts: dict[Any, Any]) -> dict[Any, set[str]]:
    """Return the words of calls (a mapping of call to transcript), without their times and so without much work."""
    texts: dict[Any, list[str]] = {pk: [] for pk in transcripts}
    rows = Turn.objects.filter(transcript__in=list(transcripts.values())).order_by()
    for call_id, text in rows.values_list("call_id", "text").iterator(chunk_size=5000):
        texts[call_id].append(text)
    return {pk: vocabulary(said) for pk, said in texts.items()}


def read_calls(ids: Sequence[Any]) -> list[StoredCall]:
    """Return the calls that have a transcript, in the order of `ids`; three queries however many there are."""
    calls = (
        Call.objects.filter(pk__in=ids, transcript__isnull=False)
        .select_related("transcript", "recording")
        .only(
            "parties_swapped", "corrected_at", "transcript__mapping", "transcript__language", "transcript__degraded",
            "recording__duration_ms",
        )
    )  # fmt: skip
    by_id = {call.pk: call for call in calls}
    turns: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    rows = Turn.objects.filter(transcript__in=[c.transcript_id for c in by_id.values()]).order_by("call_id", "index")
    for call_id, index, party, start, end, text, words in rows.values_list(
        "call_id", "index", "party", "start_ms", "end_ms", "text", "words"
    ).iterator(chunk_size=2000):
        turns[call_id].append(
            {
                "index": index,
                "party": party,
                "start_ms": start,
                "end_ms": end,
                "text": text,
                "words": [{"text": w[0], "start_ms": w[1], "end_ms": w[2], "probability": w[3]} for w in words],
            }
        )
    found = []
    for pk in ids:
        call = by_id.get(pk)
        if call is None or call.transcript is None:
            continue
        mapping = dict(call.transcript.mapping)
        if call.parties_swapped:
            mapping["confidence"] = 1.0
        document = {
            "turns": turns[pk],
            "duration_ms": call.recording.duration_ms,
            "language": call.transcript.language,
            "mapping": mapping,
            "degraded": call.transcript.degraded,
        }
        state = (call.transcript_id, call.parties_swapped, call.corrected_at)
        found.append(StoredCall(pk, read(document), state))
    return found
