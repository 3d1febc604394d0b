"""From a speech worker's artefact to rows, and back to the document that understanding reads."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop as N_

from asr_worker.types import Transcript as TranscriptDocument
from callcenter.calls.models import Call, Transcript

OTHER = {"agent": "customer", "customer": "agent", "unknown": "unknown"}


def store_transcript(*, call: Call, key: str) -> Transcript:
    """Make the artefact the call's current transcript. Doing it twice changes nothing.

    Card numbers and security codes are replaced in the artefact itself first; the recording is muted there.
    Raises ValueError for an artefact of an unknown schema and FileNotFoundError when it is gone.
    """
    from callcenter.privacy.services.keeping import receive
    from callcenter.review.carrying import carry_over
    from callcenter.review.projection import project
    from callcenter.review.vocabulary import count_words

    document = TranscriptDocument.from_json(receive(recording=call.recording, key=key))
    probabilities = [w.probability for turn in document.turns for w in turn.words]
    with transaction.atomic():
        locked = Call.objects.select_for_update().get(pk=call.pk)
        transcript, created = Transcript.objects.get_or_create(
            call=call,
            artefact_key=key,
            defaults={
                "fingerprint": document.fingerprint,
                "engine": document.spec.transcriber,
                "model": document.model,
                "language": document.language,
                "layout": document.layout,
                "diarizer": document.diarizer,
                "mapping": {
                    "parties": document.mapping.parties,
                    "confidence": document.mapping.confidence,
                    "reason": document.mapping.reason,
                },
                "degraded": document.degraded[:300],
                "warnings": list(document.warnings),
                "word_count": len(probabilities),
                "mean_probability": fmean(probabilities) if probabilities else None,
            },
        )
        new = created or locked.transcript_id != transcript.pk
        call.transcript, call.parties_swapped = transcript, locked.parties_swapped
        # Understanding follows by itself, so nothing is left of what a person has corrected since the last one.
        call.corrected_at = None
        call.save(update_fields=["transcript", "corrected_at", "updated_at"])
        if new:
            if created:
                count_words(w.text for turn in document.turns for w in turn.words)
            carry_over(call=call, transcript=transcript, document=document)
            project(call, transcript, document=document)
    return transcript


def current_document(call: Call) -> dict[str, Any]:
    """Return the transcript document of a call as it reads now: with swapped parties where a person swapped them.

    Raises CallcenterError when the call has no transcript yet.
    """
    from callcenter.core.errors import CallcenterError

    transcript = call.transcript
    if transcript is None:
        raise CallcenterError(N_("This call has no transcript yet."), code="no_transcript")
    turns = [
        {
            "index": turn.index,
            "party": turn.party,
            "speaker": turn.speaker,
            "channel": turn.channel,
            "start_ms": turn.start_ms,
            "end_ms": turn.end_ms,
            "text": turn.text,
            "words": [{"text": w[0], "start_ms": w[1], "end_ms": w[2], "probability": w[3]} for w in turn.words],
        }
        for turn in transcript.turns.all()
    ]
    mapping = dict(transcript.mapping)
    if call.parties_swapped:
        mapping["parties"] = {s: OTHER.get(p, p) for s, p in mapping.get("parties", {}).items()}
        mapping["reason"] = "A person swapped the parties."
        mapping["confidence"] = 1.0
    return {
        "schema_version": 1,
        "call_id": str(call.pk),
        "recording": call.recording.sha256,
        "fingerprint": transcript.fingerprint,
        "engine": transcript.engine,
        "model": transcript.model,
        "language": transcript.language,
        "duration_ms": call.recording.duration_ms,
        "layout": transcript.layout,
        "diarizer": transcript.diarizer,
        "direction": call.direction,
        "mapping": mapping,
        "degraded": transcript.degraded,
        "warnings": transcript.warnings,
        "turns": turns,
    }
