"""The knowledge base: to read for everybody who reads calls, to change for supervisors."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import READERS, SUPERVISORS, person, roles_required
from callcenter.core.errors import CallcenterError
from callcenter.insights.answers import selectors, services
from callcenter.insights.answers.forms import ArticleForm
from callcenter.insights.answers.models import Article, NextAction
from callcenter.insights.models import Category, Intent


@require_safe
@roles_required(*READERS)
def article_list(request: HttpRequest) -> HttpResponse:
    """List the articles that match the search."""
    user = person(request)
    q, tag = request.GET.get("q", "").replace("\x00", "").strip()[:200], request.GET.get("tag", "")[:100]
    context = {
        "articles": selectors.articles(user, q=q, tag=tag),
        "q": q,
        "tag": tag,
        "tags": selectors.tags(),
        "may_change": user.has_role(*SUPERVISORS),
        "shown": selectors.SHOWN,
    }
    return render(request, "insights/answers/articles.html", context)


@require_safe
@roles_required(*READERS)
def article(request: HttpRequest, article_id: uuid.UUID) -> HttpResponse:
    """Show one article with its versions."""
    user = person(request)
    may_change = user.has_role(*SUPERVISORS)
    found = get_object_or_404(Article.objects.defer("search").select_related("updated_by"), pk=article_id)
    if not found.enabled and not may_change:
        raise Http404
    versions = found.versions.select_related("author") if may_change else []
    return render(
        request, "insights/answers/article.html", {"article": found, "versions": versions, "may_change": may_change}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
def article_edit(request: HttpRequest, article_id: uuid.UUID | None = None) -> HttpResponse:
    """Write or change an article."""
    found = get_object_or_404(Article, pk=article_id) if article_id else None
    form = ArticleForm(request.POST or None, article=found)
    if request.method == "POST" and form.is_valid():
        try:
            saved, changed = services.save_article(by=person(request), article=found, **form.cleaned_data)
        except CallcenterError as error:
            form.add_error(None, error.message)
        else:
            messages.success(
                request,
                gettext("Saved as version {version}.").format(version=saved.version) if changed else gettext("Saved."),
            )
            return redirect(saved)
    context = {"form": form, "article": found}
    return render(request, "insights/answers/edit.html", context, status=400 if form.errors else 200)


@require_POST
@roles_required(*SUPERVISORS)
def article_restore(request: HttpRequest, article_id: uuid.UUID, number: int) -> HttpResponse:
    """Make an earlier version the present one."""
    found = get_object_or_404(Article, pk=article_id)
    try:
        found = services.restore_version(article=found, number=number, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
    else:
        messages.success(
            request,
            gettext("Version {number} is back, as version {version}.").format(number=number, version=found.version),
        )
    return redirect(found)


@require_POST
@roles_required(*SUPERVISORS)
def article_delete(request: HttpRequest, article_id: uuid.UUID) -> HttpResponse:
    """Remove an article."""
    found = get_object_or_404(Article, pk=article_id)
    services.delete_article(article=found, by=person(request))
    messages.success(request, gettext("The article “{title}” is gone.").format(title=found.title))
    return redirect("answers:list")


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
def actions(request: HttpRequest) -> HttpResponse:
    """Show, and change, what to do next for each risk and intent."""
    problem: dict[str, Any] = {}
    if request.method == "POST":
        kind, key, text = (request.POST.get(name, "") for name in ("kind", "key", "text"))
        try:
            services.save_action(by=person(request), kind=kind, key=key, text=text)
        except CallcenterError as error:
            problem = {"row": f"{kind}:{key}", "message": error.message, "text": text}
        else:
            messages.success(request, gettext("Saved.") if text.strip() else gettext("Taken away."))
            return redirect("answers:actions")
    saved = {(a.kind, a.key): a.text for a in NextAction.objects.all()}
    groups = [
        ("risk", gettext("Risks"), Category.choices),
        ("intent", gettext("Intents"), Intent.objects.filter(enabled=True).values_list("name", "label")),
    ]
    rows = [
        (label, [
            {"kind": kind, "key": key, "label": words or key, "text": saved.get((kind, key), ""), "id": f"{kind}:{key}"}
            for key, words in choices
        ])
        for kind, label, choices in groups
    ]  # fmt: skip
    context = {"groups": rows, "problem": problem}
    return render(request, "insights/answers/actions.html", context, status=400 if problem else 200)
