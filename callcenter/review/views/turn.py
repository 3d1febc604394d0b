"""Correcting on the call page: one form for one turn, answered in JSON to scripts and with a page to everybody else."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from callcenter.accounts.decorators import EDITORS, person, roles_required
from callcenter.calls.models import Call
from callcenter.core.errors import CallcenterError
from callcenter.privacy.services import text_for
from callcenter.review import services
from callcenter.review.access import View, view_of
from callcenter.review.models import Correction
from callcenter.review.page import seen_piece
from callcenter.review.projection import OTHER
from callcenter.review.replay import Piece, Unfit
from callcenter.review.understanding import understand_again

PARTIES = (("agent", _("Agent")), ("customer", _("Customer")), ("unknown", _("Not known")))


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*EDITORS)
def turn(request: HttpRequest, call_id: uuid.UUID, turn: int, word: int) -> HttpResponse:
    """Show the form of one turn, or do what the form says."""
    call = get_object_or_404(_calls(request), pk=call_id)
    if request.method == "POST":
        return _save(request, call, turn, word)
    try:
        view = view_of(call, person(request)) if call.transcript else None
    except CallcenterError as problem:
        return _problem(request, call, problem)
    piece = _piece(view, turn, word)
    if view is None or piece is None:
        gone = CallcenterError(gettext("This turn is not there any more. Load the page again."), code="gone")
        return _problem(request, call, gone, status=404)
    context = _form(call, view, piece, request)
    return render(request, "review/_turn_form.html" if _scripted(request) else "review/turn.html", context)


def _save(request: HttpRequest, call: Call, turn: int, word: int) -> HttpResponse:
    action, _, direction = request.POST.get("action", "text").partition("-")
    data: dict[str, Any] = {
        "text": request.POST.get("text", ""),
        "party": request.POST.get("party", ""),
        "at": request.POST.get("number", ""),
        "number": request.POST.get("number", ""),
        "direction": direction,
        "start_ms": _ms(request.POST.get("start", "")),
        "end_ms": _ms(request.POST.get("end", "")),
    }
    try:
        saved = services.correct_turn(
            call_id=call.pk,
            user=person(request),
            turn=turn,
            word=word,
            digest=request.POST.get("digest", ""),
            action=action,
            data=data,
            session=_uuid(request.POST.get("session", "")),
            sampled=request.POST.get("from", "") == "sample",
        )
    except services.Conflict as conflict:
        return _conflict(request, call, conflict, turn, word)
    except CallcenterError as problem:
        return _problem(request, call, problem)
    if _wants_json(request):
        return JsonResponse(_said(saved, call, request))
    if action == "confirm":
        messages.success(request, gettext("Noted: this turn is right."))
    elif saved.pending:
        messages.success(request, gettext("Saved. A supervisor looks at it before everybody sees it."))
    else:
        messages.success(request, gettext("Saved."))
    return redirect(_back(request, call, saved.piece))


def _said(saved: services.Saved, call: Call, request: HttpRequest) -> dict[str, Any]:
    piece = saved.piece
    seen: list[str] = []
    if piece is not None:
        call.refresh_from_db()
        user = person(request)
        seen = seen_piece(call, user, view_of(call, user), piece)
    return {
        "state": "saved",
        "pending": saved.pending,
        "corrections": len(saved.corrections),
        "gone": piece is None,
        "digest": piece.digest() if piece else "",
        "words": [[t, w.start_ms, w.end_ms] for t, w in zip(seen, piece.words, strict=False)] if piece else [],
    }


def _conflict(request: HttpRequest, call: Call, conflict: services.Conflict, turn: int, word: int) -> HttpResponse:
    theirs = conflict.theirs
    if _wants_json(request):
        document = {
            "state": "conflict",
            "message": conflict.message,
            "theirs": text_for(person(request), call, theirs.text) if theirs else "",
            "gone": theirs is None,
            "digest": theirs.digest() if theirs else "",
        }
        return JsonResponse(document, status=409)
    context: dict[str, Any] = {"call": call, "conflict": conflict}
    if theirs is not None:
        view = view_of(call, person(request))
        piece = _piece(view, turn, word)
        if piece is not None:
            context |= _form(call, view, piece, request)
            context["text"] = conflict.mine or context["text"]
    return render(request, "review/turn.html", context, status=409)


def _problem(request: HttpRequest, call: Call, problem: CallcenterError, status: int = 400) -> HttpResponse:
    if _scripted(request) or _wants_json(request):
        return JsonResponse({"state": "refused", "message": problem.message}, status=status)
    messages.error(request, problem.message)
    return redirect(call)


def _form(call: Call, view: View, piece: Piece, request: HttpRequest) -> dict[str, Any]:
    party = OTHER[piece.party] if call.parties_swapped else piece.party
    heard = view.done.state.heard_in(piece)
    start, end = piece.span()
    seen = seen_piece(call, person(request), view, piece)
    return {
        "call": call,
        "turn_no": piece.key[0],
        "word_no": piece.key[1],
        "digest": piece.digest(),
        "session": uuid.uuid4(),
        "text": " ".join(seen),
        "heard": text_for(person(request), call, " ".join(word.text for word in heard)),
        "party": party,
        "parties": PARTIES,
        "words": [
            {"number": n, "text": seen[n], "start": f"{w.start_ms / 1000:.2f}", "end": f"{w.end_ms / 1000:.2f}"}
            for n, w in enumerate(piece.words)
        ],
        "start_ms": start,
        "end_ms": end,
        "rows": min(12, 2 + len(piece.text) // 60),
        "from": request.GET.get("from", "") or request.POST.get("from", ""),
    }


@require_POST
@roles_required(*EDITORS)
def undo(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Take the own last correction of this call back."""
    call = get_object_or_404(_calls(request), pk=call_id)
    try:
        rows = services.undo(call_id=call.pk, user=person(request))
    except CallcenterError as problem:
        return _problem(request, call, problem)
    return _done(request, call, _undone(len(rows)))


