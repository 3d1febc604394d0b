"""Reads behind the calls list and the call page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from django.contrib.postgres.search import SearchHeadline
from django.db import connection
from django.db.models import CharField, Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call, CallQuerySet, Queue, Turn
from callcenter.calls.searching import search_query
from callcenter.core.paging import Key, Page, paginate, parse_id, parse_time, position
from callcenter.insights.models import RESTRICTED, Intent
from callcenter.pipeline.models import Run

COUNT_LIMIT = 10_000
#: Of a search fewer are counted: finding each further call costs a look into its turns.
SEARCH_COUNT_LIMIT = 1_000
NAMED_LIMIT = 200
SNIPPETS_PER_CALL = 3
# Private-use characters cannot come from speech, so they survive escaping and become <mark> afterwards.
_MARK, _UNMARK = "\ue000", "\ue001"

_ID = Key("id", True, parse_id)
SORTS: dict[str, tuple[Any, tuple[Key, ...]]] = {
    "newest": (_("Newest first"), (Key("started_at", True, parse_time), _ID)),
    "oldest": (_("Oldest first"), (Key("started_at", False, parse_time), Key("id", False, parse_id))),
    "longest": (_("Longest first"), (Key("sort_length", True, int), _ID)),
    "negative": (_("Most negative first"), (Key("sort_sentiment", False, float), _ID)),
    "unsure": (_("Least certain transcript first"), (Key("sort_probability", False, float), _ID)),
}
#: What an order goes by: the name in the cursor and the path to it. Calls without such a value come last.
_SORTED_BY = {
    "longest": ("sort_length", "recording__duration_ms"),
    "negative": ("sort_sentiment", "insight__sentiment"),
    "unsure": ("sort_probability", "transcript__mean_probability"),
}
_LAST = 2.0


@dataclass(frozen=True, slots=True)
class Snippet:
    """A stretch of a transcript where the search words stand, with its moment."""

    start_ms: int
    turn_index: int
    party: str
    html: SafeString


@dataclass(frozen=True, slots=True)
class CallsPage:
    """One page of the list: rows, cursors, and how many calls match (at most `limit` + 1 are counted)."""

    page: Page[Call]
    count: int
    limit: int
    snippets: dict[Any, list[Snippet]]

    @property
    def more_than_counted(self) -> bool:
        return self.count > self.limit


def open_alerts_of(user: User) -> Q:
    """Return which of a call's alerts count as open for this user."""
    seen = Q() if user.sees_restricted_alerts else ~Q(alerts__category__in=RESTRICTED)
    return Q(alerts__status="open") & seen


def matching(calls: CallQuerySet, query: CallQuery, *, user: User) -> CallQuerySet:
    """Return the calls that meet the whole filter, the search text included."""
    calls = query.apply(calls, user=user)
    if not query.q:
        return calls
    turns = Turn.objects.filter(search=search_query(query.q))
    if query.said_by:
        turns = turns.filter(party=query.said_by)
    named = _named(calls, query.q)
    if not named:
        # Alone, the condition lets the database choose: from the index of words for a rare one, along the calls in
        # their order for a common one. Beside another condition it would have to look at every call.
        return calls.filter(Exists(turns.filter(call=OuterRef("pk"), transcript=OuterRef("transcript_id"))))
    said = turns.filter(transcript=F("call__transcript")).values("call")
    return calls.filter(Q(pk__in=said) | Q(pk__in=named))


def _named(calls: CallQuerySet, text: str) -> list[Any]:
    """Return the calls that the text names: by external id, customer or, where it looks like one, file name."""
    found = Q(external_id__iexact=text) | Q(customer_ref__iexact=text)
    named = list(calls.filter(found).order_by().values_list("pk", flat=True)[:NAMED_LIMIT])
    # Words that were said are no file names; asking all calls for them would cost more than the search.
    if not named and " " not in text and any(mark.isdigit() or mark in "._-" for mark in text[1:]):
        named = list(calls.filter(filename__icontains=text).order_by().values_list("pk", flat=True)[:NAMED_LIMIT])
    return named


