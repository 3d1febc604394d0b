"""How many calls each further filter would leave, as the list would count them with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, Count, Exists, F, OuterRef, Value, When
from django.urls import reverse
from django.utils.translation import gettext as _

from analytics.warehouse import facets as warehouse
from analytics.warehouse.measures import NEGATIVE_AT_MOST, POSITIVE_AT_LEAST
from callcenter.accounts.models import Team, User
from callcenter.calls.filters import MOODS, CallQuery
from callcenter.calls.models import Call, CallQuerySet, Queue, Turn
from callcenter.calls.selectors import SEARCH_COUNT_LIMIT, intent_labels, matching, visible_teams
from callcenter.core.templatetags import cc
from callcenter.dashboards.scope import call_filter
from callcenter.insights.models import Alert, Category
from callcenter.insights.warehouse_doc import engine
from callcenter.pipeline.models import Run

#: What each filter goes by in the operational tables.
GROUPED: dict[str, Any] = {
    "team": F("team_id"),
    "queue": F("queue_id"),
    "agent": F("agent_id"),
    "intent": F("insight__intent"),
    "mood": Case(
        When(insight__sentiment__lte=NEGATIVE_AT_MOST, then=Value("negative")),
        When(insight__sentiment__gte=POSITIVE_AT_LEAST, then=Value("positive")),
        When(insight__sentiment__isnull=False, then=Value("neutral")),
    ),
    "direction": F("direction"),
}
#: What the warehouse calls them.
IN_WAREHOUSE = {
    "team": "team_id",
    "queue": "queue_id",
    "agent": "agent_id",
    "intent": "intent",
    "mood": warehouse.MOOD,
    "direction": "direction",
    "category": warehouse.CATEGORY,
    "reviewed": warehouse.REVIEWED,
}
FACETS = tuple(IN_WAREHOUSE)
SHOWN = 6
Counts = dict[Any, int]


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a filter: how many calls have it, and the list's address with it (without it, where chosen)."""

    label: str
    count: int
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """One filter with its values, the most frequent first; `more` are those behind a fold."""

    name: str
    label: str
    options: list[Option]
    more: list[Option]


@dataclass(frozen=True, slots=True)
class Facets:
    """All filters with counts. Of a search only the newest `limit` calls are counted, where there are more."""

    facets: list[Facet]
    limit: int | None


def facets(user: User, query: CallQuery, **extra: str) -> Facets:
    """Return the counts that this user may know. Each filter is counted under all the others, without itself.

    `extra` are further parameters of the list that its addresses keep, such as the order.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the warehouse does not answer.
    """
    counted = _of_search if query.q or query.batch or query.state in ("processing", "failed") else _of_everything
    own = [name for name in FACETS if _value(query, name)]
    counts, cut = counted(user, query, [name for name in FACETS if name not in own])
    for name in own:
        # Those who chose one value want to see how many calls the others have.
        empty: Any = None if name in ("team", "queue", "agent") else ""
        more, more_cut = counted(user, replace(query, **{name: empty}), [name])
        counts, cut = {**counts, **more}, cut or more_cut
    made = [_facet(name, label, counts[name], values, query, extra) for name, label, values in _labels(user, counts)]
    return Facets([facet for facet in made if facet is not None], SEARCH_COUNT_LIMIT if cut else None)


def _value(query: CallQuery, name: str) -> str:
    value = getattr(query, name)
    return "" if value is None else str(value)


def _of_everything(user: User, query: CallQuery, names: Sequence[str]) -> tuple[dict[str, Counts], bool]:
    """Count understood calls in the warehouse, where one table says everything, and those to come here."""
    found = warehouse.facets(engine(), call_filter(user, query), [IN_WAREHOUSE[name] for name in names])
    counts = {name: dict(found.by[IN_WAREHOUSE[name]]) for name in names}
    for name in {"queue", "agent"} & counts.keys():
        counts[name] = {key or None: count for key, count in counts[name].items()}
    if query.state == "ready":
        return counts, False
    # A call that is not understood yet, or failed, has a run that has not ended well.
    calls = query.apply(Call.objects.visible_to(user), user=user).order_by()
    unfinished = Run.objects.exclude(state=Run.State.DONE).order_by().values("call")
    pending = calls.filter(pk__in=unfinished, insight=None)
    for name, more in _counted(pending, user, query, names).items():
        for value, count in more.items():
            counts[name][value] = counts[name].get(value, 0) + count
    return counts, False


