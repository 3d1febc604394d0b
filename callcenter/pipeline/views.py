"""The operations page: whether the machinery runs, what failed and why, and the retry button."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import OPERATORS, READERS, person, roles_required
from callcenter.accounts.models import Role
from callcenter.core.errors import CallcenterError
from callcenter.pipeline import machinery, selectors, services
from callcenter.pipeline.models import Run


@require_safe
@roles_required(*OPERATORS)
def operations(request: HttpRequest) -> HttpResponse:
    """Show queues, workers, runs and failures; machine details to operators and administrators only."""
    user = person(request)
    context = {
        **selectors.panel(user),
        "machine": user.has_role(Role.OPERATOR),
        "reads_calls": user.has_role(*READERS),
    }
    if context["machine"]:
        context |= {"models": selectors.models_installed(), "disk": selectors.disk(), "storage": machinery.storage()}
    return render(request, "pipeline/operations.html", context)


@require_safe
@roles_required(*OPERATORS)
def operations_panel(request: HttpRequest) -> HttpResponse:
    """Return the live part alone."""
    user = person(request)
    context = {
        **selectors.panel(user),
        "machine": user.has_role(Role.OPERATOR),
        "reads_calls": user.has_role(*READERS),
    }
    return render(request, "pipeline/_panel.html", context)


@require_POST
@roles_required(*OPERATORS)
def retry(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Put one failed run back in line."""
    run = get_object_or_404(Run.objects.visible_to(person(request)), pk=run_id)
    _retry(request, [run])
    return _back(request, run)


@require_POST
@roles_required(*OPERATORS)
def retry_cause(request: HttpRequest) -> HttpResponse:
    """Put all runs that failed for one cause back in line."""
    failed = selectors.current_failures(person(request)).filter(error_code=request.POST.get("error_code", ""))
    _retry(request, list(failed[:1000]))
    return redirect("pipeline:operations")


def _retry(request: HttpRequest, runs: list[Run]) -> None:
    taken, problem = 0, ""
    for run in runs:
        try:
            services.retry(run=run, by=person(request))
            taken += 1
        except CallcenterError as error:
            problem = error.message
    if taken:
        messages.success(
            request,
            ngettext("One run is in line again.", "%(taken)s runs are in line again.", taken) % {"taken": taken},
        )
    if problem:
        messages.error(request, problem)


def _back(request: HttpRequest, run: Run) -> HttpResponse:
    if request.POST.get("next") == "call" and person(request).has_role(*READERS):
        return redirect(run.call)
    return redirect("pipeline:operations")
