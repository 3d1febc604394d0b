"""What is kept: card numbers and security codes are replaced by placeholders before anything is stored.

A hidden word becomes a placeholder of its own, so word numbers and times stay and corrections still fit. What was
hidden is told by the placeholders alone, so every step can be done again after a crash.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

from django.db import transaction
from django.utils import timezone

from analytics.redaction import (
    ALWAYS_HIDDEN,
    CARDS_ONLY,
    PLACEHOLDERS,
    find,
    hide_in_place,
    placeholder_kind,
    says_digits,
    scrub,
)
from callcenter.calls.models import Call, Recording, Transcript
from callcenter.core.queue import enqueue
from callcenter.core.storage import store
from callcenter.privacy.models import Mask

#: A word said in less than this is none; times like that are the recogniser's guess and no place to mute at.
SHORTEST_WORD_MS = 60
#: A gap of silence up to this belongs to the turn before it.
NEAR_MS = 3_000
#: What muting adds on either side.
PADDED_MS = 250
#: Hiding may bring a neighbour into view as a part of the same number; it settles at once or at the second look.
LOOKS = 3

Place = dict[str, Any]


def typed(text: str) -> str:
    """Return what a person typed without card numbers and security codes, as it may be stored."""
    return scrub(text, CARDS_ONLY) if text else ""


def card_kind(word: Any) -> str | None:
    """Return the kind that a word hides where it is one that is never stored."""
    kind = placeholder_kind(str(word))
    return kind if kind in ALWAYS_HIDDEN else None


def clean(document: dict[str, Any], known: Iterable[Place] = (), *, insert: bool = False) -> dict[str, Any]:
    """Return a transcript document without card numbers and security codes. Pure; cleaning twice changes nothing.

    `known` are places found before, in another transcript of the same recording: words there are hidden as well, and
    with `insert` a place where nobody says anything any more gets its placeholder, so that it is known what is mute.
    """
    out = copy.deepcopy(document)
    for _ in range(LOOKS):
        spans = [span for span in find(out) if span.kind in ALWAYS_HIDDEN]
        if not spans:
            break
        out = hide_in_place(out, spans, CARDS_ONLY)
    for place in known:
        if place.get("start_ms") is None:
            continue
        if not _hide_at(out, place) and insert:
            _insert(out, place)
    return out


def _hide_at(document: dict[str, Any], place: Place) -> bool:
    """Hide the words of one channel that lie mostly in a place; return whether anything is hidden there."""
    found = False
    for turn in document["turns"]:
        if turn.get("channel") != place.get("channel") or not turn["words"]:
            continue
        if turn["end_ms"] < place["start_ms"] or turn["start_ms"] > place["end_ms"]:
            continue
        changed = False
        for word in turn["words"]:
            end = max(word["end_ms"], word["start_ms"] + 1)
            shared = min(end, place["end_ms"]) - max(word["start_ms"], place["start_ms"])
            if shared <= 0 or (2 * shared < end - word["start_ms"] and card_kind(word["text"]) is None):
                continue
            found = True
            if card_kind(word["text"]) is None:
                word["text"], changed = PLACEHOLDERS[place["kind"]], True
        if changed:
            turn["text"] = " ".join(str(w["text"]) for w in turn["words"])
    return found


def _insert(document: dict[str, Any], place: Place) -> None:
    turns = document["turns"]
    word = {
        "text": PLACEHOLDERS[place["kind"]],
        "start_ms": place["start_ms"],
        "end_ms": place["end_ms"],
        "probability": 1.0,
    }
    same = [t for t in turns if t.get("channel") == place.get("channel") and t.get("party") == place.get("party")]
    near = [t for t in same if t["start_ms"] - NEAR_MS <= place["start_ms"] <= t["end_ms"] + NEAR_MS]
    if near:
        turn = min(near, key=lambda t: max(t["start_ms"] - place["start_ms"], place["start_ms"] - t["end_ms"], 0))
        turn["words"] = sorted([*turn["words"], word], key=lambda w: (w["start_ms"], w["end_ms"]))
        turn["start_ms"] = min(turn["start_ms"], word["start_ms"])
        turn["end_ms"] = max(turn["end_ms"], word["end_ms"])
    else:
        party = place.get("party") or "unknown"
        parties = (document.get("mapping") or {}).get("parties") or {}
        speaker = same[0]["speaker"] if same else next((s for s, p in parties.items() if p == party), "")
        turn = {
            "index": 0, "party": party, "speaker": speaker, "channel": place.get("channel") or 0,
            "start_ms": word["start_ms"], "end_ms": word["end_ms"], "words": [word],
        }  # fmt: skip
        turns.append(turn)
        turns.sort(key=lambda t: (t["start_ms"], t["end_ms"]))
        for index, one in enumerate(turns):
            one["index"] = index
    turn["text"] = " ".join(str(w["text"]) for w in turn["words"])


def places_in(document: dict[str, Any]) -> list[Place]:
    """Return where card numbers and codes stand hidden: kind, party, channel and times; None where no time is known."""
    found: list[Place] = []
    for turn in document["turns"]:
        run: list[dict[str, Any]] = []
        for word in [*turn["words"], None]:
            if run and (word is None or word["text"] != run[0]["text"]):
                found.append(_place(turn, run))
                run = []
            if word is not None and card_kind(word["text"]):
                run.append(word)
    return found


def _place(turn: dict[str, Any], run: list[dict[str, Any]]) -> Place:
    start, end = run[0]["start_ms"], max(word["end_ms"] for word in run)
    known = end - start >= SHORTEST_WORD_MS * len(run)
    return {
        "kind": card_kind(run[0]["text"]),
        "party": turn.get("party") or "unknown",
        "channel": turn.get("channel"),
        "start_ms": start if known else None,
        "end_ms": end if known else None,
        "near_ms": start,
    }


def receive(*, recording: Recording, key: str) -> dict[str, Any]:
    """Return a speech worker's transcript as it may be stored, after making the artefact itself so.

    The raw words of the stage before are deleted: whoever needs them hears the muted recording again. Raises ValueError
    for what is no transcript and FileNotFoundError when it is gone.
    """
    document = json.loads(store().get_bytes(key))
    if not isinstance(document, dict) or not isinstance(document.get("turns"), list):
        raise ValueError("this artefact is no transcript")
    fresh = not Transcript.objects.filter(artefact_key=key).exists()
    cleaned = clean(document, known_places(recording), insert=fresh)
    if cleaned != document:
        put(key, cleaned)
    forget_raw(key)
    note(recording=recording, places=places_in(cleaned))
    return cleaned


def receive_stray(*, recording: Recording | None, key: str) -> None:
    """Clean an artefact that is nobody's answer (any more), if it is there."""
    if not store().exists(key):
        return
    if recording is not None:
        receive(recording=recording, key=key)
        return
    put(key, clean(json.loads(store().get_bytes(key))))
    forget_raw(key)


