"""Rules: the list, the editor with its preview, versions, and the jobs that try or apply a rule."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import SUPERVISORS, person, roles_required
from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call, Turn
from callcenter.core.errors import CallcenterError
from callcenter.insights import figures, rulebook, rulejobs, tryout
from callcenter.insights import rules as services
from callcenter.insights.models import RESTRICTED, Category, Rule, RuleJob
from callcenter.insights.selectors import uncovered_teams
from callcenter.privacy.services import text_for

PERIODS = {"": (_("all stored calls"), None), "7": (_("the last 7 days"), 7), "30": (_("the last 30 days"), 30),
           "90": (_("the last 90 days"), 90)}  # fmt: skip


@require_safe
@roles_required(*SUPERVISORS)
def rules(request: HttpRequest) -> HttpResponse:
    """List the rules by category, with what became of their alerts."""
    user = person(request)
    known = figures.by_rule(user)
    groups: dict[str, list[dict[str, Any]]] = {}
    for rule in Rule.objects.order_by("category", "key"):
        groups.setdefault(rule.category, []).append(
            {"rule": rule, gettext("figures"): known.get(rule.key, figures.RuleFigures()), "kinds": _kinds(rule)}
        )
    context = {
        "groups": [
            {
                "key": key,
                "label": label,
                "rows": groups[key],
                "hidden": key in RESTRICTED and not user.sees_restricted_alerts,
            }
            for key, label in Category.choices
            if key in groups
        ],
        "uncovered": uncovered_teams(user),
        "templates": rulebook.TEMPLATES,
        "jobs": RuleJob.objects.filter(kind=RuleJob.Kind.APPLY).select_related("rule", "created_by")[:5],
    }
    return render(request, "insights/rules.html", context)


def _kinds(rule: Rule) -> list[str]:
    """Return how a rule finds things, in words."""
    definition = rule.definition
    found = []
    if definition.get("any") or definition.get("all"):
        found.append(gettext("phrases"))
    if definition.get("absent"):
        found.append(gettext("absence"))
    if definition.get("semantic"):
        found.append(gettext("meaning"))
    if definition.get("metrics"):
        found.append(gettext("figures"))
    if definition.get("detector"):
        found.append(str(definition["detector"]).replace("_", " "))
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
def new(request: HttpRequest) -> HttpResponse:
    """Write a new rule, beginning with a template."""
    if request.method != "POST":
        wanted = request.GET.get("template", gettext("phrases"))
        source = next((text for key, _, text in rulebook.TEMPLATES if key == wanted), rulebook.TEMPLATES[0][2])
        return _editor(request, None, source=source)
    source, note = _source(request), request.POST.get("note", "").replace("\x00", "")
    try:
        rule = services.create(source=source, by=person(request), note=note)
    except CallcenterError as error:
        return _editor(request, None, source=source, problem=error.message, note=note)
    messages.success(request, gettext("Saved. The rule is off; try it on stored calls, then switch it on."))
    return redirect(rule)


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
def rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Show one rule as text, and save it as a new version."""
    found = get_object_or_404(Rule, pk=rule_id)
    if request.method != "POST":
        return _editor(request, found, source=services.source_of(found))
    source, note = _source(request), request.POST.get("note", "").replace("\x00", "")
    given = request.POST.get("version", "")
    base = int(given) if given.isdecimal() and len(given) < 10 else 0
    try:
        found, changed = services.save(rule=found, source=source, by=person(request), base_version=base, note=note)
    except CallcenterError as error:
        found.refresh_from_db()
        base = found.version if error.code == "stale" else base
        return _editor(request, found, source=source, problem=error.message, note=note, base=base)
    if changed:
        messages.success(
            request,
            gettext("Saved as version {version}. It counts for calls from now on.").format(version=found.version),
        )
    else:
        messages.info(request, gettext("Nothing was changed."))
    return redirect(found)


@require_POST
@roles_required(*SUPERVISORS)
def preview(request: HttpRequest) -> HttpResponse:
    """Say what is wrong with a text or, if nothing, what it finds in stored calls; a part of the editor."""
    user = person(request)
    reading = rulebook.read(_source(request), key=request.POST.get("key", ""))
    tried = None
    if reading.right and reading.definition is not None:
        tried = tryout.preview(definition=reading.definition, user=user)
    return render(request, "insights/_preview.html", {"reading": reading, "tried": tried})


@require_POST
@roles_required(*SUPERVISORS)
def try_out(request: HttpRequest) -> HttpResponse:
    """Try a text, saved or not, on all stored calls that this user may see; nothing is changed."""
    source, key = _source(request), request.POST.get("key", "")
    reading = rulebook.read(source, key=key)
    found = Rule.objects.filter(key=key).first() if key else None
    if not reading.right:
        return _editor(request, found, source=source, problem=gettext("The rule has mistakes; it was not tried."))
    job = rulejobs.start(
        kind=RuleJob.Kind.TRY, rule=found, by=person(request), definition=reading.definition, since=_since(request)
    )
    return redirect(job)


