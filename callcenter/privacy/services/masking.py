"""A mask from finding to silence: mute, keep only the muted recording, listen again, and withhold until all that holds.

Every move is a conditional UPDATE of the mask's row; messages may be lost or doubled, the sweep sends them again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from analytics.redaction import ALWAYS_HIDDEN, RedactionError, find, says_digits
from asr_worker.pipeline import sha_of_key
from asr_worker.types import BadAudio
from callcenter.accounts.models import User
from callcenter.calls.models import Call, Recording, Transcript
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue, send
from callcenter.core.storage import audio_key, store
from callcenter.pipeline import broker
from callcenter.privacy.models import Mask
from callcenter.privacy.services import keeping, sound
from callcenter.privacy.services.levels import REVEALERS

log = structlog.get_logger("callcenter.privacy")
State = Mask.State

PADDING_MS = 250
MORE_PADDING_MS = 150
MAX_ROUNDS = 3
MAX_FAILURES = 4
#: A digit heard this close to a muted stretch belongs to what was muted there.
EDGE_MS = 350
MUTING_PATIENCE = timedelta(minutes=20)
CHECK_PATIENCE = timedelta(minutes=10)

WORKING = gettext_noop(
    "Card data was said in this call. The recording is being muted there and listened to again; then it can be heard."
)
FAILED = gettext_noop(
    "Card data was said in this call, and nobody knows for certain that it cannot be heard. "
    "The recording is withheld until a compliance officer has decided."
)
CLOSED = gettext_noop("A compliance officer has decided that this recording is not to be heard.")
UNREAD = gettext_noop(
    "This call is being transcribed. The recording can be heard once it is known where card data was said in it."
)


class _Changed(Exception):
    """More was found meanwhile: the mask begins anew by itself."""


def withheld(recording: Recording) -> str:
    """Return why nobody may hear a recording now, or an empty string."""
    mask = Mask.objects.filter(recording=recording).only("state", "released").first()
    if mask is not None:
        if mask.audible:
            return ""
        if mask.state == State.RESOLVED:
            return gettext(CLOSED)
        return gettext(FAILED if mask.state == State.FAILED else WORKING)
    from callcenter.pipeline.models import Run

    calls = Call.objects.filter(recording=recording)
    being_read = Run.objects.filter(call__in=calls, state__in=[Run.State.QUEUED, Run.State.SPEECH]).exists()
    unread = being_read and not Transcript.objects.filter(call__in=calls).exists()
    return gettext(UNREAD) if unread else ""


def work(mask_id: int) -> bool:
    """Mute what a waiting mask says and have the result listened to; return whether this caller did it."""
    now = timezone.now()
    changed = Mask.objects.filter(pk=mask_id, state=State.WAITING).update(
        state=State.MUTING, attempt=F("attempt") + 1, due_at=now + MUTING_PATIENCE
    )
    if changed != 1:
        return False
    mask = Mask.objects.select_related("recording").get(pk=mask_id)
    try:
        _mute(mask)
    except _Changed:
        return True
    except FileNotFoundError:
        _fail(mask, "The recording is no longer in the storage, so it could not be muted.")
    except (RedactionError, BadAudio) as error:
        _fail(mask, f"The recording could not be muted: {getattr(error, 'message', str(error))}")
    return True


def _mute(mask: Mask) -> None:
    recording = mask.recording
    padding = PADDING_MS + MORE_PADDING_MS * mask.rounds
    plan = sound.plan_of(mask.spans, recording.duration_ms, recording.channels, padding)
    muted = sound.intervals_of(plan)
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as held:
        if plan.muted_ms and muted != mask.muted:
            target = Path(held) / "muted.flac"
            with store().local_path(recording.storage_key) as source:
                sound.write_muted(source, target, plan, recording.sample_rate)
                original = _keep_original(mask, source, Path(held))
            _switch(mask, target, muted, original)
            remove_doomed(mask.pk)
            recording.refresh_from_db()
        if mask.untimed:
            count = "A stretch" if mask.untimed == 1 else f"{mask.untimed} stretches"
            _fail(mask, f"{count} of card data has no usable times, so it is not known what to mute.")
            return
        excerpt = Path(held) / "excerpt.flac"
        windows = sound.windows_of(muted, recording.duration_ms)
        with store().local_path(recording.storage_key) as source:
            sound.write_excerpt(source, excerpt, windows, recording.channels)
        key = _put(excerpt)
    changed = Mask.objects.filter(pk=mask.pk, state=State.MUTING, attempt=mask.attempt).update(
        state=State.CHECKING, check_key=key, windows=windows, problem="", due_at=timezone.now() + CHECK_PATIENCE
    )
    if changed == 1:
        mask.refresh_from_db()
        _send_check(mask)
    else:
        _drop_check(key)


def _put(path: Path) -> str:
    from asr_worker.audio import sha256_of

    key = audio_key(sha256_of(path))
    if not store().exists(key):
        store().put_file(key, path)
    return key


def _switch(mask: Mask, muted: Path, intervals: sound.Intervals, original: str) -> None:
    """Make the muted file the recording's; what it replaces is doomed. The recording keeps its name, its SHA-256."""
    from asr_worker.audio import probe

    info = probe(muted, max_duration_ms=24 * 3600 * 1000)
    if abs(info.duration_ms - mask.recording.duration_ms) > 1000:
        raise RedactionError("the muted recording has another length than the original")
    key = _put(muted)
    with transaction.atomic():
        row = Mask.objects.select_for_update().get(pk=mask.pk)
        if row.state != State.MUTING or row.attempt != mask.attempt:
            raise _Changed
        recording = Recording.objects.select_for_update().get(pk=mask.recording_id)
        before = recording.storage_key
        row.doomed = list(dict.fromkeys([*row.doomed, *([before] if before != key else [])]))
        row.muted = intervals
        row.original_key = original or row.original_key
        row.save(update_fields=["doomed", "muted", "original_key", "updated_at"])
        recording.storage_key, recording.size = key, muted.stat().st_size
        recording.content_type, recording.container, recording.codec = "audio/flac", "flac", "flac"
        recording.info = asdict(info)
        recording.save(update_fields=["storage_key", "size", "content_type", "container", "codec", "info"])
    mask.muted, mask.doomed = intervals, row.doomed
    log.info("recording_muted", recording=recording.sha256[:12], stretches=max(map(len, intervals), default=0))


