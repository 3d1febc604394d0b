"""A batch: many files, perhaps a manifest; every row ends as done, duplicate or refused with its reason."""

from __future__ import annotations

import tempfile
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import dateformat, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Batch, BatchRow
from callcenter.calls.services import archives, manifests
from callcenter.calls.services.columns import mapping_of, remember
from callcenter.calls.services.ingest import Outcome, ingest_path
from callcenter.core import audit
from callcenter.core.errors import CallcenterError, Refused
from callcenter.core.queue import enqueue
from callcenter.core.storage import store
from callcenter.pipeline import broker

log = structlog.get_logger("callcenter.batches")
State = BatchRow.State
MAX_ATTEMPTS = 3
CLAIM_SECONDS = 600


class LostClaim(Exception):
    """Somebody else works on this row now."""


def open_batch(
    *,
    by: User | None,
    team: Team,
    name: str = "",
    source: str = "web",
    defaults: dict[str, Any] | None = None,
) -> Batch:
    """Create an empty batch. Raises CallcenterError when the user may not file calls under the team."""
    if by is not None and not by.sees_all_teams and not by.teams.filter(pk=team.pk).exists():
        raise CallcenterError(
            N_("You may not upload to the team “%(name)s”.") % {"name": team.name}, code="team_not_allowed"
        )
    batch = Batch.objects.create(
        created_by=by,
        team=team,
        name=name or _("Upload of %(when)s") % {"when": dateformat.format(timezone.localtime(), _("d M Y, H:i"))},
        source=source,
        defaults=defaults or {},
    )
    audit.record("batch.open", batch, user=by, source=source)
    return batch


def add_manifest(*, batch: Batch, filename: str, data: bytes, mapping: manifests.Mapping | None = None) -> BatchRow:
    """Take a manifest. One that cannot be understood is a refused row; the files then go on without it.

    `mapping` is what somebody has just said of its columns, and is remembered for the team. Without it, what was said
    the last time holds for uploads through the page; machines have to use our names.
    """
    row = _new_row(batch, filename=filename, kind="manifest", size=len(data))
    said = mapping
    if said is None and batch.source == Batch.Source.WEB:
        said = mapping_of(batch.team) or None
    try:
        found = manifests.parse(filename=filename, data=data, mapping=said)
    except Refused as error:
        return _end(row, Outcome(State.REFUSED, None, error.message, error.code))
    Batch.objects.filter(pk=batch.pk).update(manifest=found)
    batch.manifest = found
    if mapping:
        remember(batch.team, mapping)
    return _end(row, Outcome(State.DONE, None, N_("%(found)s rows read.") % {"found": len(found)}))


def add_file(
    *,
    batch: Batch,
    filename: str,
    stream: BinaryIO,
    metadata: dict[str, Any] | None = None,
    start: bool = False,
) -> BatchRow:
    """Keep one received file and give it a row. The check itself is a worker's: it can take long.

    `start` sends the row to a worker at once; otherwise close_batch does (a manifest may still come).
    """
    limit = settings.ENV.MAX_UPLOAD_MB * 2**20
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as staged:
        while staged.tell() <= limit and (piece := stream.read(1024 * 1024)):
            staged.write(piece)
        staged.flush()
        size = staged.tell()
        kind = "zip" if archives.is_zip(Path(staged.name)) else "audio"
        if size > limit:
            row = _new_row(batch, filename=filename, kind=kind, size=size)
            text = N_("The file is larger than the limit of %(max_upload_mb)s MiB.") % {
                "max_upload_mb": settings.ENV.MAX_UPLOAD_MB
            }
            return _end(row, Outcome(State.REFUSED, None, text, "too_large"))
        key = f"staging/{batch.pk}/{uuid.uuid4().hex}"
        store().put_file(key, staged.name)
    values = {k: _clean(v) if isinstance(v, str) else v for k, v in (metadata or {}).items()}
    row = _new_row(batch, filename=filename, kind=kind, size=size, staged_key=key, metadata=values)
    # Asked of the row's own, just locked, batch: it may have been closed while the file was on its way.
    if start or row.batch.closed_at or row.batch.manifest:
        _send(row)
    return row


def close_batch(*, batch: Batch) -> Batch:
    """Say that no more files come: rows start, and what the manifest names but nobody sent is refused."""
    with transaction.atomic():
        locked = Batch.objects.select_for_update().get(pk=batch.pk)
        if locked.closed_at is None:
            locked.closed_at = timezone.now()
            locked.save(update_fields=["closed_at"])
        for row in locked.rows.filter(state=State.RECEIVED):
            _send(row)
        _refuse_missing(locked)
    return locked


