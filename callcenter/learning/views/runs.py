"""The learning page, a run with its live progress, and what an agent's corrections changed."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import OPERATORS, READERS, person, roles_required
from callcenter.accounts.models import Role
from callcenter.core.errors import CallcenterError
from callcenter.learning import selectors
from callcenter.learning.models import TrainingRun
from callcenter.learning.services import nightly, training


@require_safe
@roles_required(*OPERATORS)
def overview(request: HttpRequest) -> HttpResponse:
    """Show what is served, what the nights brought and what is at work; to htmx, the live part alone."""
    context = {**selectors.overview(), "may_change": person(request).has_role(Role.OPERATOR)}
    template = "learning/_overview.html" if request.headers.get("HX-Request") else "learning/overview.html"
    return render(request, template, context)


@require_POST
@roles_required(Role.OPERATOR)
def night(request: HttpRequest) -> HttpResponse:
    """Run a night now; the building goes on behind the page."""
    try:
        nightly.ask(by=person(request))
        messages.success(request, gettext("Learning begins. What comes of it shows below within moments."))
    except CallcenterError as error:
        messages.error(request, error.message)
    return redirect("learning:overview")


@require_safe
@roles_required(*OPERATORS)
def run(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show one run; to htmx, its live part alone."""
    found = get_object_or_404(
        TrainingRun.objects.select_related(
            "dataset", "base", "served", "candidate", "golden", "old_domain", "created_by"
        ),
        pk=run_id,
    )
    context = {"view": selectors.run_view(found), "may_change": person(request).has_role(Role.OPERATOR)}
    template = "learning/_run.html" if request.headers.get("HX-Request") else "learning/run.html"
    return render(request, template, context)


@require_POST
@roles_required(Role.OPERATOR)
def cancel(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Call a run off."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    try:
        training.cancel(run=found, by=person(request))
        messages.success(request, gettext("The run is cancelled; the worker stops within moments."))
    except CallcenterError as error:
        messages.error(request, error.message)
    return redirect(found)


@require_POST
@roles_required(Role.OPERATOR)
def retry(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Put a failed run back in line."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    try:
        training.retry(run=found, by=person(request))
        messages.success(request, gettext("The run is in line again and goes on where it was."))
    except CallcenterError as error:
        messages.error(request, error.message)
    return redirect(found)


@require_safe
@roles_required(*READERS)
def yours(request: HttpRequest) -> HttpResponse:
    """Show what the signed-in person's corrections changed."""
    from callcenter.review.models import Correction

    user = person(request)
    own = Correction.objects.filter(author=user)
    context = {
        "effects": selectors.effect_of(user),
        "made": own.count(),
        "approved": own.filter(status=Correction.Status.APPROVED).count(),
        "pending": own.filter(status=Correction.Status.PENDING).count(),
    }
    return render(request, "learning/yours.html", context)