def _keep_original(mask: Mask, source: Path, folder: Path) -> str:
    """Put the encrypted original aside where the settings ask for it; only what was never muted is one."""
    recording = mask.recording
    if (
        not settings.ENV.REDACTION_KEEP_ORIGINAL
        or mask.original_key
        or sha_of_key(recording.storage_key) != recording.sha256
    ):
        return ""
    sealed = folder / "original.enc"
    sound.encrypt(source, sealed, settings.ENV.REDACTION_KEY)
    key = f"originals/{recording.sha256[:2]}/{recording.sha256}.enc"
    store().put_file(key, sealed)
    return key


def remove_doomed(mask_id: int) -> None:
    """Delete what was replaced, and all that was derived from it but the clean transcripts and the tracks of the voice.

    Those tell loudness and pitch ten times a second, and no word.
    """
    mask = Mask.objects.select_related("recording").get(pk=mask_id)
    for key in mask.doomed:
        if Recording.objects.filter(storage_key=key).exists():
            continue
        folder = f"artefacts/{sha_of_key(key)}/"
        kept = set(Transcript.objects.filter(artefact_key__startswith=folder).values_list("artefact_key", flat=True))
        for derived in list(store().iter_keys(folder)):
            if derived not in kept and not derived.startswith(f"{folder}voice/"):
                store().delete(derived)
        store().delete(key)
    Mask.objects.filter(pk=mask_id, doomed=mask.doomed).update(doomed=[])


def _send_check(mask: Mask) -> None:
    from callcenter.pipeline.spec import spec_for

    call = mask.recording.calls.select_related("team").first()
    if call is None:
        return
    # The parties do not matter here, only that every channel is heard.
    diarizer = "channels" if mask.recording.channels == 2 else "none"
    spec = replace(spec_for(call), diarizer=diarizer)
    send(
        "asr_worker.listen_again",
        queue="speech",
        mask_id=mask.pk,
        attempt=mask.attempt,
        audio_key=mask.check_key,
        spec=spec.to_json(),
    )


def check_finished(*, mask_id: int, attempt: int, transcript_key: str) -> None:
    """Judge what was heard in the muted stretches and around them. The words are deleted, whatever they are."""
    mask = Mask.objects.select_related("recording").filter(pk=mask_id, state=State.CHECKING, attempt=attempt).first()
    try:
        document = json.loads(store().get_bytes(transcript_key))
        heard = None if mask is None else heard_through(document, mask.windows, mask.muted)
    except (OSError, ValueError, KeyError, TypeError) as error:
        check_failed(mask_id=mask_id, attempt=attempt, code="unreadable", message=type(error).__name__, permanent=False)
        return
    parts = transcript_key.split("/")
    if len(parts) > 1:
        _drop_check(audio_key(parts[1]))
    if mask is None or heard is None:
        return
    if not heard:
        Mask.objects.filter(pk=mask.pk, state=State.CHECKING, attempt=attempt).update(
            state=State.DONE, problem="", due_at=None, check_key="", windows=[], failures=0, updated_at=timezone.now()
        )
        log.info("mask_done", recording=mask.recording.sha256[:12], rounds=mask.rounds)
    elif mask.rounds >= MAX_ROUNDS:
        _fail(mask, f"Digits were still heard after muting more for {mask.rounds} times.")
    else:
        _mute_more(mask, heard)