def calls_page(
    user: User,
    query: CallQuery,
    *,
    sort: str = "newest",
    after: str = "",
    before: str = "",
    size: int = 25,
    count: bool = True,
) -> CallsPage:
    """Return one page of the calls that this user may see and asked for; without `count` they are not counted."""
    calls = matching(Call.objects.visible_to(user), query, user=user)
    # First which calls, then everything about these few: what is joined before the limit is joined for all.
    found = _ordered(calls.only("id", "started_at"), sort, after=after, before=before, size=size)
    ids = [call.pk for call in found.items]
    rows = {call.pk: call for call in _rows(user, ids)}
    limit = SEARCH_COUNT_LIMIT if query.q else COUNT_LIMIT
    return CallsPage(
        page=replace(found, items=[rows[pk] for pk in ids if pk in rows]),
        count=calls.order_by().values("pk")[: limit + 1].count() if count else 0,
        limit=limit,
        snippets=snippets(ids, query.q, party=query.said_by) if query.q else {},
    )


def _ordered(calls: CallQuerySet, sort: str, *, after: str, before: str, size: int) -> Page[Call]:
    """Return the page of calls in this order; as long as it lies among calls with a value, an index is walked."""
    keys = SORTS[sort][1]
    if sort not in _SORTED_BY:
        return paginate(cast(Any, calls), keys, after=after, before=before, size=size)
    name, path = _SORTED_BY[sort]
    place = position(after or before, keys)
    if place is None or place[0] != _LAST:
        valued = calls.filter(**{f"{path}__isnull": False}).annotate(**{name: F(path)})
        found: Page[Call] = paginate(cast(Any, valued), keys, after=after, before=before, size=size)
        if found.next:
            return found
    everything = (
        calls.annotate(**{name: Coalesce(F(path), Value(_LAST))})
        if sort != "longest"
        else calls.annotate(**{name: F(path)})
    )
    return paginate(cast(Any, everything), keys, after=after, before=before, size=size)


def _rows(user: User, ids: list[Any]) -> QuerySet[Call]:
    newest_run = Run.objects.filter(call=OuterRef("pk")).order_by("-created_at")
    return (
        Call.objects.filter(pk__in=ids)
        .select_related("recording", "team", "agent", "queue", "insight", "transcript")
        .annotate(
            run_state=Subquery(newest_run.values("state")[:1], output_field=CharField()),
            run_error=Subquery(newest_run.values("error_message")[:1], output_field=CharField()),
            run_progress=Subquery(newest_run.values("progress")[:1], output_field=FloatField()),
            open_alerts=Count("alerts", filter=open_alerts_of(user), distinct=True),
        )
        .defer("recording__info", "insight__document", "transcript__mapping", "transcript__warnings")
    )


def snippets(call_ids: Iterable[Any], text: str, *, party: str = "") -> dict[Any, list[Snippet]]:
    """Return, per call, the first turns (of one party) in which the text stands, with the words marked."""
    headline = SearchHeadline(
        "searchable",
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
    names = sorted(_intents_heard(user), key=lambda name: labels.get(name, name))
    with_calls = Exists(Call.objects.filter(queue=OuterRef("pk"), team__in=teams))
    return Choices(
        teams=teams,
        queues=list(Queue.objects.filter(with_calls)),
        agents=agents,
        intents=[(name, labels.get(name) or name.replace("_", " ").capitalize()) for name in names],
    )


def _intents_heard(user: User) -> list[str]:
    """Return the intents of visible calls, each found by one step in the index instead of by reading all calls."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOSE_SCAN)
        known = [name for (name,) in cursor.fetchall() if name is not None]
    if user.sees_all_teams or not known:
        return known
    own = Call.objects.visible_to(user)
    seen = {f"n{n}": Exists(own.filter(insight__intent=name)) for n, name in enumerate(known)}
    found: dict[str, Any] = cast(Any, User.objects.filter(pk=user.pk)).values(**seen).get()
    return [name for n, name in enumerate(known) if found[f"n{n}"]]


_LOOSE_SCAN = """
WITH RECURSIVE one AS (
  (SELECT intent FROM insights_insight ORDER BY intent LIMIT 1)
  UNION ALL
  SELECT (SELECT intent FROM insights_insight WHERE intent > one.intent ORDER BY intent LIMIT 1)
  FROM one WHERE one.intent IS NOT NULL
) SELECT intent FROM one WHERE intent IS NOT NULL
"""


def intent_labels() -> dict[str, str]:
    """Return the words for each intent."""
    return {"unknown": gettext("Unknown"), **dict(Intent.objects.values_list("name", "label"))}