def process_row(row_id: int) -> BatchRow | None:
    """Claim one row and bring it to its end. Returns None when somebody else has it or it has ended.

    An error that is not the file's puts the row back in line; after MAX_ATTEMPTS it is refused with what happened.
    """
    now = timezone.now()
    claimed = BatchRow.objects.filter(pk=row_id, state=State.RECEIVED).update(state=State.CHECKING, claimed_at=now)
    if claimed != 1:
        # The worker before us may have died between the end of the row and the removal of the upload.
        for ended in BatchRow.objects.filter(pk=row_id, state__in=BatchRow.ENDED).exclude(staged_key=""):
            store().delete(ended.staged_key)
        return None
    row = BatchRow.objects.select_related("batch__team", "batch__created_by").get(pk=row_id)
    try:
        outcome = _outcome(row)
    except Exception as error:  # a full disk, a database that restarts: the row must not stay claimed
        return _put_back(row, error)
    row = _end(row, outcome)
    if row.kind == "zip":
        with transaction.atomic():
            _refuse_missing(Batch.objects.select_for_update().get(pk=row.batch_id))
    return row


def _outcome(row: BatchRow) -> Outcome:
    try:
        with store().local_path(row.staged_key) as path:
            outcome = _expand(row, path) if row.kind == "zip" else _ingest(row, path)
    except FileNotFoundError:
        if store().exists(row.staged_key):
            raise
        return Outcome(State.REFUSED, None, N_("The upload was not kept whole; please send it again."), "lost")
    call = outcome.call
    own = call is not None and call.filename == row.filename and call.created_at >= row.created_at
    if outcome.state == State.DUPLICATE and own and not BatchRow.objects.filter(call=call, state=State.DONE).exists():
        # An earlier try of this very row filed the call and died before it could say so.
        return Outcome(State.DONE, call)
    return outcome


def _put_back(row: BatchRow, error: Exception) -> BatchRow:
    log.error("row_failed", row=row.pk, batch=str(row.batch_id), error=type(error).__name__, attempts=row.attempts + 1)
    if row.attempts + 1 >= MAX_ATTEMPTS:
        text = N_("Checking this file failed %(max_attempts)s times (%(error)s); please tell the operator.") % {
            "max_attempts": MAX_ATTEMPTS,
            "error": type(error).__name__,
        }
        return _end(row, Outcome(State.REFUSED, None, text, "check_failed"))
    if BatchRow.objects.filter(pk=row.pk, state=State.CHECKING, claimed_at=row.claimed_at).update(
        state=State.RECEIVED, attempts=row.attempts + 1
    ):
        enqueue("calls.ingest_row", queue="ingest", countdown=10.0 * (row.attempts + 1), row_id=row.pk)
    row.refresh_from_db()
    return row


def sweep_rows() -> int:
    """Send again rows whose message or worker got lost; return how many. A row that kills workers is refused."""
    stale = timezone.now() - timedelta(seconds=CLAIM_SECONDS)
    swept = 0
    for row in BatchRow.objects.filter(state=State.CHECKING, claimed_at__lte=stale):
        if row.attempts + 1 >= MAX_ATTEMPTS:
            text = N_("Checking this file did not end in %(max_attempts)s tries.") % {"max_attempts": MAX_ATTEMPTS}
            _end(row, Outcome(State.REFUSED, None, text, "check_failed"))
            continue
        if BatchRow.objects.filter(pk=row.pk, state=State.CHECKING, claimed_at=row.claimed_at).update(
            state=State.RECEIVED, attempts=row.attempts + 1
        ):
            _send(row)
            swept += 1
    if broker.queue_length("ingest"):
        return swept
    waiting = BatchRow.objects.filter(state=State.RECEIVED, created_at__lte=stale).exclude(batch__closed_at=None)
    for row in waiting[:500]:
        _send(row)
        swept += 1
    return swept


def _ingest(row: BatchRow, path: Path) -> Outcome:
    batch = row.batch
    named = manifests.lookup(batch.manifest, row.filename) if batch.manifest else None
    raw = {**batch.defaults, **(named[1] if named else {}), **row.metadata}
    fallback = raw.pop("_mtime", None)
    return ingest_path(
        path,
        filename=row.filename,
        raw_metadata={key: value for key, value in raw.items() if not key.startswith("_")},
        team=batch.team,
        by=batch.created_by,
        source=batch.source,
        fallback_start=datetime.fromisoformat(fallback) if fallback else None,
        held=batch.is_backlog,
    )