def _mute_more(mask: Mask, places: list[keeping.Place]) -> None:
    from callcenter.privacy.services.backfill import redact_call

    with transaction.atomic():
        row = Mask.objects.select_for_update().get(pk=mask.pk)
        if row.state != State.CHECKING or row.attempt != mask.attempt:
            return
        row.spans = [*row.spans, *places]
        row.state, row.rounds, row.check_key, row.windows = State.WAITING, row.rounds + 1, "", []
        row.due_at = timezone.now()
        row.save()
        enqueue("privacy.mask", queue="nlu", mask_id=row.pk)
    log.warning("mask_not_tight", recording=mask.recording.sha256[:12], places=len(places))
    for call in mask.recording.calls.all():
        redact_call(call)


def heard_through(
    document: dict[str, Any], windows: Sequence[Sequence[int]], muted: sound.Intervals
) -> list[keeping.Place]:
    """Return where digits of a card are heard in an excerpt of a muted recording, in the recording's time. Pure.

    That is a card number or code by itself, and any digit right beside a muted stretch that is not known to be
    something else.
    """
    spans = find(document)
    found = [_heard(windows, s.kind, s.channel, s.start_ms, s.end_ms) for s in spans if s.kind in ALWAYS_HIDDEN]
    covered = {(s.turn, k) for s in spans for k in range(s.first_word, s.end_word)}
    for turn in document["turns"]:
        channel = int(turn.get("channel") or 0)
        walls = muted[channel] if channel < len(muted) else []
        for number, word in enumerate(turn["words"]):
            if (turn["index"], number) in covered or not says_digits(str(word["text"])):
                continue
            start, end = (sound.in_recording(windows, word[edge]) for edge in ("start_ms", "end_ms"))
            if any(start <= b + EDGE_MS and end >= a - EDGE_MS for a, b in walls):
                found.append(_heard(windows, "card_number", channel, word["start_ms"], word["end_ms"]))
    return found


def _heard(
    windows: Sequence[Sequence[int]], kind: str, channel: int | None, start: int | None, end: int | None
) -> keeping.Place:
    times = [None if ms is None else sound.in_recording(windows, ms) for ms in (start, end)]
    return {
        "kind": kind, "party": "", "channel": channel, "start_ms": times[0], "end_ms": times[1],
        "near_ms": times[0] or 0, "heard_again": True,
    }  # fmt: skip


def check_failed(*, mask_id: int, attempt: int, code: str, message: str, permanent: bool) -> None:
    """Take a worker's word that it could not listen; try again a few times, then somebody has to look."""
    mask = Mask.objects.filter(pk=mask_id, state=State.CHECKING, attempt=attempt).first()
    if mask is None:
        return
    if permanent or mask.failures + 1 >= MAX_FAILURES:
        _fail(mask, f"The muted recording could not be listened to again: {message}")
        return
    Mask.objects.filter(pk=mask.pk, state=State.CHECKING, attempt=attempt).update(
        failures=F("failures") + 1, due_at=timezone.now() + timedelta(minutes=1)
    )


def _fail(mask: Mask, problem: str) -> None:
    Mask.objects.filter(pk=mask.pk, attempt=mask.attempt).exclude(state=State.WAITING).update(
        state=State.FAILED, problem=problem[:500], due_at=None, updated_at=timezone.now()
    )
    if mask.check_key:
        _drop_check(mask.check_key)
    log.warning("mask_failed", mask=mask.pk)


def _drop_check(key: str) -> None:
    """Delete an excerpt and what was heard in it, unless a recording is just that file."""
    if Recording.objects.filter(storage_key=key).exists():
        return
    for derived in list(store().iter_keys(f"artefacts/{sha_of_key(key)}/")):
        store().delete(derived)
    store().delete(key)


def sweep() -> dict[str, int]:
    """Do again what got lost; return how many of what."""
    now = timezone.now()
    done = {"muted": 0, "checked": 0, "removed": 0}
    for mask in Mask.objects.filter(state__in=Mask.WORKING, due_at__lte=now).select_related("recording")[:200]:
        if mask.state == State.CHECKING:
            if (broker.queue_length("speech") or 0) == 0:
                _send_check(mask)
                done["checked"] += 1
            Mask.objects.filter(pk=mask.pk, state=State.CHECKING).update(due_at=now + CHECK_PATIENCE)
            continue
        if mask.state == State.MUTING:
            if mask.failures + 1 >= MAX_FAILURES:
                _fail(mask, "The worker that was muting this recording went silent several times.")
                continue
            Mask.objects.filter(pk=mask.pk, state=State.MUTING, attempt=mask.attempt).update(
                state=State.WAITING, failures=F("failures") + 1
            )
        Mask.objects.filter(pk=mask.pk, state=State.WAITING).update(due_at=now + MUTING_PATIENCE)
        send("privacy.mask", queue="nlu", mask_id=mask.pk)
        done["muted"] += 1
    for pk in Mask.objects.exclude(doomed=[]).exclude(state=State.MUTING).values_list("pk", flat=True)[:200]:
        remove_doomed(pk)
        done["removed"] += 1
    return done


