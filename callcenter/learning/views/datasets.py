"""Datasets: the list, building, bringing in, one of them, and taking one along."""

from __future__ import annotations

import tempfile
import uuid
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import OPERATORS, person, roles_required
from callcenter.accounts.models import Role
from callcenter.core.errors import CallcenterError
from callcenter.learning import selectors
from callcenter.learning.forms import BuildForm, ImportForm, TrainForm
from callcenter.learning.models import Dataset, DatasetJob
from callcenter.learning.services import exporting, jobs, training


@require_safe
@roles_required(*OPERATORS)
def index(request: HttpRequest) -> HttpResponse:
    """Show all datasets, newest first, and the builds that are at work or failed."""
    user = person(request)
    context = {
        "datasets": Dataset.objects.select_related("golden", "created_by")[:200],
        "jobs": selectors.open_jobs(),
        "may_change": user.has_role(Role.OPERATOR),
    }
    return render(request, "learning/datasets.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*OPERATORS)
def build(request: HttpRequest) -> HttpResponse:
    """Build a dataset from what was reviewed."""
    user = person(request)
    form = BuildForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        since = data["since"]
        chosen = [team.pk for team in data["teams"]]
        job = jobs.start(
            task="build",
            name=data["name"],
            parameters={
                "since": timezone.make_aware(datetime(since.year, since.month, since.day)).isoformat()
                if since
                else None,
                "teams": chosen or None,
                "replay_share": data["replay_share"],
                "pseudo_share": data["pseudo_share"],
            },
            by=user,
        )
        return redirect("learning:job", job.pk)
    context = {"form": form, "imports": ImportForm() if user.has_role(Role.OPERATOR) else None}
    return render(request, "learning/dataset_new.html", context, status=400 if form.errors else 200)


@require_POST
@roles_required(Role.OPERATOR)
def bring_in(request: HttpRequest) -> HttpResponse:
    """Take a corpus from outside."""
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        context = {"form": BuildForm(user=person(request)), "imports": form}
        return render(request, "learning/dataset_new.html", context, status=400)
    upload = form.cleaned_data["corpus"]
    key = jobs.stage(upload, filename=str(upload.name), job_hint=uuid.uuid4().hex)
    job = jobs.start(
        task="import",
        name=form.cleaned_data["import_name"],
        parameters={"role": form.cleaned_data["role"]},
        by=person(request),
        staged_key=key,
    )
    return redirect("learning:job", job.pk)


@require_safe
@roles_required(*OPERATORS)
def job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show how far a build or an import is; to htmx, its live part alone."""
    found = get_object_or_404(DatasetJob.objects.select_related("dataset", "model"), pk=job_id)
    template = "learning/_job.html" if request.headers.get("HX-Request") else "learning/job.html"
    return render(request, template, {"job": found})


@require_safe
@roles_required(*OPERATORS)
def detail(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Show one dataset."""
    user = person(request)
    dataset = get_object_or_404(Dataset.objects.select_related("golden", "created_by"), pk=dataset_id)
    context = selectors.dataset_view(user, dataset)
    if context["may_train"] and user.has_role(Role.OPERATOR):
        initial = {**selectors.training_defaults(), "auto_promote": settings.ENV.LEARNING_AUTO_PROMOTE}
        context["form"] = TrainForm(initial=initial)
    return render(request, "learning/dataset.html", context)


@require_POST
@roles_required(Role.OPERATOR)
def train(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Start a training on a dataset."""
    dataset = get_object_or_404(Dataset, pk=dataset_id)
    form = TrainForm(request.POST)
    if not form.is_valid():
        for name, errors in form.errors.items():
            said = {"field": form.fields[name].label or name, "errors": " ".join(str(e) for e in errors)}
            messages.error(request, _("%(field)s: %(errors)s") % said)
        return redirect(dataset)
    data = form.cleaned_data
    try:
        config = training.default_config(
            method=data["method"], epochs=data["epochs"], learning_rate=data["learning_rate"] or 0.0
        )
        run = training.start(
            dataset=dataset,
            by=person(request),
            config=config,
            base=data["base"],
            golden=data["golden"],
            auto_promote=data["auto_promote"],
        )
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(dataset)
    return redirect(run)


@require_safe
@roles_required(*OPERATORS)
def download(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponseBase:
    """Send a dataset as a zip, to somebody who may read every call in it."""
    dataset = get_object_or_404(Dataset, pk=dataset_id)
    user = person(request)
    if not selectors.may_read_rows(user, dataset):
        raise PermissionDenied
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as held:
        try:
            path = exporting.export(dataset=dataset, target=Path(held) / "dataset.zip", by=user)
        except CallcenterError as error:
            messages.error(request, error.message)
            return redirect(dataset)
        # The open file outlives its name; it is gone when the answer has been sent.
        return FileResponse(path.open("rb"), as_attachment=True, filename=f"{dataset.name}.zip")
