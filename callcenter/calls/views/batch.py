"""Batches: upload many files, watch each of them end."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count, Prefetch, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import BATCH_READERS, SUPERVISORS, person, roles_required
from callcenter.calls.forms import BatchForm
from callcenter.calls.models import Batch, BatchRow
from callcenter.calls.services import batches as services
from callcenter.calls.services import resumable
from callcenter.calls.services.columns import read_mapping
from callcenter.calls.services.metadata import COLUMNS
from callcenter.core import audit
from callcenter.core.errors import CallcenterError, Refused
from callcenter.core.paging import Key, paginate, parse_id, parse_time
from callcenter.core.retold import retold
from callcenter.pipeline.models import Run

ROWS_SHOWN = 200
ORDER = (Key("created_at", True, parse_time), Key("id", True, parse_id))
STATE = BatchRow.State


def is_manifest_name(name: str) -> bool:
    """Return whether a file is meant as the manifest rather than as a recording."""
    return name.lower().endswith((".csv", ".jsonl", ".ndjson"))


@require_safe
@roles_required(*BATCH_READERS)
def batch_list(request: HttpRequest) -> HttpResponse:
    """List uploads with how far each is."""
    batches = Batch.objects.visible_to(person(request))
    counted = Batch.objects.filter(pk__in=batches.values("pk")).annotate(
        files=Count("rows", filter=~Q(rows__kind="manifest")),
        done=Count("rows", filter=Q(rows__state=STATE.DONE) & Q(rows__kind="audio")),
        duplicates=Count("rows", filter=Q(rows__state=STATE.DUPLICATE)),
        refused=Count("rows", filter=Q(rows__state=STATE.REFUSED)),
        waiting=Count("rows", filter=Q(rows__state__in=[STATE.RECEIVED, STATE.CHECKING])),
    )
    page = paginate(
        counted.select_related("team", "created_by").defer("manifest"),
        ORDER,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    may_upload = person(request).has_role(*SUPERVISORS)
    return render(request, "calls/batches.html", {"page": page, "may_upload": may_upload})


@roles_required(*SUPERVISORS)
def batch_new(request: HttpRequest) -> HttpResponse:
    """Open a batch. With scripts the files follow one by one; without, they come with this very request."""
    user = person(request)
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    if request.method != "POST":
        return render(request, "calls/batch_new.html", {"form": BatchForm(user=user), "columns": COLUMNS.items()})
    form = BatchForm(request.POST, request.FILES, user=user)
    files: list[UploadedFile] = request.FILES.getlist("files")
    manifest = request.FILES.get("manifest")
    valid = form.is_valid()
    if valid and not wants_json and not files:
        form.add_error("files", _("Choose at least one recording or a zip archive."))
        valid = False
    if not valid:
        if wants_json:
            return JsonResponse({"message": _first_error(form)}, status=400)
        context = {"form": form, "columns": COLUMNS.items()}
        return render(request, "calls/batch_new.html", context, status=400)
    try:
        batch = services.open_batch(
            by=user, team=form.cleaned_data["team"], name=form.cleaned_data["name"], defaults=form.defaults()
        )
    except CallcenterError as error:
        if wants_json:
            return JsonResponse({"message": retold(error.message)}, status=400)
        messages.error(request, error.message)
        return redirect("calls:batch_new")
    if wants_json:
        return JsonResponse(_addresses(batch), status=201)
    if manifest is not None:
        services.add_manifest(batch=batch, filename=str(manifest.name), data=manifest.read())
    for file in files:
        _take(batch, file, str(file.name))
    services.close_batch(batch=batch)
    return redirect(batch)


def _first_error(form: BatchForm) -> str:
    for name, errors in form.errors.items():
        label = "" if name == "__all__" else f"{form[name].label}: "
        return f"{label}{errors[0]}"
    return _("The form is not complete.")


def _addresses(batch: Batch) -> dict[str, str]:
    return {
        "id": str(batch.pk),
        "page": batch.get_absolute_url(),
        "file": reverse("calls:batch_file", args=[batch.pk]),
        "uploads": reverse("calls:uploads", args=[batch.pk]),
        "close": reverse("calls:batch_close", args=[batch.pk]),
    }


def _take(batch: Batch, file: UploadedFile, name: str, mapping: dict[str, str] | None = None) -> BatchRow:
    name = name.replace("\x00", "").replace("\\", "/").strip("/") or "unnamed"
    if is_manifest_name(name):
        return services.add_manifest(batch=batch, filename=name, data=file.read(), mapping=mapping)
    return services.add_file(batch=batch, filename=name, stream=file)  # type: ignore[arg-type]


@require_POST
@roles_required(*SUPERVISORS)
def batch_file(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Take one file of a batch and answer with its row."""
    batch = get_object_or_404(Batch.objects.visible_to(person(request)), pk=batch_id)
    file = request.FILES.get("file")
    if file is None:
        return JsonResponse({"message": _("No file was received.")}, status=400)
    # The browser drops the folder from the file's name, so the page sends the path beside it.
    try:
        mapping = read_mapping(request.POST.get("mapping", ""))
    except Refused as error:
        return JsonResponse({"message": retold(error.message)}, status=400)
    row = _take(batch, file, request.POST.get("path", "")[:400] or str(file.name), mapping)
    return JsonResponse({"state": row.state, "reason": retold(row.reason), "filename": row.filename}, status=201)


