"""How well alerts work: precision by rule, waiting times by team, and random samples for what was missed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import REVIEWERS, person, roles_required
from callcenter.calls.selectors import visible_teams
from callcenter.core.errors import CallcenterError
from callcenter.insights import audits, figures
from callcenter.insights.models import RESTRICTED, AuditItem, Category, Rule


@require_safe
@roles_required(*REVIEWERS)
def quality(request: HttpRequest) -> HttpResponse:
    """Show precision, waiting times and the samples."""
    user = person(request)
    titles = dict(Rule.objects.values_list("key", "title"))
    judged: list[dict[str, Any]] = [
        {"key": key, "title": titles.get(key, key), "figures": row}
        for key, row in figures.by_rule(user).items()
        if row.precision.of
    ]
    judged.sort(key=lambda row: (row["figures"].precision.share, -row["figures"].precision.of))
    found = list(audits.samples(user)[:20])
    context = {
        "judged": judged,
        "answers": figures.time_to_acknowledge(user),
        "samples": [
            {
                "sample": sample,
                "heard": audits.items_of(sample, user).exclude(verdict="").count(),
                "of": audits.items_of(sample, user).count(),
                "recall": audits.recall(sample, user),
            }
            for sample in found
        ],
        "teams": visible_teams(user),
        "max_sample": audits.MAX_SAMPLE,
    }
    return render(request, "insights/quality.html", context)


@require_POST
@roles_required(*REVIEWERS)
def draw(request: HttpRequest) -> HttpResponse:
    """Draw a new random sample."""
    user = person(request)
    size, days, team = (request.POST.get(name, "") for name in ("size", "days", "team"))
    number = lambda text, default: int(text) if text.isdecimal() and len(text) < 6 else default  # noqa: E731
    until = timezone.now()
    try:
        sample = audits.draw(
            by=user,
            size=number(size, 0),
            since=until - timedelta(days=min(number(days, 30), 3650)),
            until=until,
            team=visible_teams(user).filter(pk=number(team, 0)).first(),
        )
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect("insights:quality")
    return redirect(sample)


@require_safe
@roles_required(*REVIEWERS)
def audit(request: HttpRequest, sample_id: int) -> HttpResponse:
    """Show the calls of a sample and the recall so far."""
    user = person(request)
    sample = get_object_or_404(audits.samples(user), pk=sample_id)
    items = list(audits.items_of(sample, user))
    context = {
        "sample": sample,
        "items": items,
        "left": sum(not item.verdict for item in items),
        "recall": audits.recall(sample, user),
        "by_category": audits.recall_by_category(sample, user),
        "categories": [c for c in Category.choices if c[0] not in RESTRICTED or user.sees_restricted_alerts],
        "labels": dict(Category.choices),
    }
    return render(request, "insights/audit.html", context)


@require_POST
@roles_required(*REVIEWERS)
def judge(request: HttpRequest, sample_id: int, item_id: int) -> HttpResponse:
    """Keep what was found in one call."""
    user = person(request)
    sample = get_object_or_404(audits.samples(user), pk=sample_id)
    item: AuditItem = get_object_or_404(audits.items_of(sample, user), pk=item_id)
    try:
        audits.judge(
            item=item,
            by=user,
            verdict=request.POST.get("verdict", ""),
            categories=request.POST.getlist("category"),
            note=request.POST.get("note", ""),
        )
    except CallcenterError as error:
        messages.error(request, error.message)
    return redirect(sample)