@require_POST
@roles_required(*EDITORS)
def undo_group(request: HttpRequest, group: uuid.UUID) -> HttpResponse:
    """Take back what was done at once: one editing of a turn, or a whole fix-all."""
    user = person(request)
    some = Correction.objects.visible_to(user).filter(group=group).select_related("call").first()
    row = get_object_or_404(Correction.objects.visible_to(user), pk=some.pk if some else None)
    try:
        calls = services.withdraw_group(group=group, user=user)
    except CallcenterError as problem:
        return _problem(request, row.call, problem)
    if request.POST.get("next") == "fix-all":
        said = ngettext("Undone in {count} call.", "Undone in {count} calls.", calls)
        messages.success(request, said.format(count=calls))
        return redirect("review:fix_all")
    return _done(request, row.call, gettext("Undone."))


@require_POST
@roles_required(*EDITORS)
def done(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """The person has corrected what there was: understand the call again at once."""
    call = get_object_or_404(_calls(request), pk=call_id)
    started = understand_again(call=call, by=person(request))
    text = (
        gettext("The call is being understood again.")
        if started
        else gettext("Nothing has changed that would need it.")
    )
    if not started and Call.objects.filter(pk=call.pk, corrected_at__isnull=False).exists():
        text = gettext("The call is being processed; it will be understood again right after.")
    return _done(request, call, text)


@require_POST
@roles_required(*EDITORS)
def stranded(request: HttpRequest, correction_id: uuid.UUID) -> HttpResponse:
    """Put a correction that no longer applied to its place, or set it aside."""
    found = Correction.objects.visible_to(person(request)).select_related("call")
    correction = get_object_or_404(found, pk=correction_id)
    try:
        if request.POST.get("action") == "apply":
            services.apply_stranded(correction=correction, user=person(request))
            text = gettext("Put there. Listen to it once.")
        else:
            services.dismiss_stranded(correction=correction, user=person(request))
            text = gettext("Set aside.")
    except CallcenterError as problem:
        return _problem(request, correction.call, problem)
    return _done(request, correction.call, text)


def _done(request: HttpRequest, call: Call, text: str) -> HttpResponse:
    if _wants_json(request):
        return JsonResponse({"state": "done", "message": text})
    messages.success(request, text)
    return redirect(call)


def _calls(request: HttpRequest) -> Any:
    return Call.objects.visible_to(person(request)).select_related("recording", "team", "transcript")


def _piece(view: View | None, turn: int, word: int) -> Piece | None:
    if view is None:
        return None
    try:
        piece = view.done.state.find(turn, word)
    except Unfit:
        return None
    return piece if piece.key == (turn, word) and piece.words else None


def _back(request: HttpRequest, call: Call, piece: Piece | None) -> str:
    address = call.get_absolute_url()
    if piece is None:
        return address
    source = request.POST.get("from", "")
    if source in ("queue", "sample"):
        return f"{reverse('review:next')}?from={source}"
    return f"{address}?t={piece.span()[0]}"


def _scripted(request: HttpRequest) -> bool:
    return request.headers.get("X-Editor") == "1"


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _ms(text: str) -> str:
    """Return seconds as whole milliseconds; what is no number stays and is refused where it is used."""
    try:
        return str(round(float(text.replace(",", ".")) * 1000))
    except (ValueError, OverflowError):
        return ""


def _undone(count: int) -> str:
    return ngettext("Undone: one correction.", "Undone: {count} corrections.", count).format(count=count)
