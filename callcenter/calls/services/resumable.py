"""Files that arrive in pieces: begun, continued where they broke off, and turned into a row of their batch when whole.

The pieces stand in the store, so that a browser may come back to another web process after hours. The offset moves by
conditional UPDATE: of two tabs that send the same piece, one is told to look again.
"""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import BinaryIO, cast

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from callcenter.calls.models import Batch, BatchRow, Upload
from callcenter.calls.services import batches
from callcenter.core.errors import CallcenterError, Refused
from callcenter.core.storage import store

log = structlog.get_logger("callcenter.uploads")
PIECE_BYTES = 8 * 2**20
KEPT_FOR = timedelta(days=7)
FINISHING = timedelta(minutes=10)


class WrongOffset(CallcenterError):
    """The piece does not begin where the file ends so far."""


def begin(*, batch: Batch, filename: str, length: int) -> Upload:
    """Create an upload of `length` bytes. Raises Refused, after giving the batch a row that says so, when too large."""
    limit = settings.ENV.MAX_UPLOAD_MB * 2**20
    if length > limit:
        reason = N_("The file is larger than the limit of %(max_upload_mb)s MiB.") % {
            "max_upload_mb": settings.ENV.MAX_UPLOAD_MB
        }
        batches.refuse(batch=batch, filename=filename, reason=reason, code="too_large")
        raise Refused(reason, code="too_large")
    upload = Upload.objects.create(batch=batch, filename=filename, length=length)
    if length == 0:
        finish(upload)
    return upload


def append(*, upload: Upload, offset: int, stream: BinaryIO) -> Upload:
    """Add what the stream brings. What came before a connection broke is kept, and the error raised again.

    Raises WrongOffset when somebody else has sent this part, and Refused for more bytes than were announced.
    """
    if offset != upload.offset:
        raise WrongOffset(N_("This file goes on at byte %(offset)s.") % {"offset": upload.offset}, code="wrong_offset")
    broken: OSError | None = None
    while broken is None and upload.offset <= upload.length:
        with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as piece:
            try:
                while piece.tell() < PIECE_BYTES and (data := stream.read(min(2**18, PIECE_BYTES - piece.tell()))):
                    piece.write(data)
            except OSError as error:
                broken = error
            piece.flush()
            size = piece.tell()
            if not size:
                break
            if upload.offset + size > upload.length:
                raise Refused(N_("More was sent than was announced."), code="too_long")
            _keep(upload, piece.name, size)
    if upload.offset == upload.length:
        finish(upload)
    if broken is not None:
        raise broken
    return upload


def _keep(upload: Upload, path: str, size: int) -> None:
    key = f"staging/{upload.batch_id}/parts/{upload.pk}/{upload.offset:015d}-{uuid.uuid4().hex}"
    store().put_file(key, path)
    parts = [*upload.parts, [key, size]]
    moved = Upload.objects.filter(pk=upload.pk, offset=upload.offset, finished_at=None).update(
        offset=F("offset") + size, parts=parts, updated_at=timezone.now()
    )
    if moved != 1:
        store().delete(key)
        upload.refresh_from_db()
        raise WrongOffset(N_("This file goes on at byte %(offset)s.") % {"offset": upload.offset}, code="wrong_offset")
    upload.offset += size
    upload.parts = parts


def finish(upload: Upload) -> BatchRow | None:
    """Make a row of a whole file; only one caller does. Safe to repeat for one that died in the middle."""
    now = timezone.now()
    whole = Upload.objects.filter(pk=upload.pk, offset=F("length"), row=None)
    if not whole.exclude(finished_at__gt=now - FINISHING).update(finished_at=now):
        upload.refresh_from_db()
        return upload.row
    source = cast(BinaryIO, io.BufferedReader(_Joined(_pieces(upload))))
    row = batches.add_file(batch=upload.batch, filename=upload.filename, stream=source)
    Upload.objects.filter(pk=upload.pk).update(row=row, parts=[])
    _forget(upload)
    upload.row, upload.finished_at = row, now
    return row


def discard(upload: Upload) -> None:
    """Remove an upload and its pieces; the row of a finished one stays."""
    _forget(upload)
    upload.delete()


def close_open(batch: Batch) -> int:
    """Give what never came whole a row that says so, once the batch is closed; return how many."""
    gone = 0
    for upload in batch.uploads.filter(row=None, finished_at=None):
        reason = N_("Only %(upload)s of this file arrived before the upload was closed; send it again.") % {
            "upload": _share(upload)
        }
        batches.refuse(batch=batch, filename=upload.filename, reason=reason, code="not_whole")
        discard(upload)
        gone += 1
    return gone


def sweep() -> int:
    """Finish what was whole when its process died, and drop what nobody went on with for a week; return how many."""
    now = timezone.now()
    swept = 0
    for upload in Upload.objects.filter(row=None, offset=F("length"), updated_at__lt=now - FINISHING)[:100]:
        finish(upload)
        swept += 1
    for upload in Upload.objects.filter(row=None, updated_at__lt=now - KEPT_FOR).exclude(offset=F("length"))[:500]:
        with transaction.atomic():
            reason = N_("Only %(upload)s of this file arrived, and nobody went on with it for a week.") % {
                "upload": _share(upload)
            }
            batches.refuse(batch=upload.batch, filename=upload.filename, reason=reason, code="not_whole")
            discard(upload)
        swept += 1
    Upload.objects.exclude(row=None).filter(updated_at__lt=now - KEPT_FOR).delete()
    return swept


def _share(upload: Upload) -> str:
    return f"{100 * upload.offset // max(1, upload.length)} %"


def _forget(upload: Upload) -> None:
    for key, _ in upload.parts:
        store().delete(key)
    upload.parts = []


def _pieces(upload: Upload) -> Iterator[Callable[[], BinaryIO]]:
    for key, _ in upload.parts:
        yield lambda key=key: store().open(key)  # type: ignore[misc]


class _Joined(io.RawIOBase):
    """Objects of the store read one after the other, each opened when its turn comes."""

    def __init__(self, openers: Iterator[Callable[[], BinaryIO]]) -> None:
        self._openers = openers
        self._current: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while True:
            if self._current is None:
                opener = next(self._openers, None)
                if opener is None:
                    return 0
                self._current = opener()
            data = self._current.read(len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            self._current.close()
            self._current = None