def _expand(row: BatchRow, path: Path) -> Outcome:
    """Give every file of an archive its own row. Safe to repeat: a member that has its row is passed over."""
    batch = row.batch
    taken = 0
    manifest_name = ""
    try:
        with archives.opened(path) as archive:
            members = archive.members()
            for name in [m for m in members if archives.is_manifest(m)]:
                manifest_name = name
                add_manifest(batch=batch, filename=f"{row.filename}/{name}", data=archive.read_small(name))
            have = set(batch.rows.values_list("filename", flat=True))
            for name in members:
                shown = f"{row.filename}/{name}"
                if name == manifest_name or _storable(shown) in have:
                    continue
                _still_mine(row)
                try:
                    with archive.open(name) as stream:
                        add_file(batch=batch, filename=shown, stream=stream, start=True)
                except Refused as error:
                    refuse(batch=batch, filename=shown, reason=error.message, code=error.code)
                    continue
                taken += 1
    except Refused as error:
        return Outcome(State.REFUSED, None, error.message, error.code)
    return Outcome(State.DONE, None, N_("%(taken)s files taken out of the archive.") % {"taken": taken})


def _refuse_missing(batch: Batch) -> None:
    if batch.closed_at is None or not batch.manifest:
        return
    if batch.rows.filter(kind="zip").exclude(state__in=BatchRow.ENDED).exists():
        return
    names = batch.rows.exclude(kind="manifest").values_list("filename", flat=True)
    missing = manifests.unnamed(batch.manifest, names)
    if not missing:
        return
    last = batch.rows.aggregate(last=Max("position"))["last"]
    first = 0 if last is None else last + 1
    end: dict[str, Any] = {
        "batch": batch,
        "state": State.REFUSED,
        "reason": "The manifest names this file, but it was not uploaded.",
        "code": "missing_file",
        "ended_at": timezone.now(),
    }
    rows = [BatchRow(position=first + n, filename=_storable(name), **end) for n, name in enumerate(missing)]
    BatchRow.objects.bulk_create(rows, batch_size=1000)


def _new_row(batch: Batch, *, filename: str, **values: Any) -> BatchRow:
    with transaction.atomic():
        locked = Batch.objects.select_for_update().defer("manifest").get(pk=batch.pk)
        last = locked.rows.aggregate(last=Max("position"))["last"]
        position = 0 if last is None else last + 1
        return BatchRow.objects.create(batch=locked, position=position, filename=_storable(filename), **values)


def _storable(filename: str) -> str:
    """Return a name that the database takes: names in file systems and archives may hold any bytes."""
    return _clean(filename)[-255:]


def _clean(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _end(row: BatchRow, outcome: Outcome) -> BatchRow:
    row.state = outcome.state
    row.reason = outcome.reason[:500]
    row.code = outcome.code[:40]
    row.call = outcome.call
    row.ended_at = timezone.now()
    values = {name: getattr(row, name) for name in ("state", "reason", "code", "call", "ended_at")}
    # Whoever lost the claim meanwhile (the sweeper gave the row to somebody else) no longer decides how it ends.
    if not BatchRow.objects.filter(pk=row.pk, claimed_at=row.claimed_at).update(**values):
        row.refresh_from_db()
        return row
    if row.staged_key:
        store().delete(row.staged_key)
    log.info("row_ended", row=row.pk, batch=str(row.batch_id), state=row.state, code=row.code)
    return row


def _still_mine(row: BatchRow) -> None:
    """Renew the claim of a row that takes long. Raises LostClaim when the sweeper has given it to somebody else."""
    now = timezone.now()
    if row.claimed_at is None or (now - row.claimed_at).total_seconds() < CLAIM_SECONDS / 10:
        return
    if not BatchRow.objects.filter(pk=row.pk, state=State.CHECKING, claimed_at=row.claimed_at).update(claimed_at=now):
        raise LostClaim
    row.claimed_at = now


def _send(row: BatchRow) -> None:
    enqueue("calls.ingest_row", queue="ingest", row_id=row.pk)


def refuse(*, batch: Batch, filename: str, reason: str, code: str = "refused") -> BatchRow:
    """Add a row that was refused before there was a file to keep."""
    row = _new_row(batch, filename=filename, kind="audio")
    return _end(row, Outcome(State.REFUSED, None, reason, code))