def _of_search(user: User, query: CallQuery, names: Sequence[str]) -> tuple[dict[str, Counts], bool]:
    """Count what only the operational tables know. Each call found costs a look into its turns: so not all are."""
    calls = matching(Call.objects.visible_to(user), query, user=user)
    ids = list(calls.order_by("-started_at", "-id").values_list("pk", flat=True)[: SEARCH_COUNT_LIMIT + 1])
    newest = Call.objects.visible_to(user).filter(pk__in=ids[:SEARCH_COUNT_LIMIT]).order_by()
    return _counted(newest, user, query, names), len(ids) > SEARCH_COUNT_LIMIT


def _counted(calls: CallQuerySet, user: User, query: CallQuery, names: Sequence[str]) -> dict[str, Counts]:
    counts = _grouped(calls, [name for name in GROUPED if name in names])
    if "category" in names:
        counts["category"] = _categories(calls, user, only_open=query.alerts == "open")
    if "reviewed" in names:
        counts["reviewed"] = _reviewed(calls)
    return counts


def _grouped(calls: CallQuerySet, names: Sequence[str]) -> dict[str, Counts]:
    """Return the counts by each of these in one pass over the calls."""
    found: dict[str, Counts] = {name: {} for name in names}
    if not names:
        return found
    columns = {f"by_{name}": GROUPED[name] for name in names}
    try:
        inner, params = calls.values(**columns).query.sql_with_params()
    except EmptyResultSet:
        return found
    quoted = [connection.ops.quote_name(alias) for alias in columns]
    sets = ", ".join(f"({name})" for name in quoted)
    sql = (
        f"SELECT grouping({', '.join(quoted)}), {', '.join(quoted)}, count(*) "  # noqa: S608 - our own names only
        f"FROM ({inner}) AS found GROUP BY GROUPING SETS ({sets})"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        for which, *values, count in cursor.fetchall():
            # A set bit says that the row is not grouped by that column; exactly one is unset.
            place = next(n for n in range(len(names)) if not which >> (len(names) - 1 - n) & 1)
            found[names[place]][values[place]] = count
    return found


def _categories(calls: CallQuerySet, user: User, *, only_open: bool) -> Counts:
    alerts = Alert.objects.filter(call__in=calls.values("pk")).permitted_to(user).order_by()
    alerts = alerts.open() if only_open else alerts
    return dict(alerts.values_list("category").annotate(calls=Count("call", distinct=True)))


def _reviewed(calls: CallQuerySet) -> Counts:
    looked_at = Turn.objects.filter(call=OuterRef("pk"), transcript=OuterRef("transcript")).exclude(review="")
    looked = calls.filter(Exists(looked_at)).count()
    return {"yes": looked, "no": calls.count() - looked}


def _labels(user: User, counts: dict[str, Counts]) -> list[tuple[str, str, dict[Any, str]]]:
    """Return each filter that makes a choice for this user, with the words for its values."""
    teams = {team.pk: team.name for team in visible_teams(user)}
    queues = dict(Queue.objects.filter(pk__in=[pk for pk in counts["queue"] if pk]).values_list("pk", "name"))
    found: list[tuple[str, str, dict[Any, str]]] = []
    if len(teams) > 1:
        names = dict(Team.objects.filter(pk__in=counts["team"]).values_list("pk", "name"))
        found.append(("team", _("Team"), names))
    found.append(("queue", _("Queue"), {**queues, None: _("Without a queue")}))
    if not user.is_agent:
        agents = User.objects.filter(pk__in=[pk for pk in counts["agent"] if pk])
        found.append(("agent", _("Agent"), {**{a.pk: a.name for a in agents}, None: _("Without an agent")}))
    intents = intent_labels()
    heard = [name for name in counts["intent"] if name is not None]
    found += [
        ("intent", _("Intent"), {name: intents.get(name) or cc.spoken(name) for name in heard}),
        ("mood", _("Sentiment"), {mood: _(mood.capitalize()) for mood in MOODS}),
        ("category", _("Alert"), {key: str(label) for key, label in Category.choices}),
        ("direction", _("Direction"), {key: str(label) for key, label in Call.Direction.choices}),
        ("reviewed", _("Review"), {"yes": _("Looked at"), "no": _("Not looked at")}),
    ]
    return found


def _facet(
    name: str, label: str, counts: Counts, values: dict[Any, str], query: CallQuery, extra: dict[str, str]
) -> Facet | None:
    chosen, path = _value(query, name), reverse("calls:list")
    options = []
    for value, text in values.items():
        # In the address "without one" is 0.
        key = "0" if value is None else str(value)
        mine = key == chosen
        count = counts.get(value, 0)
        if count or mine:
            changes = {name: "" if mine else key}
            options.append(Option(text, count, query.link(path, **changes, **extra), mine))
    options.sort(key=lambda option: (not option.chosen, -option.count, option.label))
    return Facet(name, label, options[:SHOWN], options[SHOWN:]) if options else None
