"""Reads behind the calls list and the call page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.postgres.search import SearchHeadline
from django.db.models import CharField, Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call, CallQuerySet, Queue, Turn
from callcenter.calls.searching import search_query
from callcenter.core.paging import Key, Page, paginate, parse_id, parse_time
from callcenter.insights.models import RESTRICTED, Intent
from callcenter.pipeline.models import Run

COUNT_LIMIT = 10_000
SNIPPETS_PER_CALL = 3
# Private-use characters cannot come from speech, so they survive escaping and become <mark> afterwards.
_MARK, _UNMARK = "\ue000", "\ue001"

_ID = Key("id", True, parse_id)
SORTS: dict[str, tuple[str, tuple[Key, ...]]] = {
    "newest": ("Newest first", (Key("started_at", True, parse_time), _ID)),
    "oldest": ("Oldest first", (Key("started_at", False, parse_time), Key("id", False, parse_id))),
    "longest": ("Longest first", (Key("recording__duration_ms", True, int), _ID)),
    "negative": ("Most negative first", (Key("sort_sentiment", False, float), _ID)),
    "unsure": ("Least certain transcript first", (Key("sort_probability", False, float), _ID)),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A stretch of a transcript where the search words stand, with its moment."""

    start_ms: int
    turn_index: int
    party: str
    html: SafeString


@dataclass(frozen=True, slots=True)
class CallsPage:
    """One page of the list: rows, cursors, and how many calls match (at most COUNT_LIMIT + 1 are counted)."""

    page: Page[Call]
    count: int
    snippets: dict[Any, list[Snippet]]

    @property
    def more_than_counted(self) -> bool:
        return self.count > COUNT_LIMIT


def open_alerts_of(user: User) -> Q:
    """Return which of a call's alerts count as open for this user."""
    seen = Q() if user.sees_restricted_alerts else ~Q(alerts__category__in=RESTRICTED)
    return Q(alerts__status="open") & seen


def matching(calls: CallQuerySet, query: CallQuery, *, user: User) -> CallQuerySet:
    """Return the calls that meet the whole filter, the search text included."""
    calls = query.apply(calls, user=user)
    if query.q:
        turns = Turn.objects.filter(
            call=OuterRef("pk"), transcript=OuterRef("transcript_id"), search=search_query(query.q)
        )
        if query.said_by:
            turns = turns.filter(party=query.said_by)
        by_reference = Q(external_id__iexact=query.q) | Q(customer_ref__iexact=query.q) | Q(filename__icontains=query.q)
        calls = calls.filter(Q(Exists(turns)) | by_reference)
    return calls


def calls_page(
    user: User, query: CallQuery, *, sort: str = "newest", after: str = "", before: str = "", size: int = 25
) -> CallsPage:
    """Return one page of the calls that this user may see and asked for."""
    calls = matching(Call.objects.visible_to(user), query, user=user)
    newest_run = Run.objects.filter(call=OuterRef("pk")).order_by("-created_at")
    rows = (
        calls.select_related("recording", "team", "agent", "queue", "insight", "transcript")
        .annotate(
            run_state=Subquery(newest_run.values("state")[:1], output_field=CharField()),
            run_error=Subquery(newest_run.values("error_message")[:1], output_field=CharField()),
            run_progress=Subquery(newest_run.values("progress")[:1], output_field=FloatField()),
            open_alerts=Count("alerts", filter=open_alerts_of(user), distinct=True),
            sort_sentiment=Coalesce(F("insight__sentiment"), Value(2.0)),
            sort_probability=Coalesce(F("transcript__mean_probability"), Value(2.0)),
        )
        .defer("recording__info", "insight__document", "transcript__mapping", "transcript__warnings")
    )
    page: Page[Call] = paginate(cast(Any, rows), SORTS[sort][1], after=after, before=before, size=size)
    return CallsPage(
        page=page,
        count=calls.values("pk")[: COUNT_LIMIT + 1].count(),
        snippets=snippets([call.pk for call in page.items], query.q, party=query.said_by) if query.q else {},
    )


def snippets(call_ids: Iterable[Any], text: str, *, party: str = "") -> dict[Any, list[Snippet]]:
    """Return, per call, the first turns (of one party) in which the text stands, with the words marked."""
    headline = SearchHeadline(
        "text",
        search_query(text),
        config="english",
        start_sel=_MARK,
        stop_sel=_UNMARK,
        max_words=28,
        min_words=12,
    )
    turns = (
        Turn.objects.filter(call__in=list(call_ids), transcript=F("call__transcript"), search=search_query(text))
        .order_by("call", "index")
        .only("call_id", "index", "party", "start_ms")
        .annotate(headline=headline)
    )
    if party:
        turns = turns.filter(party=party)
    found: dict[Any, list[Snippet]] = defaultdict(list)
    for turn in turns:
        if len(found[turn.call_id]) < SNIPPETS_PER_CALL:
            found[turn.call_id].append(
                Snippet(turn.start_ms, turn.index, turn.party, _marked(turn.headline))  # type: ignore[attr-defined]
            )
    return found


def _marked(text: str) -> SafeString:
    safe = escape(text).replace(_MARK, "<mark>").replace(_UNMARK, "</mark>")
    return mark_safe(safe)  # noqa: S308 - escaped above; only our own marks are tags


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters offer; only what this user may see."""

    teams: list[Team]
    queues: list[Queue]
    agents: list[User]
    intents: list[tuple[str, str]]


def visible_teams(user: User) -> QuerySet[Team]:
    """Return the teams whose calls this user may see some of."""
    return Team.objects.all() if user.sees_all_teams else user.teams.all()


def choices(user: User) -> Choices:
    """Return the values that the filters of this user offer."""
    teams = list(visible_teams(user))
    agents: list[User] = []
    if not user.is_agent:
        agents = list(
            User.objects.filter(role=Role.AGENT, teams__in=teams).distinct().order_by("display_name", "username")
        )
    labels = intent_labels()
    seen = Call.objects.visible_to(user).filter(insight__isnull=False).values_list("insight__intent", flat=True)
    names = sorted(set(seen.distinct()), key=lambda name: labels.get(name, name))
    return Choices(
        teams=teams,
        queues=list(Queue.objects.filter(calls__team__in=teams).distinct()),
        agents=agents,
        intents=[(name, labels.get(name) or name.replace("_", " ").capitalize()) for name in names],
    )


def intent_labels() -> dict[str, str]:
    """Return the words for each intent."""
    return {"unknown": "Unknown", **dict(Intent.objects.values_list("name", "label"))}
