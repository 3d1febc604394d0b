"""The list of one's own exports, asking for another, and the download."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import READERS, person, roles_required
from callcenter.calls import selectors
from callcenter.calls.exports import services
from callcenter.calls.exports.models import Export
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*READERS)
def exports(request: HttpRequest) -> HttpResponse:
    """Show one's own exports; file another one of the calls that the address's filter names."""
    user = person(request)
    query = CallQuery.parse(request.GET)
    if request.method == "POST":
        try:
            services.ask(
                by=user, query=query, format=request.POST.get("format", ""), scope=request.POST.get("scope", "")
            )
        except CallcenterError as error:
            messages.error(request, error.message)
        return redirect("exports:list")
    asked = "new" in request.GET or query.narrowed
    context = {
        **_rows(request),
        "query": query,
        "asked": asked,
        "count": selectors.matching(Call.objects.visible_to(user), query, user=user).count() if asked else None,
        "address": query.link(request.path),
        "back": query.link(reverse("calls:list")),
        "formats": Export.Format.choices,
        "scopes": Export.Scope.choices,
    }
    return render(request, "calls/exports/list.html", context)


@require_safe
@roles_required(*READERS)
def panel(request: HttpRequest) -> HttpResponse:
    """Return the list alone: the part that renews itself."""
    return render(request, "calls/exports/_rows.html", _rows(request))


@require_safe
@roles_required(*READERS)
def download(request: HttpRequest, export_id: uuid.UUID) -> HttpResponseBase:
    """Send the file of one's own export. Every download is in the audit log."""
    export = get_object_or_404(person(request).exports.filter(state=Export.State.DONE), pk=export_id)
    audit.record("calls.export_download", export, request=request, rows=export.rows)
    try:
        source = store().open(export.storage_key)
    except FileNotFoundError:
        messages.error(request, _("This file is no longer there; ask for it again."))
        return redirect("exports:list")
    answer = FileResponse(source, as_attachment=True, filename=export.filename)
    answer["Content-Type"] = TYPES[export.format]
    answer["Content-Length"] = str(export.size)
    return answer


@require_POST
@roles_required(*READERS)
def remove(request: HttpRequest, export_id: uuid.UUID) -> HttpResponse:
    """Remove one's own export."""
    services.remove(export=get_object_or_404(person(request).exports, pk=export_id), by=person(request))
    return redirect("exports:list")


def _rows(request: HttpRequest) -> dict[str, Any]:
    rows = list(person(request).exports.all()[:50])
    return {"exports": rows, "running": any(row.state in Export.OPEN for row in rows)}
