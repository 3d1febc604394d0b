"""The registry: all models, one with the gate's checks, and putting one live or back."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import OPERATORS, person, roles_required
from callcenter.accounts.models import Role
from callcenter.core.errors import CallcenterError
from callcenter.learning import selectors
from callcenter.learning.forms import UploadForm
from callcenter.learning.models import Model
from callcenter.learning.services import jobs, registry, training


@require_safe
@roles_required(*OPERATORS)
def index(request: HttpRequest) -> HttpResponse:
    """Show all models, the served one first."""
    served = registry.served()
    rest = Model.objects.exclude(pk=served.pk).select_related("training_run__dataset")[:200]
    rows = [{"model": model, "figures": selectors.figures_of(model)} for model in [served, *rest]]
    context = {"rows": rows, "may_change": person(request).has_role(Role.OPERATOR)}
    return render(request, "learning/models.html", context)


@require_safe
@roles_required(*OPERATORS)
def detail(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    """Show one model."""
    model = get_object_or_404(Model.objects.select_related("training_run__dataset", "training_run__base"), pk=model_id)
    context = {
        **selectors.model_view(model),
        "may_change": person(request).has_role(Role.OPERATOR),
        "open_run": selectors.open_run(),
    }
    return render(request, "learning/model.html", context)


@require_POST
@roles_required(Role.OPERATOR)
def promote(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    """Put a model live."""
    model = get_object_or_404(Model, pk=model_id)
    try:
        made = registry.promote(model=model, by=person(request), forced_reason=request.POST.get("reason", ""))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(model)
    if made is None:
        messages.info(request, gettext("{name} was live already.").format(name=model.name))
    else:
        messages.success(
            request, gettext("{name} is live: the next call is transcribed with it.").format(name=model.name)
        )
    return redirect(model)


@require_POST
@roles_required(Role.OPERATOR)
def rollback(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    """Serve again what was served before this model."""
    model = get_object_or_404(Model, pk=model_id)
    try:
        made = registry.rollback(by=person(request), model=model, reason=request.POST.get("reason", ""))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(model)
    if made is None:
        messages.info(request, gettext("{name} is not served any more; nothing was changed.").format(name=model.name))
        return redirect(model)
    messages.success(
        request, gettext("{name} is live again: the next call is transcribed with it.").format(name=made.model.name)
    )
    return redirect(made.model)


@require_POST
@roles_required(Role.OPERATOR)
def evaluate(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    """Put a model through the gate against what is served."""
    model = get_object_or_404(Model, pk=model_id)
    try:
        run = training.evaluate(model=model, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(model)
    return redirect(run)


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(Role.OPERATOR)
def upload(request: HttpRequest) -> HttpResponse:
    """Take a model trained elsewhere."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        archive = form.cleaned_data["archive"]
        key = jobs.stage(archive, filename=str(archive.name), job_hint=uuid.uuid4().hex)
        job = jobs.start(
            task="upload", name=form.cleaned_data["name"], parameters={}, by=person(request), staged_key=key
        )
        return redirect("learning:job", job.pk)
    return render(request, "learning/upload.html", {"form": form}, status=400 if form.errors else 200)
