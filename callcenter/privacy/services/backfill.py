"""Stored calls, gone through again: artefacts, turns, corrections, reviews, insights and alerts without card data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from analytics.redaction import ALWAYS_HIDDEN, CARDS_ONLY, Span, scrub
from callcenter.calls.models import Call, Transcript, Turn
from callcenter.core.storage import store
from callcenter.privacy.models import Mask
from callcenter.privacy.services import keeping
from callcenter.privacy.services.levels import search_level
from callcenter.privacy.services.seeing import Stretch, document_of, norms, searchable, spans_of, without

log = structlog.get_logger("callcenter.privacy")


def redact_call(call: Call) -> bool:
    """Take card numbers and codes out of everything that is stored of a call; return whether there were any.

    Doing it again changes nothing. What follows from the text is understood again by itself; the recording is muted
    by its own job.
    """
    from callcenter.review.projection import project

    with transaction.atomic():
        call = Call.objects.select_for_update(of=("self",)).select_related("recording", "transcript").get(pk=call.pk)
        said: list[Stretch] = []
        changed = False
        transcripts = list(Transcript.objects.filter(call=call))
        for transcript in transcripts:
            changed |= _artefact(call, transcript, said)
            changed |= _rows(call, transcript, said)
        known = keeping.known_places(call.recording)
        changed |= _corrections(call, known)
        for transcript in transcripts:
            if store().exists(transcript.artefact_key):
                project(call, transcript)
            changed |= _loose_rows(transcript)
        changed |= _reviews(call, said)
        changed |= _understood(call, said)
        for transcript in transcripts:
            keeping.note(recording=call.recording, places=keeping.places_in(_document(transcript)))
        if changed:
            Call.objects.filter(pk=call.pk).update(corrected_at=timezone.now())
    return changed


def redact_all(*, after: str = "", limit: int = 0) -> Iterator[tuple[str, bool, str]]:
    """Yield (call, whether there was card data, what went wrong) for stored calls in the order of their ids.

    `after` is the last call of an earlier pass, which goes on from there.
    """
    calls = Call.objects.order_by("pk").select_related("recording")
    if after:
        calls = calls.filter(pk__gt=after)
    ids = list(calls.values_list("pk", flat=True)[: limit or None])
    for pk in ids:
        call = Call.objects.filter(pk=pk).first()
        if call is None:
            continue
        try:
            yield str(pk), redact_call(call), ""
        except Exception as error:  # one damaged call must not keep the others from being done
            log.error("redact_failed", call=str(pk), error=type(error).__name__)
            yield str(pk), False, type(error).__name__


def reindex() -> int:
    """Make the index of words anew for what the levels say now; return how many turns changed."""
    level = search_level()
    count = 0
    for transcript in Transcript.objects.order_by("pk").iterator(chunk_size=100):
        turns = list(transcript.turns.order_by("index"))
        texts = searchable(turns, level)
        stale = [turn for turn in turns if turn.searchable != texts[turn.index]]
        for turn in stale:
            turn.searchable = texts[turn.index]
        Turn.objects.bulk_update(stale, ["searchable"], batch_size=500)
        count += len(stale)
    return count


def _document(transcript: Transcript) -> dict[str, Any]:
    return document_of(transcript.turns.order_by("index"))


def _cards(document: dict[str, Any]) -> list[Span]:
    return [span for span in spans_of(document) if span.kind in ALWAYS_HIDDEN]


def _stretches(document: dict[str, Any]) -> list[Stretch]:
    """Return what of cards the document says, to look for it where it was quoted. Kept in memory only."""
    words = {turn["index"]: [str(w["text"]) for w in turn["words"]] for turn in document["turns"]}
    return [
        (span.kind, tuple(norms(" ".join(words[span.turn][span.first_word : span.end_word]))))
        for span in _cards(document)
        if span.turn in words
    ]


def _artefact(call: Call, transcript: Transcript, said: list[Stretch]) -> bool:
    try:
        document = json.loads(store().get_bytes(transcript.artefact_key))
        said += _stretches(document)
        cleaned = keeping.clean(document, keeping.known_places(call.recording))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    keeping.forget_raw(transcript.artefact_key)
    keeping.note(recording=call.recording, places=keeping.places_in(cleaned))
    if cleaned == document:
        return False
    keeping.put(transcript.artefact_key, cleaned)
    return True


def _rows(call: Call, transcript: Transcript, said: list[Stretch]) -> bool:
    """Look at the text as it reads with its corrections: their digits may have made the number."""
    document = _document(transcript)
    said += _stretches(document)
    places = []
    for span in _cards(document):
        timed = span.start_ms is not None and span.end_ms is not None and span.end_ms > span.start_ms
        turn = next(t for t in document["turns"] if t["index"] == span.turn)
        places.append(
            {
                "kind": span.kind,
                "party": turn["party"],
                "channel": span.channel,
                "start_ms": span.start_ms if timed else None,
                "end_ms": span.end_ms if timed else None,
                "near_ms": turn["start_ms"],
            }  # fmt: skip
        )
    if not places:
        return False
    keeping.note(recording=call.recording, places=places)
    # Now that these places are known, their words in the artefact are hidden by their times.
    _artefact(call, transcript, said)
    return True


def _corrections(call: Call, known: Iterable[keeping.Place]) -> bool:
    changed = False
    places = [place for place in known if place["start_ms"] is not None]
    for row in call.corrections.filter(kind="text"):
        at = next((p for p in places if row.start_ms <= p["end_ms"] + 200 and row.end_ms >= p["start_ms"] - 200), None)
        lists = [list(row.before), list(row.after)]
        if at is not None:
            new = [keeping.hidden_words(words, at["kind"]) for words in lists]
        else:
            new = [
                keeping.typed_words([{"index": 0, "party": "unknown", "words": []}], 0, [str(w) for w in words])
                for words in lists
            ]
        if new != lists:
            row.before, row.after = new
            row.save(update_fields=["before", "after"])
            changed = True
    return changed


def _loose_rows(transcript: Transcript) -> bool:
    """Hide in the rows themselves what is left, where the artefact is gone and they cannot be made anew."""
    turns = list(transcript.turns.order_by("index"))
    document = document_of(turns)
    if not _cards(document):
        return False
    cleaned = {turn["index"]: turn for turn in keeping.clean(document)["turns"]}
    for turn in turns:
        turn.words = [
            [new["text"], *old[1:]] for new, old in zip(cleaned[turn.index]["words"], turn.words, strict=True)
        ]
        turn.text = cleaned[turn.index]["text"]
        turn.heard = scrub(turn.heard, CARDS_ONLY)
    level = search_level()
    texts = searchable(turns, level)
    for turn in turns:
        turn.searchable = texts[turn.index]
    Turn.objects.bulk_update(turns, ["words", "text", "heard", "searchable"], batch_size=500)
    return True


def _reviews(call: Call, said: list[Stretch]) -> bool:
    changed = False
    rows = {
        (turn.transcript_id, turn.source_turn, turn.source_word): turn.text
        for turn in Turn.objects.filter(call=call).only("transcript_id", "source_turn", "source_word", "text")
    }
    for review in call.reviews.all():
        now = rows.get((review.transcript_id, review.turn_index, review.first_word))
        text = scrub(without(review.text, said), CARDS_ONLY)
        if text != review.text:
            review.text = now if now is not None and not _says(now, said) else text
            review.save(update_fields=["text"])
            changed = True
    return changed


def _says(text: str, said: list[Stretch]) -> bool:
    return without(text, said) != text


def _understood(call: Call, said: list[Stretch]) -> bool:
    changed = False
    for alert in call.alerts.all():
        quote = _clean(alert.quote, said)
        components, reason = _clean(alert.components, said), _clean(alert.dismiss_reason, said)
        if (quote, components, reason) != (alert.quote, alert.components, alert.dismiss_reason):
            alert.quote, alert.components, alert.dismiss_reason = quote, components, reason
            alert.save(update_fields=["quote", "components", "dismiss_reason"])
            changed = True
    insight = getattr(call, "insight", None)
    if insight is not None:
        document = _clean(insight.document, said)
        if document != insight.document:
            insight.document = document
            insight.save(update_fields=["document"])
            changed = True
    return changed


def _clean(value: Any, said: list[Stretch]) -> Any:
    if isinstance(value, str):
        return scrub(without(value, said), CARDS_ONLY) if len(value) > 2 and " " in value else value
    if isinstance(value, list):
        return [_clean(item, said) for item in value]
    return {key: _clean(item, said) for key, item in value.items()} if isinstance(value, dict) else value


def open_masks() -> int:
    """Return how many recordings are not to be heard now."""
    return Mask.objects.open().count()
