"""The taxonomy's pages: the list, one intent, what a change would move, versions, re-labelling, a call's label."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import SUPERVISORS, person, roles_required
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core.errors import CallcenterError
from callcenter.insights.intents import diff, jobs, labels, selectors, taxonomy, tuning
from callcenter.insights.intents.forms import IntentForm
from callcenter.insights.intents.models import IntentJob, TaxonomyVersion


@require_safe
@roles_required(*SUPERVISORS)
def index(request: HttpRequest) -> HttpResponse:
    """Show the taxonomy."""
    return render(request, "insights/intents/list.html", selectors.overview(person(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
def new(request: HttpRequest) -> HttpResponse:
    """Write a new intent; nothing is saved before its author has seen what it would move."""
    items = taxonomy.current().content
    form = IntentForm(request.POST or None, items=items)
    return _form(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Change an intent; nothing is saved before its author has seen what it would move."""
    items = taxonomy.current().content
    item = _item(items, name)
    form = IntentForm(request.POST, items=items, name=name) if request.method == "POST" else IntentForm.of(item, items)
    return _form(request, form, item)


def _item(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((item for item in items if item["name"] == name), None)
    if found is None:
        raise Http404(gettext("There is no such intent."))
    return found


def _form(request: HttpRequest, form: IntentForm, item: dict[str, Any] | None) -> HttpResponse:
    if form.is_bound and form.is_valid():
        return _looked_at(request, {"put": form.item}, back="intents:list")
    context = {"form": form, "item": item}
    return render(request, "insights/intents/edit.html", context, status=400 if form.errors else 200)


def _looked_at(request: HttpRequest, change: dict[str, Any], *, back: str) -> HttpResponse:
    try:
        job = jobs.preview(edit=change, by=person(request))
    except CallcenterError as error:
        messages.info(request, error.message)
        return redirect(back)
    return redirect("intents:change", job.pk)


@require_POST
@roles_required(*SUPERVISORS)
def switch(request: HttpRequest, name: str) -> HttpResponse:
    """Look at what switching an intent off, or on again, would move."""
    item = _item(taxonomy.current().content, name)
    return _looked_at(request, {"put": {**item, "enabled": not item["enabled"]}}, back="intents:list")


def _previews(user: User) -> QuerySet[IntentJob]:
    """Return the previews of this person: they name calls of those teams, and are nobody else's business."""
    return IntentJob.objects.filter(task=IntentJob.Task.PREVIEW, created_by=user)


@require_safe
@roles_required(*SUPERVISORS)
def change(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show a proposed change and what it would move; to htmx, the live part alone."""
    user = person(request)
    job = get_object_or_404(_previews(user), pk=job_id)
    template = "insights/intents/_change.html" if request.headers.get("HX-Request") else "insights/intents/change.html"
    return render(request, template, selectors.job_view(job, user))


@require_POST
@roles_required(*SUPERVISORS)
def save(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Save a proposed change as a new version and, if asked, have stored calls read again."""
    user = person(request)
    job = get_object_or_404(_previews(user), pk=job_id)
    try:
        version = taxonomy.save(
            proposed=job.parameters["proposed"],
            base=job.version,
            by=user,
            note=request.POST.get("note", ""),
            restored_from=job.parameters["edit"].get("restore"),
        )
        jobs.settle(job=job, number=version.number)
        if request.POST.get("relabel"):
            again = jobs.relabel(by=user)
            messages.success(
                request,
                gettext("Saved as version {number}. Stored calls are being read again.").format(number=version.number),
            )
            return redirect("intents:job", again.pk)
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect("intents:change", job.pk)
    messages.success(
        request,
        gettext("Saved as version {number}. New calls are understood with it from now on.").format(
            number=version.number
        ),
    )
    return redirect("intents:list")


@require_POST
@roles_required(*SUPERVISORS)
def again(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Make the same change to the taxonomy as it is now, and look at what that would move."""
    job = get_object_or_404(_previews(person(request)), pk=job_id)
    return _looked_at(request, job.parameters["edit"], back="intents:list")


@require_safe
@roles_required(*SUPERVISORS)
def history(request: HttpRequest) -> HttpResponse:
    """Show all versions, newest first."""
    return render(request, "insights/intents/history.html", {"versions": selectors.history()})


@require_safe
@roles_required(*SUPERVISORS)
def version(request: HttpRequest, number: int) -> HttpResponse:
    """Show one version as it was, what it changed, and how it differs from now."""
    newest = taxonomy.current()
    found = get_object_or_404(TaxonomyVersion.objects.select_related("author", "restored_from"), number=number)
    back = taxonomy.proposal({"restore": number}, newest.content)
    context = {
        "version": found,
        "newest": newest,
        "rows": [{"depth": depth, "item": item} for depth, item in taxonomy.tree(found.content)],
        "since": diff.changes(newest.content, back) if found != newest else [],
    }
    return render(request, "insights/intents/version.html", context)


@require_POST
@roles_required(*SUPERVISORS)
def restore(request: HttpRequest, number: int) -> HttpResponse:
    """Look at what going back to a version would move."""
    get_object_or_404(TaxonomyVersion, number=number)
    return _looked_at(request, {"restore": number}, back="intents:history")


@require_POST
@roles_required(*SUPERVISORS)
def relabel(request: HttpRequest) -> HttpResponse:
    """Have all stored calls read again with the taxonomy as it is."""
    try:
        job = jobs.relabel(by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect("intents:list")
    return redirect("intents:job", job.pk)


@require_POST
@roles_required(*SUPERVISORS)
def tune(request: HttpRequest) -> HttpResponse:
    """Have the sentence vectors fitted to the taxonomy."""
    try:
        found = tuning.tune(by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect("intents:list")
    return redirect("intents:job", found.pk)


def _shared() -> QuerySet[IntentJob]:
    return IntentJob.objects.exclude(task=IntentJob.Task.PREVIEW).select_related("created_by")


@require_safe
@roles_required(*SUPERVISORS)
def job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show how far a re-labelling or a fitting is and what came of it; to htmx, its live part alone."""
    found = get_object_or_404(_shared(), pk=job_id)
    template = "insights/intents/_job.html" if request.headers.get("HX-Request") else "insights/intents/job.html"
    return render(request, template, selectors.job_view(found, person(request)))


@require_POST
@roles_required(*SUPERVISORS)
def job_cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Stop a re-labelling, whose read calls stay, or a fitting."""
    found = get_object_or_404(_shared(), pk=job_id)
    try:
        jobs.cancel(job=found, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
    return redirect("intents:job", found.pk)


@require_POST
@roles_required(*SUPERVISORS)
def label(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Say what a call was about, and where in it that is said."""
    call = get_object_or_404(Call.objects.visible_to(person(request)), pk=call_id)
    try:
        labels.label(
            call=call,
            name=request.POST.get("intent", ""),
            by=person(request),
            span=_span(request.POST.get("span", "")),
        )
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, gettext("Kept. It counts for this call from now on, and the model learns from it."))
    return redirect(f"{call.get_absolute_url()}#intent")


def _span(text: str) -> tuple[int, int] | None:
    """Read "start-end" in milliseconds; anything else is no place."""
    start, _, end = text.partition("-")
    if start.isdecimal() and end.isdecimal() and int(start) < int(end) < 2**31:
        return int(start), int(end)
    return None


@require_POST
@roles_required(*SUPERVISORS)
def unlabel(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Take a label back."""
    call = get_object_or_404(Call.objects.visible_to(person(request)), pk=call_id)
    try:
        labels.withdraw(call=call, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, gettext("Taken back. The call is again about what the model read."))
    return redirect(f"{call.get_absolute_url()}#intent")
