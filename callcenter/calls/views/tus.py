"""The tus 1.0.0 protocol (core, creation, termination, expiration) for the files of a batch.

https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from callcenter.accounts.decorators import SUPERVISORS, person, roles_required
from callcenter.calls.models import Batch, Upload
from callcenter.calls.services import resumable
from callcenter.core.errors import Refused
from callcenter.core.retold import retold

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
PIECE_TYPE = "application/offset+octet-stream"
View = Callable[..., HttpResponse]


def _speaks_tus(view: View) -> View:
    """Answer with the protocol's own headers, and refuse a client of another version as it demands."""

    @wraps(view)
    def spoken(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method == "OPTIONS":
            answer = HttpResponse(status=204)
            answer["Tus-Version"] = VERSION
            answer["Tus-Extension"] = EXTENSIONS
            answer["Tus-Max-Size"] = str(settings.ENV.MAX_UPLOAD_MB * 2**20)
        elif request.headers.get("Tus-Resumable") != VERSION:
            answer = HttpResponse(status=412)
            answer["Tus-Version"] = VERSION
        else:
            answer = view(request, *args, **kwargs)
        answer["Tus-Resumable"] = VERSION
        answer["Cache-Control"] = "no-store"
        return answer

    return spoken


@require_http_methods(["OPTIONS", "POST"])
@roles_required(*SUPERVISORS)
@_speaks_tus
def create(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Begin one file of a batch that is still open."""
    batch = get_object_or_404(Batch.objects.visible_to(person(request)), pk=batch_id)
    if batch.closed_at is not None:
        return HttpResponse(_("This upload is closed."), status=409, content_type="text/plain; charset=utf-8")
    length = _number(request, "Upload-Length")
    name = _filename(request.headers.get("Upload-Metadata", ""))
    if length is None or not name:
        return HttpResponse(
            _("The length or the name of the file is missing."), status=400, content_type="text/plain; charset=utf-8"
        )
    try:
        upload = resumable.begin(batch=batch, filename=name, length=length)
    except Refused as error:
        return HttpResponse(retold(error.message), status=413, content_type="text/plain; charset=utf-8")
    answer = HttpResponse(status=201)
    answer["Location"] = reverse("calls:upload", args=[upload.pk])
    return _told(answer, upload)


@require_http_methods(["OPTIONS", "HEAD", "PATCH", "DELETE"])
@roles_required(*SUPERVISORS)
@_speaks_tus
def upload(request: HttpRequest, upload_id: uuid.UUID) -> HttpResponse:
    """Say how far a file is, take its next part, or drop it."""
    found = get_object_or_404(
        Upload.objects.select_related("batch", "row").filter(batch__in=Batch.objects.visible_to(person(request))),
        pk=upload_id,
    )
    if request.method == "HEAD":
        if found.offset == found.length and found.row is None:
            resumable.finish(found)
        return _told(HttpResponse(status=200), found)
    if request.method == "DELETE":
        resumable.discard(found)
        return HttpResponse(status=204)
    if request.headers.get("Content-Type", "") != PIECE_TYPE:
        return HttpResponse(status=415)
    offset = _number(request, "Upload-Offset")
    if offset is None:
        return HttpResponse(status=400)
    try:
        resumable.append(upload=found, offset=offset, stream=request)  # type: ignore[arg-type]
    except resumable.WrongOffset as error:
        return HttpResponse(retold(error.message), status=409, content_type="text/plain; charset=utf-8")
    except Refused as error:
        return HttpResponse(retold(error.message), status=413, content_type="text/plain; charset=utf-8")
    except OSError:
        # The browser went away. What came is kept; nobody reads this answer.
        return HttpResponse(status=400)
    return _told(HttpResponse(status=204), found)


def _told(answer: HttpResponse, found: Upload) -> HttpResponse:
    answer["Upload-Offset"] = str(found.offset)
    answer["Upload-Length"] = str(found.length)
    answer["Upload-Expires"] = http_date((found.updated_at + resumable.KEPT_FOR).timestamp())
    if found.row is not None:
        answer["Callcenter-Row-State"] = str(found.row.state)
    return answer


def _number(request: HttpRequest, header: str) -> int | None:
    text = request.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _filename(metadata: str) -> str:
    """Return the file's path from `Upload-Metadata`: pairs "key base64", separated by commas; "" without one."""
    pairs = dict(part.strip().partition(" ")[::2] for part in metadata.split(",") if part.strip())
    try:
        name = base64.b64decode(pairs.get("filename", ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return name.replace("\x00", "").replace("\\", "/").strip("/")[:400]
