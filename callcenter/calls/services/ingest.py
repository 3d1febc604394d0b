"""One file becomes one recording, one call and one run: the service behind every door."""

from __future__ import annotations

import mimetypes
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop as N_

from asr_worker.types import AudioInfo, BadAudio
from callcenter.accounts.models import Team, User
from callcenter.calls.models import BatchRow, Call, Recording
from callcenter.calls.services import metadata as metadata_service
from callcenter.calls.services.metadata import Metadata
from callcenter.calls.services.playback import playable_as_it_is
from callcenter.core import audit
from callcenter.core.errors import Refused
from callcenter.core.queue import enqueue
from callcenter.core.storage import audio_key, store

log = structlog.get_logger("callcenter.ingest")

CONTENT_TYPES = {
    "wav": "audio/wav", "w64": "audio/x-w64", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg",
    "mov": "audio/mp4", "matroska": "audio/webm", "aac": "audio/aac", "amr": "audio/amr",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one file ended: `state` is one of BatchRow's end states, `reason` a sentence for people."""

    state: str
    call: Call | None
    reason: str = ""
    code: str = ""


def ingest_path(
    path: Path,
    *,
    filename: str,
    raw_metadata: dict[str, Any],
    team: Team,
    by: User | None,
    source: str,
    fallback_start: datetime | None = None,
    held: bool = False,
) -> Outcome:
    """Check a local file, store it and create its call and run. Bad input is an outcome, never an exception.

    `held` makes the run wait until no new calls do.
    """
    from asr_worker.audio import probe

    try:
        meta = metadata_service.resolve(raw_metadata, team=team, by=by, fallback_start=fallback_start)
        info = probe(path, max_duration_ms=settings.ENV.MAX_DURATION_MINUTES * 60_000)
    except Refused as error:
        return Outcome(BatchRow.State.REFUSED, None, error.message, error.code)
    except BadAudio as error:
        return Outcome(BatchRow.State.REFUSED, None, error.message, error.code)
    recording = _store_recording(path, info, filename)
    outcome = _create_call(recording, meta, filename=filename, by=by, source=source, held=held)
    if outcome.state == BatchRow.State.DONE and not playable_as_it_is(recording):
        enqueue("calls.prepare_playback", queue="ingest", recording_id=recording.pk)
    notes = [info.report.note] if info.report.layout == "silent" else []
    if outcome.state == BatchRow.State.DONE and (notes or info.warnings):
        text = "; ".join([*notes, *info.warnings])
        return replace(outcome, reason=text[:1].upper() + text[1:] + ".", code=info.report.layout)
    return outcome


def _store_recording(path: Path, info: AudioInfo, filename: str) -> Recording:
    key = audio_key(info.sha256)
    known = Recording.objects.filter(sha256=info.sha256).values_list("storage_key", flat=True).first()
    # Where the recording was muted, the same file sent again must not bring back what is muted.
    if known in (None, key) and not store().exists(key):
        store().put_file(key, path)
    guessed = mimetypes.guess_type(filename)[0] or ""
    # The name is the uploader's: it may choose among kinds of sound, and never make a page or a script of one.
    guessed = guessed if guessed.startswith("audio/") else "application/octet-stream"
    recording, _ = Recording.objects.get_or_create(
        sha256=info.sha256,
        defaults={
            "storage_key": key,
            "size": path.stat().st_size,
            "content_type": CONTENT_TYPES.get(info.container, guessed),
            "container": info.container[:80],
            "codec": info.codec[:40],
            "sample_rate": info.sample_rate,
            "channels": info.channels,
            "duration_ms": info.duration_ms,
            "layout": info.report.layout,
            "info": asdict(info),
        },
    )
    return recording


def _create_call(
    recording: Recording, meta: Metadata, *, filename: str, by: User | None, source: str, held: bool
) -> Outcome:
    from callcenter.pipeline.services import start_run

    values = asdict(meta) | {"team": meta.team, "agent": meta.agent, "queue": meta.queue}
    try:
        with transaction.atomic():
            same = Call.objects.filter(team=meta.team, recording=recording)
            twin = (same.filter(external_id__in=["", meta.external_id]) if meta.external_id else same).first()
            if twin is not None:
                return Outcome(BatchRow.State.DUPLICATE, twin, N_("This recording is already here."), "duplicate")
            call = Call.objects.create(
                recording=recording, filename=filename[-255:], created_by=by, source=source, **values
            )
            audit.record("call.create", call, user=by, source=source)
            start_run(call=call, by=by, held=held)
    except IntegrityError:
        return _lost_race(recording, meta)
    log.info("call_created", call=str(call.pk), source=source, duration_ms=recording.duration_ms)
    return Outcome(BatchRow.State.DONE, call)


def _lost_race(recording: Recording, meta: Metadata) -> Outcome:
    """Somebody else filed the same call between our look and our write; say which kind of same it is."""
    twin = Call.objects.filter(team=meta.team, recording=recording).first()
    if twin is not None:
        return Outcome(BatchRow.State.DUPLICATE, twin, N_("This recording is already here."), "duplicate")
    other = Call.objects.filter(team=meta.team, external_id=meta.external_id).first()
    return Outcome(
        BatchRow.State.REFUSED,
        None,
        N_("external_id “%(external_id)s” already belongs to another recording of the team “%(name)s”.")
        % {"external_id": meta.external_id, "name": meta.team.name}
        if other
        else N_("The call could not be filed; please upload it again."),
        "external_id_taken" if other else "conflict",
    )
