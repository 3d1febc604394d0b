"""The pages of one agent and of one queue: how it goes, what stands out, calls to listen to, notes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from sqlalchemy import Engine

from analytics.warehouse import queries
from callcenter.accounts.models import Role, User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Queue
from callcenter.calls.selectors import calls_page, intent_labels, visible_teams
from callcenter.core.templatetags import cc
from callcenter.dashboards import peers
from callcenter.dashboards.models import CoachingNote
from callcenter.dashboards.scope import call_filter, calls_link
from callcenter.dashboards.selectors import agent_rows, categories, headline, intents, moods, queue_rows, trend

SAMPLES = (
    ("negative", _("Most negative"), {"sort": "negative"}),
    ("positive", _("Went well"), {"mood": "positive"}),
    ("longest", _("Longest"), {"sort": "longest"}),
    ("unsure", _("Least certain transcript"), {"sort": "unsure"}),
)
SAMPLE_SIZE = 3
NOTES_SHOWN = 20


def agents_visible(user: User) -> Any:
    """Return the agents whose pages this user may open: agents their own, supervisors those of their teams."""
    agents = User.objects.filter(role=Role.AGENT)
    if user.is_agent:
        return agents.filter(pk=user.pk)
    return agents.filter(teams__in=visible_teams(user)).distinct() if not user.sees_all_teams else agents


def queues_visible(user: User) -> Any:
    """Return the queues that have a call which this user may see."""
    from django.db.models import Exists, OuterRef

    from callcenter.calls.models import Call

    return Queue.objects.filter(Exists(Call.objects.visible_to(user).filter(queue=OuterRef("pk"))))


def agents_table(db: Engine, user: User, query: CallQuery, *, here: str) -> list[dict[str, Any]]:
    """Return all visible agents with calls in the period."""
    return agent_rows(queries.agents(db, call_filter(user, query)), query, here=here)  # type: ignore[arg-type]


def queues_table(db: Engine, user: User, query: CallQuery, *, here: str) -> list[dict[str, Any]]:
    """Return all queues with visible calls in the period."""
    return queue_rows(queries.queues(db, call_filter(user, query)), query, here=here)  # type: ignore[arg-type]


def agent_page(db: Engine, user: User, agent: User, query: CallQuery, *, here: str) -> dict[str, Any]:
    """Return everything on the page of one agent. The caller has checked that the user may open it."""
    own = replace(query, agent=agent.pk)
    context = _page(db, user, own, here=here)
    compared: list[peers.Compared] = []
    if not user.is_agent:
        # Peers are those who work under the same filters: the same team or queue, the same days.
        rows = queries.agents(db, call_filter(user, replace(query, agent=None)))
        compared = peers.compare(rows).get(agent.pk, [])
    notes = CoachingNote.objects.visible_to(user).filter(agent=agent).select_related("author", "call")
    return {
        **context,
        "compared": compared,
        "written": [
            {
                "label": one.manner.label,
                "value": one.manner.write(one.value),
                "median": one.manner.write(one.median),
                "z": one.z,
                "place": 50 if one.z is None else round(50 + max(-5.0, min(5.0, one.z)) * 9),
                "verdict": _verdict(one),
                "words": one.words if one.z is not None and (one.outlier or one.strength or one.concern) else "",
            }
            for one in compared
        ],
        "strengths": [one.words for one in compared if one.strength],
        "concerns": [one.words for one in compared if one.concern],
        "outliers": [one.words for one in compared if one.outlier],
        "min_calls": peers.MIN_CALLS,
        "notes": notes[:NOTES_SHOWN],
    }


def _verdict(one: peers.Compared) -> str:
    if one.strength:
        return "strength"
    if one.concern:
        return "concern"
    return "outlier" if one.outlier else ""


def queue_page(db: Engine, user: User, queue: Queue, query: CallQuery, *, here: str) -> dict[str, Any]:
    """Return everything on the page of one queue."""
    own = replace(query, queue=queue.pk)
    context = _page(db, user, own, here=here)
    if context["figures"].calls:
        context["agents"] = agents_table(db, user, own, here=here)
    return context


def _page(db: Engine, user: User, query: CallQuery, *, here: str) -> dict[str, Any]:
    flt = call_filter(user, query)
    with db.connect() as raw:
        connection = raw.execution_options(postgresql_readonly=True)
        head = headline(connection, flt)
        context: dict[str, Any] = {"figures": head[0], "all_calls": calls_link(query, back=here)}
        if not head[0].calls:
            return context
        context |= trend(connection, flt, query, head, here=here)
        context["moods"] = moods(head[0], query, here=here)
        context["intents"] = intents(connection, flt, query, here=here)[:8]
        context["categories"] = categories(connection, flt, query, here=here)
    context["samples"] = samples(user, query, here=here)
    return context


def samples(user: User, query: CallQuery, *, here: str) -> list[dict[str, Any]]:
    """Return a few calls worth listening to, of each kind, with the address of more of them."""
    labels = intent_labels()
    found = []
    for name, label, link in SAMPLES:
        changes = {key: value for key, value in link.items() if key != "sort"}
        asked = replace(query, state="ready", **changes)  # type: ignore[arg-type]
        page = calls_page(user, asked, sort=link.get("sort", "newest"), size=SAMPLE_SIZE, count=False)
        calls = [
            {"call": call, "label": labels.get(call.insight.intent) or cc.spoken(call.insight.intent)}
            for call in page.page.items
        ]
        found.append({"name": name, "label": label, "calls": calls, "url": calls_link(query, back=here, **link)})
    return found


def own_desk(user: User) -> dict[str, Any]:
    """Return what an agent comes for first: the newest own calls, what to review, notes that were written."""
    from callcenter.review.selectors import ranked

    labels = intent_labels()
    page = calls_page(user, CallQuery(), size=5, count=False)
    notes = CoachingNote.objects.filter(agent=user).select_related("author", "call")
    return {
        "latest": [
            {
                "call": call,
                "label": labels.get(call.insight.intent) or cc.spoken(call.insight.intent)
                if hasattr(call, "insight")
                else str(call),
            }
            for call in page.page.items
        ],
        "to_review": ranked(user).order_by()[:100].count(),
        "own_notes": notes[:3],
        "new_notes": notes.filter(seen_at=None).count(),
        "own_page": reverse("dashboards:agent", args=[user.pk]),
    }
