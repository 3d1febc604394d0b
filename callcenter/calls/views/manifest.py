"""A look at a manifest before anything is sent: its columns, what they are taken for, its first rows."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from callcenter.accounts.decorators import SUPERVISORS, person, roles_required
from callcenter.calls.selectors import visible_teams
from callcenter.calls.services import columns, manifests
from callcenter.calls.services.metadata import COLUMNS
from callcenter.core.errors import Refused

MOST_NAMES = 20_000


@require_POST
@roles_required(*SUPERVISORS)
def preview(request: HttpRequest) -> HttpResponse:
    """Return the columns and the first rows of a manifest as they would be understood; keep nothing."""
    user = person(request)
    file, chosen = request.FILES.get("file"), request.POST.get("team", "")
    team = visible_teams(user).filter(pk=int(chosen)).first() if chosen.isdecimal() and len(chosen) < 10 else None
    try:
        if file is None:
            raise Refused(_("No file was received."), code="no_file")
        if team is None:
            raise Refused(_("Choose the team first: what the manifest says is looked up in it."), code="no_team")
        if (file.size or 0) > manifests.MAX_BYTES:
            raise Refused(
                _("The manifest is larger than %(max_bytes)s MiB.") % {"max_bytes": manifests.MAX_BYTES // 2**20},
                code="bad_manifest",
            )
        found = columns.preview(
            filename=str(file.name),
            data=file.read(),
            team=team,
            by=user,
            mapping=columns.read_mapping(request.POST.get("mapping", "")),
            files=_names(request.POST.get("names", "")),
        )
    except Refused as error:
        return render(request, "calls/_manifest.html", {"refused": error.message})
    context = {"found": found, "file": file, "team": team, "choices": COLUMNS.items()}
    return render(request, "calls/_manifest.html", context)


def _names(text: str) -> list[str]:
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return [name for name in found if isinstance(name, str)][:MOST_NAMES] if isinstance(found, list) else []