def put(key: str, document: dict[str, Any]) -> None:
    """Write a transcript artefact."""
    store().put_bytes(key, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


def forget_raw(key: str) -> None:
    """Delete what was recognised before it was put together, beside a transcript's key or in a recording's folder."""
    parts = key.split("/")
    if len(parts) > 1 and parts[0] == "artefacts":
        for raw in list(store().iter_keys(f"artefacts/{parts[1]}/transcribe/")):
            store().delete(raw)


def known_places(recording: Recording) -> list[Place]:
    """Return what was found in a recording so far."""
    mask = Mask.objects.filter(recording=recording).only("spans").first()
    return list(mask.spans) if mask else []


def note(*, recording: Recording, places: Sequence[Place]) -> bool:
    """Remember what must not be heard of a recording and have it muted; return whether anything was new."""
    if not places:
        return False
    with transaction.atomic():
        mask, _ = Mask.objects.get_or_create(recording=recording, defaults={"due_at": timezone.now()})
        mask = Mask.objects.select_for_update().get(pk=mask.pk)
        fresh: list[Place] = []
        for place in places:
            if not _covered([*mask.spans, *fresh], place):
                fresh.append(place)
        if not fresh:
            return False
        mask.spans = [*mask.spans, *fresh]
        if not mask.working:
            mask.rounds = 0
        mask.state, mask.problem, mask.failures = Mask.State.WAITING, "", 0
        mask.due_at = timezone.now()
        mask.save()
        enqueue("privacy.mask", queue="nlu", mask_id=mask.pk)
    return True


def _covered(known: Sequence[Place], new: Place) -> bool:
    """Return whether a place lies within known ones, as muting with its padding takes them together."""
    if new["start_ms"] is None:
        return any(
            old["start_ms"] is None and (old["kind"], old.get("near_ms")) == (new["kind"], new.get("near_ms"))
            for old in known
        )
    walls: list[list[int]] = []
    for start, end in sorted((old["start_ms"], old["end_ms"]) for old in known if old["start_ms"] is not None):
        if walls and start - PADDED_MS <= walls[-1][1] + PADDED_MS:
            walls[-1][1] = max(walls[-1][1], end)
        else:
            walls.append([start, end])
    return any(a - PADDED_MS <= new["start_ms"] and new["end_ms"] <= b + PADDED_MS for a, b in walls)


def typed_words(turns: Sequence[dict[str, Any]], position: int, new: Sequence[str]) -> list[str]:
    """Return the words that a person typed for one turn of a call, as they may be stored.

    The whole call is read with them, since what makes digits a card number may stand in another turn. Digits typed in
    place of a placeholder stay hidden.
    """
    old = [str(word["text"]) for word in turns[position]["words"]]
    words = list(new)
    for tag, a, b, c, d in SequenceMatcher(None, old, words, autojunk=False).get_opcodes():
        kinds = [kind for text in old[max(0, a - 1) : b + 1] if (kind := card_kind(text))]
        if tag in ("replace", "insert") and kinds:
            for at in range(c, d):
                if says_digits(words[at]) and placeholder_kind(words[at]) is None:
                    words[at] = PLACEHOLDERS[kinds[0]]
    document = {"turns": [{k: v for k, v in turn.items() if k != "text"} for turn in turns]}
    index = document["turns"][position]["index"]
    document["turns"][position] = {**document["turns"][position], "words": [{"text": word} for word in words]}
    for _ in range(LOOKS):
        spans = [span for span in find(document) if span.kind in ALWAYS_HIDDEN and span.turn == index]
        if not spans:
            break
        document = hide_in_place(document, spans, CARDS_ONLY)
    return [str(word["text"]) for word in document["turns"][position]["words"]]


def hidden_words(words: Sequence[Any], kind: str) -> list[Any]:
    """Return the words with those that say digits hidden as this kind."""
    return [
        PLACEHOLDERS[kind] if says_digits(str(word)) and placeholder_kind(str(word)) is None else word for word in words
    ]


def after_change(call: Call) -> None:
    """See to it that what a person's correction brought to light is stored nowhere and muted.

    The recogniser had misheard a digit, and with it right the whole number is known: in the artefact, in the turns
    around and in the recording. The caller holds the call's row lock.
    """
    from callcenter.privacy.services.backfill import redact_call
    from callcenter.privacy.services.seeing import document_of, spans_of

    document = document_of(call.turns.filter(transcript=call.transcript_id).order_by("index"))
    places = places_in(document)
    for row in call.corrections.filter(transcript=call.transcript_id, kind="text").live():
        kind = next((kind for word in row.after if (kind := card_kind(word))), None)
        if kind:
            turn = next((t for t in document["turns"] if t["start_ms"] <= row.start_ms <= t["end_ms"]), None)
            where = {"party": turn["party"], "channel": turn["channel"]} if turn else {"party": "", "channel": None}
            timed = row.end_ms - row.start_ms >= SHORTEST_WORD_MS
            places.append(
                {
                    "kind": kind,
                    **where,
                    "start_ms": row.start_ms if timed else None,
                    "end_ms": row.end_ms if timed else None,
                    "near_ms": row.start_ms,
                }  # fmt: skip
            )
    fresh = note(recording=call.recording, places=places)
    if fresh or any(span.kind in ALWAYS_HIDDEN for span in spans_of(document)):
        redact_call(call)