@require_POST
@roles_required(*SUPERVISORS)
def batch_close(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Say that no more files come."""
    batch = get_object_or_404(Batch.objects.visible_to(person(request)), pk=batch_id)
    resumable.close_open(batch)
    services.close_batch(batch=batch)
    if request.headers.get("Accept", "").startswith("application/json"):
        return JsonResponse(_addresses(batch))
    return redirect(batch)


@require_safe
@roles_required(*BATCH_READERS)
def batch_detail(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Show one batch and keep showing how it goes."""
    batch = get_object_or_404(Batch.objects.visible_to(person(request)), pk=batch_id)
    audit.record("batch.view", batch, request=request)
    context = {
        **_rows_context(request, batch),
        "may_upload": person(request).has_role(*SUPERVISORS) and batch.closed_at is None,
        "addresses": _addresses(batch),
        "halves": batch.uploads.filter(row=None).order_by("filename"),
        "received": [
            {"name": name, "size": size}
            for name, size in batch.rows.exclude(state=STATE.REFUSED).values_list("filename", "size")
        ],
    }
    return render(request, "calls/batch.html", context)


@require_safe
@roles_required(*BATCH_READERS)
def batch_rows(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Return the rows alone: the part of the page that renews itself."""
    batch = get_object_or_404(Batch.objects.visible_to(person(request)), pk=batch_id)
    return render(request, "calls/_batch_rows.html", _rows_context(request, batch))


SHOWS: dict[str, tuple[Any, Q]] = {
    "all": (gettext_lazy("All"), Q()),
    "refused": (gettext_lazy("Refused"), Q(state=STATE.REFUSED)),
    "duplicate": (gettext_lazy("Duplicates"), Q(state=STATE.DUPLICATE)),
    "waiting": (gettext_lazy("Waiting"), Q(state__in=[STATE.RECEIVED, STATE.CHECKING])),
}


def _rows_context(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    show = request.GET.get("show", "all")
    show = show if show in SHOWS else "all"
    rows = batch.rows.all()
    counts = rows.exclude(kind="manifest").aggregate(
        all=Count("pk"),
        done=Count("pk", filter=Q(state=STATE.DONE)),
        duplicate=Count("pk", filter=Q(state=STATE.DUPLICATE)),
        refused=Count("pk", filter=Q(state=STATE.REFUSED)),
        waiting=Count("pk", filter=Q(state__in=[STATE.RECEIVED, STATE.CHECKING])),
    )
    runs = Run.objects.filter(call__batch_rows__in=rows.filter(state=STATE.DONE))
    run_counts = runs.aggregate(
        open=Count("pk", filter=~Q(state__in=Run.ENDED)),
        done=Count("pk", filter=Q(state=Run.State.DONE)),
        failed=Count("pk", filter=Q(state=Run.State.FAILED)),
    )
    offset = _offset(request)
    found = list(
        rows.filter(SHOWS[show][1], position__gte=offset)
        .select_related("call")
        .prefetch_related(Prefetch("call__runs", queryset=Run.objects.order_by("-created_at")))[: ROWS_SHOWN + 1]
    )
    for row in found:
        newest = list(row.call.runs.all())[:1] if row.call else []
        row.run = newest[0] if newest else None  # type: ignore[attr-defined]
    total = counts["all"] or 1
    return {
        "batch": batch,
        "rows": found[:ROWS_SHOWN],
        "next_offset": found[ROWS_SHOWN].position if len(found) > ROWS_SHOWN else None,
        "offset": offset,
        "show": show,
        "shows": [
            {"key": key, "label": label, "count": counts[key], "active": key == show}
            for key, (label, _where) in SHOWS.items()
        ],
        "counts": counts,
        "runs": run_counts,
        "running": bool(counts["waiting"] and batch.closed_at) or bool(run_counts["open"]),
        "percent_checked": round(100 * (counts["all"] - counts["waiting"]) / total),
        "percent_understood": round(
            100 * run_counts["done"] / (run_counts["open"] + run_counts["done"] + run_counts["failed"] or 1)
        ),
    }


def _offset(request: HttpRequest) -> int:
    text = request.GET.get("from", "0")
    return int(text) if text.isdigit() and len(text) < 9 else 0
