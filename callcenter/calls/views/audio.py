"""Audio and its picture, after the access check: any part of the file on request, never more than asked for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from callcenter.accounts.decorators import READERS, person, roles_required
from callcenter.calls.models import Call
from callcenter.calls.services.playback import NotPlayable, ensure_playback
from callcenter.core import audit
from callcenter.core.retold import retold
from callcenter.core.storage import store

CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


class Unsatisfiable(Exception):
    """The range lies outside the file."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return (first, last) byte, or None where the whole file is meant (no range, several, or not understood).

    Raises Unsatisfiable when the range begins beyond the end (answered with 416).
    """
    match = _RANGE.match(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        length = int(last)
        if length == 0 or size == 0:
            raise Unsatisfiable
        return max(0, size - length), size - 1
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, end


@require_safe
@roles_required(*READERS)
def audio(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """Serve what the browser can play, whole or a range of it."""
    call = get_object_or_404(Call.objects.visible_to(person(request)).select_related("recording"), pk=call_id)
    try:
        playback = ensure_playback(call.recording)
        size = store().size(playback.key)
    except NotPlayable as error:
        status = 423 if error.code == "withheld" else 410
        return HttpResponse(retold(error.message), status=status, content_type="text/plain; charset=utf-8")
    except FileNotFoundError:
        return HttpResponse(
            _("The audio of this call is no longer stored."), status=410, content_type="text/plain; charset=utf-8"
        )
    etag = f'"{playback.etag}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        # Kept by this browser only, and asked for again each time, so that a lost right ends at once.
        "Cache-Control": "private, no-cache",
        "Content-Disposition": "inline",
    }
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers=headers)
    ranged = request.headers.get("Range", "")
    if request.headers.get("If-Range", etag) != etag:
        ranged = ""
    try:
        span = parse_range(ranged, size)
    except Unsatisfiable:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    first, last = span if span is not None else (0, size - 1)
    if request.method == "GET" and (_begins(request, call) or first == 0):
        audit.record("call.audio", call, request=request)  # once a playing, not once a piece
    headers["Content-Length"] = str(last - first + 1)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if span is not None else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=playback.content_type)
    return StreamingHttpResponse(
        _pieces(playback.key, first, last), status=status, headers=headers, content_type=playback.content_type
    )


def _pieces(key: str, first: int, last: int) -> Iterator[bytes]:
    while first <= last:
        piece = store().read_range(key, first, min(CHUNK, last - first + 1))
        if not piece:
            return
        first += len(piece)
        yield piece


@require_safe
@roles_required(*READERS)
def peaks(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Return the waveform as the decoder measured it: per channel, values from 0 to 100."""
    call = get_object_or_404(Call.objects.visible_to(person(request)).select_related("recording"), pk=call_id)
    etag = f'"{call.recording.storage_key.rsplit("/", 1)[-1]}-peaks"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304)
    info = call.recording.info or {}
    answer = JsonResponse(
        {
            "duration_ms": call.recording.duration_ms,
            "peaks_per_second": info.get("peaks_per_second", 0),
            "peaks": info.get("peaks", []),
        }
    )
    answer["ETag"] = etag
    answer["Cache-Control"] = "private, no-cache"
    return answer


def _begins(request: HttpRequest, call: Call) -> bool:
    """Return whether this user has not listened to this call for ten minutes, wherever in it they start."""
    return cache.add(f"listening:{request.user.pk}:{call.pk}", True, timeout=600)