@require_POST
@roles_required(*SUPERVISORS)
def enable(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Switch a rule on or off for the calls to come."""
    found = get_object_or_404(Rule, pk=rule_id)
    found = services.set_enabled(rule=found, enabled=request.POST.get("on") == "1", by=person(request))
    said = (
        gettext("{title} is on for calls from now on.")
        if found.enabled
        else gettext("{title} is off for calls from now on.")
    )
    messages.success(request, said.format(title=found.title))
    return redirect(found if request.POST.get("stay") else "insights:rules")


@require_POST
@roles_required(*SUPERVISORS)
def apply(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Apply a rule, as it stands, to stored calls."""
    found = get_object_or_404(Rule, pk=rule_id)
    job = rulejobs.start(kind=RuleJob.Kind.APPLY, rule=found, by=person(request), since=_since(request))
    return redirect(job)


@require_safe
@roles_required(*SUPERVISORS)
def job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show how far a job is and what it found; to htmx, its live part alone."""
    user = person(request)
    found = get_object_or_404(_jobs(user).select_related("rule", "created_by"), pk=job_id)
    template = "insights/_job.html" if request.headers.get("HX-Request") else "insights/job.html"
    return render(request, template, {"job": found, "examples": _examples(found, user)})


@require_POST
@roles_required(*SUPERVISORS)
def job_cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Stop a job; what it has changed stays."""
    found = get_object_or_404(_jobs(person(request)), pk=job_id)
    return redirect(rulejobs.cancel(job=found, by=person(request)))


@require_safe
@roles_required(*SUPERVISORS)
def version(request: HttpRequest, rule_id: int, version: int) -> HttpResponse:
    """Show what a version said and what it changed."""
    found = get_object_or_404(Rule, pk=rule_id)
    shown = get_object_or_404(found.versions.select_related("created_by"), version=version)
    before = found.versions.filter(version__lt=version).first()
    lines = services.difference(services.text_of(before), services.text_of(shown)) if before else []
    context = {"rule": found, "shown": shown, "before": before, "lines": lines, "text": services.text_of(shown)}
    return render(request, "insights/version.html", context)


@require_POST
@roles_required(*SUPERVISORS)
def restore(request: HttpRequest, rule_id: int, version: int) -> HttpResponse:
    """Make an old version the newest one."""
    found = get_object_or_404(Rule, pk=rule_id)
    try:
        found = services.restore(rule=found, version=version, by=person(request))
        messages.success(
            request,
            gettext("Version {version} stands again, as version {version2}.").format(
                version=version, version2=found.version
            ),
        )
    except CallcenterError as error:
        messages.error(request, error.message)
    return redirect(found)


def _source(request: HttpRequest) -> str:
    return request.POST.get("source", "").replace("\r\n", "\n").replace("\x00", "")


def _since(request: HttpRequest) -> Any:
    _, days = PERIODS.get(request.POST.get("days", ""), PERIODS[""])
    return None if days is None else timezone.now() - timedelta(days=days)


def _jobs(user: User) -> Any:
    """Return the jobs whose page this user may open: applications, which show figures alone, and the own tries."""
    if user.has_role(Role.ADMIN):
        return RuleJob.objects.all()
    return RuleJob.objects.filter(Q(kind=RuleJob.Kind.APPLY) | Q(created_by=user))


def _examples(job: RuleJob, user: User) -> list[dict[str, Any]]:
    """Return the first hits of a try with their words, read now and only from calls that this user may see."""
    places = job.examples[: rulejobs.EXAMPLES]
    calls = {
        str(call.pk): call
        for call in Call.objects.visible_to(user)
        .filter(pk__in=[p["call"] for p in places])
        .select_related("agent", "team")
    }
    shown = []
    for place in places:
        call = calls.get(place["call"])
        if call is None:
            continue
        turn = Turn.objects.filter(transcript=call.transcript_id, index=place["turn"]).only("text").first()
        shown.append({**place, "call": call, "quote": text_for(user, call, turn.text)[:400] if turn else ""})
    return shown


def _editor(
    request: HttpRequest, rule: Rule | None, *, source: str, problem: str = "", note: str = "", base: int | None = None
) -> HttpResponse:
    user = person(request)
    reading = rulebook.read(source, key=rule.key if rule else "")
    context = {
        "rule": rule,
        "source": source,
        "reading": reading,
        "problem": problem,
        "note": note,
        "base": base if base is not None else rule.version if rule else 0,
        "versions": list(rule.versions.select_related("created_by")[:20]) if rule else [],
        gettext("figures"): figures.by_rule(user).get(rule.key, figures.RuleFigures()) if rule else None,
        "job": rule.jobs.filter(kind=RuleJob.Kind.APPLY).first() if rule else None,
        "periods": [(key, label) for key, (label, _) in PERIODS.items()],
        "stored": Call.objects.filter(transcript__isnull=False).count(),
        "templates": rulebook.TEMPLATES,
        "template": request.GET.get("template", gettext("phrases")),
        "max_text": rulebook.MAX_TEXT,
    }
    return render(request, "insights/rule.html", context, status=400 if problem else 200)
