"""The review pages: queue, approval, fix-all, vocabulary, and what the own corrections did."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import EDITORS, SUPERVISORS, person, roles_required
from callcenter.accounts.models import Role, Team
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.review import fixing, selectors, services, vocabulary
from callcenter.review.estimate import SECONDS_EACH, STOP_SHARE
from callcenter.review.models import Correction, Term

MAX_LIST_BYTES = 200_000


def _tabs(request: HttpRequest) -> list[dict[str, Any]]:
    user = person(request)
    entries = [
        ("review:queue", gettext("Queue"), EDITORS, 0),
        ("review:approval", gettext("Approval"), SUPERVISORS, selectors.pending_count(user)),
        ("review:fix_all", gettext("Fix in many calls"), SUPERVISORS, 0),
        ("review:vocabulary", gettext("Vocabulary"), SUPERVISORS, 0),
        ("review:mine", gettext("Your corrections"), EDITORS, 0),
    ]
    return [
        {"url": url, "label": label, "count": count, "active": request.path == url}
        for name, label, roles, count in entries
        if user.has_role(*roles)
        for url in [reverse(name)]
    ]


@require_safe
@roles_required(*EDITORS)
def queue(request: HttpRequest) -> HttpResponse:
    """Show which segments are worth a look, and whether looking still pays."""
    user = person(request)
    tab = "sample" if request.GET.get("show") == "sample" else "queue"
    turns = selectors.spot_checks(user) if tab == "sample" else selectors.ranked(user)
    context = {
        "tabs": _tabs(request),
        "show": tab,
        "entries": selectors.entries(turns, user, sampled=tab == "sample"),
        "state": selectors.state(user),
        "stop_share": STOP_SHARE,
        "seconds_each": SECONDS_EACH,
    }
    return render(request, "review/queue.html", context)


@require_safe
@roles_required(*EDITORS)
def next_segment(request: HttpRequest) -> HttpResponse:
    """Lead to the next segment of the queue, or back to the queue when there is none."""
    after = request.GET.get("after", "")
    done = request.session.get("review_done", 0) + 1
    request.session["review_done"] = done
    turn, source = selectors.next_segment(
        person(request),
        source=request.GET.get("from", "") if request.GET.get("from") == "sample" else "",
        after=int(after) if after.isdecimal() and len(after) < 16 else None,
        done=done,
    )
    if turn is None:
        messages.success(request, gettext("Nothing is left to look at."))
        return redirect("review:queue")
    return redirect(f"{turn.call.get_absolute_url()}?from={source}&t={turn.start_ms}#turn-{turn.index}")


@require_safe
@roles_required(*SUPERVISORS)
def approval(request: HttpRequest) -> HttpResponse:
    """Show the corrections that wait for a decision, with their sound."""
    user = person(request)
    context = {
        "tabs": _tabs(request),
        "pending": selectors.pending(user),
        "teams": selectors.teams(user),
        "rules": Team.Approval.choices,
    }
    return render(request, "review/approval.html", context)


@require_POST
@roles_required(*SUPERVISORS)
def decide(request: HttpRequest) -> HttpResponse:
    """Approve or reject what was chosen."""
    user = person(request)
    chosen = [name for name in request.POST.getlist("group") if _uuid(name.partition("/")[0])]
    single, _, verdict = request.POST.get("one", "").rpartition(":")
    if single:
        chosen = [single] if _uuid(single.partition("/")[0]) else []
    else:
        verdict = request.POST.get("verdict", "")
    if verdict not in ("approve", "reject") or not chosen:
        messages.error(request, gettext("Choose what to decide on."))
        return redirect("review:approval")
    ids: list[Any] = []
    for name in chosen:
        group, _, call = name.partition("/")
        found = Correction.objects.visible_to(user).filter(group=group, status=Correction.Status.PENDING)
        call_id = _uuid(call)
        ids += found.filter(call_id=call_id).values_list("pk", flat=True) if call_id else []
    count = services.decide(ids=ids, user=user, approve=verdict == "approve")
    if count:
        said = (
            ngettext("{count} correction approved.", "{count} corrections approved.", count)
            if verdict == "approve"
            else ngettext("{count} correction rejected.", "{count} corrections rejected.", count)
        )
        messages.success(request, said.format(count=count))
    else:
        messages.error(request, gettext("These have been decided or withdrawn meanwhile."))
    return redirect("review:approval")


@require_POST
@roles_required(*SUPERVISORS)
def rule(request: HttpRequest) -> HttpResponse:
    """Set whose corrections wait for approval in a team."""
    teams = {team.pk: team for team in selectors.teams(person(request))}
    wanted = request.POST.get("team", "")
    team = teams.get(int(wanted)) if wanted.isdecimal() else None
    value = request.POST.get("rule", "")
    if team is None or value not in Team.Approval.values:
        messages.error(request, gettext("This team or rule is not known."))
        return redirect("review:approval")
    before = team.correction_approval
    team.correction_approval = value
    team.save(update_fields=["correction_approval"])
    audit.record("team.correction_approval", team, request=request, before=before, after=value)
    messages.success(
        request,
        gettext("{name}: approval is {rule} now.").format(
            name=team.name, rule=team.get_correction_approval_display().lower()
        ),
    )
    return redirect("review:approval")


@require_safe
@roles_required(*SUPERVISORS)
def fix_all(request: HttpRequest) -> HttpResponse:
    """Find a word or phrase in all calls and show where it stands."""
    wrong, right = (request.GET.get(name, "").replace("\x00", "").strip()[:200] for name in ("wrong", "right"))
    context: dict[str, Any] = {"tabs": _tabs(request), "wrong": wrong, "right": right, "recent": _batches(request)}
    if wrong:
        try:
            context["found"], context["more"] = fixing.find(user=person(request), wrong=wrong, right=right)
            context["searched"] = True
        except CallcenterError as problem:
            context["problem"] = problem.message
    return render(request, "review/fix_all.html", context)


@require_POST
@roles_required(*SUPERVISORS)
def fix_all_apply(request: HttpRequest) -> HttpResponse:
    """Correct the chosen places."""
    try:
        fixed = fixing.fix_all(
            user=person(request),
            wrong=request.POST.get("wrong", "")[:200],
            right=request.POST.get("right", "").replace("\x00", "").strip()[:200],
            chosen=request.POST.getlist("place"),
        )
    except CallcenterError as problem:
        messages.error(request, problem.message)
        return redirect("review:fix_all")
    places = ngettext("{count} turn", "{count} turns", fixed.turns).format(count=fixed.turns)
    calls = ngettext("{count} call", "{count} calls", fixed.calls).format(count=fixed.calls)
    said = gettext("Corrected {places} in {calls}.").format(places=places, calls=calls)
    if fixed.left:
        left = gettext("{count} had changed meanwhile and were left alone.").format(count=fixed.left)
        said = f"{said} {left}"
    messages.success(request, said)
    return redirect("review:fix_all")


def _batches(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the user's last fix-alls that can still be undone."""
    from django.db.models import Count, Max

    from callcenter.core.models import AuditEvent

    user = person(request)
    events = AuditEvent.objects.filter(action="correction.fix_all", user=user).order_by("-pk")[:300]
    groups = list(dict.fromkeys(str(e.detail.get("group", "")) for e in events))[:10]
    live = Correction.objects.filter(group__in=[g for g in groups if _uuid(g)], author=user, root=None).live()
    rows = live.order_by().values("group").annotate(calls=Count("call", distinct=True), count=Count("pk"))
    rows = rows.annotate(at=Max("created_at")).order_by("-at")
    found = []
    for row in rows:
        example = live.filter(group=row["group"]).first()
        if example is not None:
            before, after = selectors.changed_for(user, example)
            found.append({**row, "before": before, "after": after})
    return found


