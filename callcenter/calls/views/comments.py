"""Comments beside the moments of a call."""

from __future__ import annotations

import re
import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from analytics.redaction import CARDS_ONLY, scrub
from callcenter.accounts.decorators import READERS, person, roles_required
from callcenter.calls.call_page import comments_for
from callcenter.calls.models import Call, Comment
from callcenter.core import audit

_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)\Z")


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*READERS)
def comments(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Show the comments of a call, or add one."""
    call = get_object_or_404(Call.objects.visible_to(person(request)).select_related("recording"), pk=call_id)
    if request.method != "POST":
        return _panel(request, call)
    text = request.POST.get("text", "").replace("\x00", "").strip()
    at = request.POST.get("at", "").strip()
    at_ms = _milliseconds(at)
    if not text or len(text) > 1000:
        return _refused(request, call, _("Write something, up to 1,000 letters."), text, at)
    if at_ms is None or at_ms > call.recording.duration_ms:
        return _refused(request, call, _("The time is minutes and seconds within the call, such as 1:05."), text, at)
    comment = Comment.objects.create(
        call=call, author=person(request), at_ms=at_ms, text=scrub(text, CARDS_ONLY)[:1000]
    )
    audit.record("call.comment", call, request=request, comment=comment.pk)
    if request.htmx:  # type: ignore[attr-defined]
        return _panel(request, call)
    return redirect(f"{call.get_absolute_url()}#comment-{comment.pk}")


@require_POST
@roles_required(*READERS)
def remove(request: HttpRequest, call_id: uuid.UUID, comment_id: int) -> HttpResponse:
    """Remove one's own comment."""
    user = person(request)
    call = get_object_or_404(Call.objects.visible_to(user), pk=call_id)
    comment = get_object_or_404(call.comments.filter(author=user), pk=comment_id)
    audit.record("call.comment_removed", call, request=request, comment=comment.pk)
    comment.delete()
    if request.htmx:  # type: ignore[attr-defined]
        return _panel(request, call)
    return redirect(f"{call.get_absolute_url()}#comments")


def _milliseconds(text: str) -> int | None:
    """Return the time that "1:05" or "1:02:03" names."""
    found = _CLOCK.match(text)
    if not found:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def _panel(request: HttpRequest, call: Call, **more: object) -> HttpResponse:
    context = {"call": call, "comments": comments_for(person(request), call), **more}
    return render(request, "calls/_comments.html", context)


def _refused(request: HttpRequest, call: Call, problem: str, text: str, at: str) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return _panel(request, call, problem=problem, typed=text, at=at)
    answer = render(request, "calls/comment.html", {
        "call": call, "comments": comments_for(person(request), call), "problem": problem, "typed": text, "at": at,
    })  # fmt: skip
    answer.status_code = 400
    return answer
