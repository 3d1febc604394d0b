"""Privacy: recordings that could not be muted for certain, who reads what, and the look behind a placeholder."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from analytics.redaction import ALWAYS_HIDDEN, KINDS
from callcenter.accounts.decorators import READERS, person, roles_required
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.privacy import selectors
from callcenter.privacy.models import Mask
from callcenter.privacy.services import levels, masking

SHOWS = (("failed", _("To decide")), ("mine", _("Yours")), ("working", _("In progress")), ("all", _("All")))
DECIDERS = levels.REVEALERS


@require_safe
@roles_required(*DECIDERS)
def masks(request: HttpRequest) -> HttpResponse:
    """List the recordings in which card data was said, those that need a decision first."""
    user = person(request)
    show = request.GET.get("show", "failed")
    show = show if show in dict(SHOWS) else "failed"
    counts = selectors.counts(user)
    found = selectors.masks(show, user)
    context = {
        "here": "masks",
        "show": show,
        "tabs": [{"key": k, "label": label, "count": counts[k], "active": k == show} for k, label in SHOWS],
        "masks": [(mask, selectors.stretches(mask)) for mask in found[: selectors.SHOWN]],
        "more": found.count() > selectors.SHOWN,
        "people": selectors.deciders(),
    }
    return render(request, "privacy/masks.html", context)


@require_POST
@roles_required(*DECIDERS)
def mask_assign(request: HttpRequest, mask_id: int) -> HttpResponse:
    """Say who looks after it."""
    chosen = request.POST.get("owner", "")
    owner = User.objects.filter(pk=int(chosen)).first() if chosen.isdecimal() and len(chosen) < 11 else None
    done = gettext("Given to {name}.").format(name=owner.name) if owner else gettext("Given to nobody.")
    return _act(request, mask_id, lambda m: masking.assign(mask=m, owner=owner, by=person(request)), done)


@require_POST
@roles_required(*DECIDERS)
def mask_retry(request: HttpRequest, mask_id: int) -> HttpResponse:
    """Mute and listen again."""
    done = gettext("The recording is being muted and listened to again.")
    return _act(request, mask_id, lambda m: masking.retry(mask=m, by=person(request)), done)


@require_POST
@roles_required(*DECIDERS)
def mask_stretch(request: HttpRequest, mask_id: int) -> HttpResponse:
    """Mute a stretch that a person names."""
    start, end = _ms(request.POST.get("start", "")), _ms(request.POST.get("end", ""))

    def act(mask: Mask) -> None:
        if start is None or end is None:
            raise CallcenterError(gettext("Give both times in seconds, such as 12.5."), code="bad_times")
        masking.mute_stretch(mask=mask, start_ms=start, end_ms=end, by=person(request))

    return _act(request, mask_id, act, gettext("The stretch is being muted."))


@require_POST
@roles_required(*DECIDERS)
def mask_resolve(request: HttpRequest, mask_id: int) -> HttpResponse:
    """Decide: heard as it is muted now, or closed for good."""
    release, reason = request.POST.get("verdict") == "release", request.POST.get("reason", "")
    done = gettext("The recording can be heard now.") if release else gettext("The recording stays closed.")
    return _act(
        request,
        mask_id,
        lambda m: masking.resolve(mask=m, release=release, reason=reason, by=person(request)),
        done,
    )


def _act(request: HttpRequest, mask_id: int, act: Callable[[Mask], None], done: str) -> HttpResponse:
    mask = get_object_or_404(Mask.objects.select_related("recording"), pk=mask_id)
    try:
        act(mask)
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, done)
    show = request.POST.get("show", "")
    return redirect(f"{reverse('privacy:masks')}?show={show if show in dict(SHOWS) else 'failed'}")


@require_safe
@roles_required(*DECIDERS)
def level_page(request: HttpRequest) -> HttpResponse:
    """Show what each role does not see, and who looked behind it lately."""
    context = {
        "here": "levels",
        "rows": levels.table(),
        "kinds": [(kind, levels.LABELS[kind], kind in ALWAYS_HIDDEN) for kind in KINDS],
        "reveals": selectors.reveals()[:50],
        "labels": levels.LABELS,
    }
    return render(request, "privacy/levels.html", context)


@require_POST
@roles_required(*DECIDERS)
def level_set(request: HttpRequest) -> HttpResponse:
    """Change what a role does not see."""
    role = request.POST.get("role", "")
    try:
        levels.set_level(role=role, hides=request.POST.getlist("hides"), by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, gettext("Saved. What can be searched for follows in the background."))
    return redirect("privacy:levels")


@require_POST
@roles_required(*READERS)
def reveal(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Look behind the placeholders of one call for a while."""
    user = person(request)
    call = get_object_or_404(Call.objects.visible_to(user), pk=call_id)
    try:
        row = levels.reveal(
            call=call, by=user, kinds=request.POST.getlist("kinds"), reason=request.POST.get("reason", "")
        )
    except CallcenterError as error:
        if error.code == "forbidden":
            audit.record("privacy.reveal_refused", call, request=request)
            return HttpResponse(error.message, status=403, content_type="text/plain; charset=utf-8")
        messages.error(request, error.message)
    else:
        shown = ", ".join(levels.LABELS[kind].lower() for kind in row.kinds)
        messages.success(
            request,
            gettext("Shown to you for {reveal_minutes} minutes: {shown}.").format(
                reveal_minutes=levels.REVEAL_MINUTES, shown=shown
            ),
        )
    return redirect(call)


def _ms(text: str) -> int | None:
    """Return seconds or minutes and seconds ("12.5", "1:02.5") as milliseconds; None for neither."""
    minutes, _, seconds = text.strip().replace(",", ".").rpartition(":")
    try:
        value = round((int(minutes or 0) * 60 + float(seconds)) * 1000)
    except (ValueError, OverflowError):
        return None
    return value if 0 <= value < 10**9 else None