def may_decide(user: User) -> bool:
    """Return whether this user looks after failed masks."""
    return user.has_role(*REVEALERS)


def assign(*, mask: Mask, owner: User | None, by: User) -> None:
    """Say who looks after a failed mask. Raises CallcenterError for somebody who may not."""
    _require(by)
    if owner is not None and not may_decide(owner):
        raise CallcenterError(gettext("Only a compliance officer or an administrator can own this."), code="bad_owner")
    with transaction.atomic():
        Mask.objects.filter(pk=mask.pk).update(owner=owner)
        audit.record("privacy.mask_assign", mask, user=by, owner=owner.pk if owner else None)


def retry(*, mask: Mask, by: User) -> None:
    """Mute and listen again, from the start. Raises CallcenterError where there is nothing to try."""
    _require(by)
    with transaction.atomic():
        changed = Mask.objects.filter(pk=mask.pk, state__in=[State.FAILED, State.RESOLVED]).update(
            state=State.WAITING, failures=0, rounds=0, problem="", released=False, resolution="", resolved_by=None,
            resolved_at=None, due_at=timezone.now(),
        )  # fmt: skip
        if changed != 1:
            raise CallcenterError(gettext("This mask is being worked on, or holds already."), code="not_failed")
        audit.record("privacy.mask_retry", mask, user=by)
        enqueue("privacy.mask", queue="nlu", mask_id=mask.pk)


def mute_stretch(*, mask: Mask, start_ms: int, end_ms: int, by: User) -> None:
    """Mute a stretch that a person names, in the place of one without times if there is one. Raises CallcenterError."""
    from callcenter.privacy.services.backfill import redact_call

    _require(by)
    recording = mask.recording
    if not 0 <= start_ms < end_ms <= recording.duration_ms:
        length = recording.duration_ms / 1000
        raise CallcenterError(
            gettext("Give a start before an end, within the {length:.1f} s of the recording.").format(length=length),
            code="bad_times",
        )
    with transaction.atomic():
        row = Mask.objects.select_for_update().get(pk=mask.pk)
        spans = [dict(span) for span in row.spans]
        untimed = [span for span in spans if span["start_ms"] is None]
        if untimed:
            chosen = min(untimed, key=lambda span: abs(int(span.get("near_ms") or 0) - start_ms))
            chosen.update(start_ms=start_ms, end_ms=end_ms, by_hand=True)
        else:
            spans.append(
                {
                    "kind": "card_number",
                    "party": "",
                    "channel": None,
                    "start_ms": start_ms,
                    "end_ms": end_ms,
                    "near_ms": start_ms,
                    "by_hand": True,
                }  # fmt: skip
            )
        row.spans, row.state, row.failures, row.rounds, row.problem = spans, State.WAITING, 0, 0, ""
        row.released, row.resolution, row.resolved_by, row.resolved_at = False, "", None, None
        row.due_at = timezone.now()
        row.save()
        audit.record("privacy.mask_stretch", mask, user=by, start_ms=start_ms, end_ms=end_ms)
        enqueue("privacy.mask", queue="nlu", mask_id=mask.pk)
    for call in recording.calls.all():
        redact_call(call)


def resolve(*, mask: Mask, release: bool, reason: str, by: User) -> None:
    """Decide on a failed mask: let the recording be heard as it is muted now, or close it for good.

    Raises CallcenterError without a reason, and where the mask has not failed.
    """
    _require(by)
    reason = keeping.typed(" ".join(reason.replace("\x00", " ").split()))[:300]
    if len(reason) < 5:
        raise CallcenterError(gettext("Say why; the reason is kept."), code="reason_missing")
    with transaction.atomic():
        changed = Mask.objects.filter(pk=mask.pk, state=State.FAILED).update(
            state=State.RESOLVED, released=release, resolution=reason, resolved_by=by, resolved_at=timezone.now(),
            due_at=None, updated_at=timezone.now(),
        )  # fmt: skip
        if changed != 1:
            raise CallcenterError(gettext("Only a failed mask is decided on."), code="not_failed")
        audit.record("privacy.mask_resolve", mask, user=by, released=release, reason=reason)


def _require(user: User) -> None:
    if not may_decide(user):
        raise CallcenterError(gettext("Your role may not decide on this."), code="forbidden")
