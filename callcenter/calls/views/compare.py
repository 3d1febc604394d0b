"""Two versions of a transcript side by side."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from callcenter.accounts.decorators import READERS, person, roles_required
from callcenter.calls import comparing
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.privacy.services import level_for


@require_safe
@roles_required(*READERS)
def compare(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Show two versions word by word: by default what the model heard and how it reads now."""
    call = get_object_or_404(Call.objects.visible_to(person(request)).select_related("transcript"), pk=call_id)
    audit.record("call.compare", call, request=request)
    versions = comparing.versions(call)
    keys = [version.key for version in versions]
    left, right = request.GET.get("left", ""), request.GET.get("right", "")
    # What the newest model heard, beside how it reads now; of two models, the older stands on the left.
    left = left if left in keys else str(call.transcript_id or "")
    right = right if right in keys else comparing.CURRENT
    problem, found = "", None
    if keys:
        try:
            level = level_for(person(request), call)
            found = comparing.compare(*(comparing.words_of(call, key, level) for key in (left, right)))
        except CallcenterError as error:
            problem = error.message
    context = {"call": call, "versions": versions, "left": left, "right": right, "found": found, "problem": problem}
    context["only"] = request.GET.get("only") == "differences"
    return render(request, "calls/compare.html", context)