@require_safe
@roles_required(*SUPERVISORS)
def vocabulary_page(request: HttpRequest) -> HttpResponse:
    """Show the house's own words."""
    teams = selectors.teams(person(request))
    from django.db.models import Q

    terms = Term.objects.filter(Q(team=None) | Q(team__in=teams)).select_related("team", "created_by")
    context = {"tabs": _tabs(request), "terms": terms[:1000], "teams": teams, "hot": vocabulary.HOT_WORDS}
    return render(request, "review/vocabulary.html", context)


@require_POST
@roles_required(*SUPERVISORS)
def vocabulary_add(request: HttpRequest) -> HttpResponse:
    """Add the typed terms and those of an uploaded list."""
    teams = {str(team.pk): team for team in selectors.teams(person(request))}
    wanted = request.POST.get("team", "")
    if wanted and wanted not in teams:
        messages.error(request, gettext("This team is not known."))
        return redirect("review:vocabulary")
    texts = request.POST.get("terms", "").replace(",", "\n").splitlines()
    upload = request.FILES.get("list")
    try:
        if upload is not None:
            if (upload.size or 0) > MAX_LIST_BYTES:
                raise CallcenterError(gettext("The list is too long (at most 200 kB)."), code="too_big")
            texts += vocabulary.read_list(upload.read())
        if not any(text.strip() for text in texts):
            raise CallcenterError(gettext("Type at least one term or choose a list."), code="nothing")
        added, refused = vocabulary.add_terms(texts=texts, team=teams.get(wanted), by=person(request))
    except CallcenterError as problem:
        messages.error(request, problem.message)
        return redirect("review:vocabulary")
    if added:
        said = ngettext("{count} term added.", "{count} terms added.", len(added))
        messages.success(request, said.format(count=len(added)))
    if refused:
        messages.error(
            request, gettext("Not added:") + " " + " ".join(refused[:5]) + (" …" if len(refused) > 5 else "")
        )
    return redirect("review:vocabulary")


@require_POST
@roles_required(*SUPERVISORS)
def vocabulary_remove(request: HttpRequest, term_id: int) -> HttpResponse:
    """Take a term out."""
    from django.db.models import Q

    teams = selectors.teams(person(request))
    term = get_object_or_404(Term.objects.filter(Q(team=None) | Q(team__in=teams)), pk=term_id)
    vocabulary.remove_term(term=term, by=person(request))
    messages.success(request, gettext("“{text}” is out of the vocabulary.").format(text=term.text))
    return redirect("review:vocabulary")


@require_safe
@roles_required(*EDITORS)
def mine(request: HttpRequest) -> HttpResponse:
    """Show what a person has corrected and what became of it."""
    user = person(request)
    context = {
        "tabs": _tabs(request),
        "own": selectors.own(user),
        "needs_approval": user.role == Role.AGENT,
    }
    return render(request, "review/mine.html", context)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
