"""Every figure that a page or the API shows. Reads only; nothing here sees a call that the filter may not
see.

Each public function takes an engine or a connection and a CallFilter, whose visible teams cannot be left out,
and returns frozen dataclasses (`results.py`). Every further argument has a default, so that one test can call
them all. With an engine the query runs in a read-only transaction of its own; with a connection, in the
caller's.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    case,
    cast,
    distinct,
    extract,
    func,
    select,
    union_all,
)

from analytics.warehouse import buckets
from analytics.warehouse.buckets import Bucket
from analytics.warehouse.filters import CallFilter, zone
from analytics.warehouse.measures import DOUBTFUL_BELOW, RESTRICTED, sum_columns
from analytics.warehouse.reading import Database, fetch
from analytics.warehouse.results import (
    AgentRow,
    AlertRow,
    BucketRow,
    Choice,
    Choices,
    Figures,
    HeadlineChange,
    HeatCell,
    IntentRow,
    Quality,
    QualityRow,
    QueueRow,
    SentimentRow,
    TeamRow,
)
from analytics.warehouse.rollups import ALERT_COUNTS, alert_counts
from analytics.warehouse.source import between, call_conditions, cut, local_time, shared_conditions, source
from analytics.warehouse.tables import (
    dim_agent,
    dim_queue,
    dim_team,
    fact_alert,
    fact_call,
    fact_call_intent,
    fact_turn,
    rollup_day_alert,
)

Row = TypeVar("Row")

__all__ = [
    "agents",
    "alerts_by_category",
    "call_ids",
    "calls_over_time",
    "choices",
    "headline",
    "headline_with_previous",
    "heatmap",
    "intents",
    "quality",
    "queues",
    "sentiment_over_time",
    "teams",
]


def headline(db: Database, flt: CallFilter) -> Figures:
    """Return the figures over all calls of the filter."""
    rows = source(flt)
    (row,) = fetch(db, select(*sum_columns(rows.c)))
    return Figures.of(row)


def headline_with_previous(db: Database, flt: CallFilter) -> HeadlineChange:
    """Return the figures of the period and of the equally long one right before it.

    A period without a start or an end has no length and nothing before it: `before` is then None.
    """
    now = headline(db, flt)
    if flt.start is None or flt.end is None:
        return HeadlineChange(now, None, None, None)
    earlier = flt.previous()
    return HeadlineChange(now, headline(db, earlier), earlier.start, earlier.end)


def calls_over_time(
    db: Database,
    flt: CallFilter,
    bucket: Bucket = "day",
    tz: str = "UTC",
    measures: Collection[str] | None = None,
) -> list[BucketRow]:
    """Return the figures of every hour, day, week or month of the period on the clock of `tz`, empty ones
    included. `measures` limits what is summed; the others are then 0.

    Raises:
        ValueError: an unknown bucket or time zone.
    """
    buckets.check(bucket)
    where = zone(tz)
    rows = source(flt, time_zone=tz, over_time=True, measures=measures)
    start = func.date_trunc(bucket, rows.c.at, where.key)
    found = {
        row["start"].astimezone(dt.UTC): Figures.of(row)
        for row in fetch(db, select(start.label("start"), *sum_columns(rows.c, measures)).group_by(start))
    }
    empty = Figures.none()
    return [
        BucketRow(
            moment.astimezone(where), buckets.following(moment, bucket, where), found.get(moment, empty)
        )
        for moment in buckets.filled(found, bucket, where, flt.start, flt.end)
    ]  # fmt: skip


def sentiment_over_time(db: Database, flt: CallFilter, bucket: Bucket = "day", tz: str = "UTC") -> list[SentimentRow]:
    """Return the mood of every bucket: mean scores by party and the number of negative, neutral and positive
    calls.

    Raises:
        ValueError: an unknown bucket or time zone.
    """
    return [
        SentimentRow(
            start=row.start,
            end=row.end,
            calls=row.figures.calls,
            score=row.figures.sentiment,
            agent=row.figures.sentiment_agent,
            customer=row.figures.sentiment_customer,
            negative_calls=row.figures.negative_calls,
            neutral_calls=row.figures.neutral_calls,
            positive_calls=row.figures.positive_calls,
        )
        for row in calls_over_time(db, flt, bucket, tz)
    ]


def intents(
    db: Database, flt: CallFilter, mentions: bool = True, measures: Collection[str] | None = None
) -> list[IntentRow]:
    """Return one row per intent that occurs, most frequent first; also those that are only mentioned (0
    calls). Counting mentions reads every call of the filter; without them `mentions` is 0.
    """
    rows = source(flt, by=("intent",), measures=measures)
    found = {
        row["intent"]: Figures.of(row)
        for row in fetch(db, select(rows.c.intent, *sum_columns(rows.c, measures)).group_by(rows.c.intent))
    }
    heard = (
        select(fact_call_intent.c.intent, func.count().label("mentions"))
        .join(fact_call, fact_call.c.call_id == fact_call_intent.c.call_id)
        .where(*call_conditions(flt))
        .group_by(fact_call_intent.c.intent)
    )
    mentioned = {row["intent"]: int(row["mentions"]) for row in fetch(db, heard)} if mentions else {}
    total = sum(figures.calls for figures in found.values())
    made = []
    for name in found.keys() | mentioned.keys():
        figures = found.get(name, Figures.none())
        share = figures.calls / total if total else 0.0
        made.append(IntentRow(name, share, mentioned.get(name, 0), figures))
    return sorted(made, key=lambda row: (-row.figures.calls, -row.mentions, row.intent))


def alerts_by_category(db: Database, flt: CallFilter) -> list[AlertRow]:
    """Return one row per alert category that occurs in the calls of the filter, most open alerts first.

    A filter on alert categories limits the rows too, not only the calls. Restricted categories are there only
    for a reader who may know of them.
    """
    parts = list(_alert_parts(flt))
    rows = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()
    sums = [cast(func.sum(rows.c[name]), BigInteger).label(name) for name in ALERT_COUNTS]
    statement = select(rows.c.category, *sums).group_by(rows.c.category)
    found = [AlertRow(**row) for row in fetch(db, statement)]
    return sorted(found, key=lambda row: (-row.open, -row.total, row.category))


def _alert_parts(flt: CallFilter) -> Iterator[Select[Any]]:
    """Yield the counts of each part of the period: whole days from their rollup where that can answer."""
    beyond: tuple[Any, ...] = (
        flt.languages, flt.models, flt.open_alerts, flt.mood, flt.reviewed, flt.weekday, flt.hour,
        flt.agent_ids, flt.intents, flt.visible.own_agent_id, flt.with_alerts, flt.ranges or None,
    )  # fmt: skip
    if any(value is not None for value in beyond):
        yield _alerts_of_facts(flt, call_conditions(flt))
        return
    for kind, span in cut(flt.start, flt.end, days=True):
        if kind != "days":
            # A call of a category has an alert of it, so the condition on rows covers the one on calls.
            yield _alerts_of_facts(flt, [*shared_conditions(fact_call.c, flt), *between(fact_call.c.started_at, *span)])
            continue
        day = rollup_day_alert.c
        conditions = [*shared_conditions(day, flt), *between(day.day_at, *span), *_categories(day.category, flt)]
        yield select(day.category, *(day[name] for name in ALERT_COUNTS)).where(*conditions)


def _alerts_of_facts(flt: CallFilter, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    alert = fact_alert.c
    return (
        select(alert.category, *alert_counts(alert))
        .join(fact_call, fact_call.c.call_id == alert.call_id)
        .where(*conditions, *_categories(alert.category, flt))
        .group_by(alert.category)
    )


def _categories(column: ColumnElement[str], flt: CallFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [] if flt.visible.restricted else [column.not_in(RESTRICTED)]
    if flt.alert_categories is not None:
        conditions.append(column.in_(flt.alert_categories))
    return conditions


def agents(db: Database, flt: CallFilter) -> list[AgentRow]:
    """Return one row per agent with calls: handle time, sentiment, silence, alerts; most calls first."""
    return _by(
        db, flt, dim_agent.c.agent_id, (dim_agent.c.username, dim_agent.c.name),
        lambda row, figures: AgentRow(row["agent_id"], row["username"], row["name"], figures),
    )  # fmt: skip


def queues(db: Database, flt: CallFilter, measures: Collection[str] | None = None) -> list[QueueRow]:
    """Return one row per queue with calls, most calls first."""
    return _by(
        db, flt, dim_queue.c.queue_id, (dim_queue.c.name,),
        lambda row, figures: QueueRow(row["queue_id"], row["name"], figures), measures,
    )  # fmt: skip


def teams(db: Database, flt: CallFilter) -> list[TeamRow]:
    """Return one row per team with calls, most calls first."""
    return _by(
        db, flt, dim_team.c.team_id, (dim_team.c.name,),
        lambda row, figures: TeamRow(row["team_id"], row["name"], figures),
    )  # fmt: skip


def quality(db: Database, flt: CallFilter, doubtful_below: float = DOUBTFUL_BELOW) -> Quality:
    """Return how sure the speech model was: over all words, by model, by party, and in how many calls it was
    not.
    """
    call, turn = fact_call.c, fact_turn.c
    conditions = call_conditions(flt)
    scored = call.mean_word_probability.is_not(None)
    by_model = _quality_rows(
        db,
        select(
            call.model.label("name"),
            _count(scored).label("calls"),
            func.sum(case((scored, call.words), else_=0)).label("words"),
            func.sum(call.mean_word_probability * call.words).label("weighted"),
            _count(call.mean_word_probability < doubtful_below).label("doubtful"),
        )
        .where(*conditions)
        .group_by(call.model),
    )
    by_party = _quality_rows(
        db,
        select(
            turn.party.label("name"),
            func.count(distinct(turn.call_id)).label("calls"),
            func.sum(turn.words).label("words"),
            func.sum(turn.mean_probability * turn.words).label("weighted"),
        )
        .join(fact_call, call.call_id == turn.call_id)
        .where(*conditions, turn.mean_probability.is_not(None))
        .group_by(turn.party),
    )
    words = sum(row["words"] for row in by_model)
    weighted = sum(row["weighted"] for row in by_model)
    return Quality(
        mean_word_probability=weighted / words if words else None,
        words=words,
        calls=sum(row["calls"] for row in by_model),
        doubtful_calls=sum(row["doubtful"] for row in by_model),
        doubtful_below=doubtful_below,
        by_model=tuple(map(_quality_row, by_model)),
        by_party=tuple(map(_quality_row, by_party)),
    )


def heatmap(db: Database, flt: CallFilter, tz: str = "UTC", measures: Collection[str] | None = None) -> list[HeatCell]:
    """Return the hours of the week, on the clock of `tz`, in which calls started; in order, those without
    calls left out. `measures` limits what is summed; the others are then 0.

    To link a cell to its calls set `weekday`, `hour` and `time_zone` of the filter.

    Raises:
        ValueError: an unknown time zone.
    """
    rows = source(flt, time_zone=tz, over_time=True, measures=measures)
    local = local_time(rows.c.at, tz)
    weekday, hour = extract("isodow", local), extract("hour", local)
    statement = (
        select(weekday.label("weekday"), hour.label("hour"), *sum_columns(rows.c, measures))
        .group_by(weekday, hour)
        .order_by(weekday, hour)
    )
    return [HeatCell(int(row["weekday"]), int(row["hour"]), Figures.of(row)) for row in fetch(db, statement)]


def call_ids(db: Database, flt: CallFilter, limit: int = 100) -> list[uuid.UUID]:
    """Return the calls of the filter, newest first, at most `limit`: what stands behind a figure.

    Raises:
        ValueError: `limit` is less than 1.
    """
    if limit < 1:
        raise ValueError("limit is at least 1")
    call = fact_call.c
    statement = (
        select(call.call_id)
        .where(*call_conditions(flt))
        .order_by(call.started_at.desc(), call.call_id.desc())
        .limit(limit)
    )
    return [row["call_id"] for row in fetch(db, statement)]


def choices(db: Database, flt: CallFilter) -> Choices:
    """Return what the filters of a page can offer this reader; only the visible scope of `flt` counts, not
    the rest.
    """
    visible = CallFilter(flt.visible)
    call = fact_call.c
    conditions = call_conditions(visible)
    bounds = select(func.min(call.started_at).label("first"), func.max(call.started_at).label("last"))
    (span,) = fetch(db, bounds.where(*conditions))
    return Choices(
        teams=_choices((row.team_id, row.name, row.figures.calls) for row in teams(db, visible)),
        queues=_choices((row.queue_id, row.name, row.figures.calls) for row in queues(db, visible)),
        agents=_choices((row.agent_id, row.name, row.figures.calls) for row in agents(db, visible)),
        intents=tuple(sorted(row.intent for row in intents(db, visible, mentions=False) if row.intent)),
        models=_names(db, select(call.model.label("name")).where(*conditions)),
        languages=_names(db, select(call.language.label("name")).where(*conditions)),
        alert_categories=tuple(sorted(row.category for row in alerts_by_category(db, visible))),
        first_started_at=span["first"],
        last_started_at=span["last"],
    )


def _by(
    db: Database,
    flt: CallFilter,
    key: ColumnElement[int],
    names: Sequence[ColumnElement[str]],
    make: Callable[[dict[str, Any], Figures], Row],
    measures: Collection[str] | None = None,
) -> list[Row]:
    rows = source(flt, by=(key.name,), measures=measures)
    sums = select(rows.c[key.name], *sum_columns(rows.c, measures)).group_by(rows.c[key.name]).subquery("sums")
    statement = (
        select(key, *names, *(column for column in sums.c if column.name != key.name))
        .join(sums, sums.c[key.name] == key)
        .order_by(sums.c.calls.desc(), names[-1], key)
    )
    return [make(row, Figures.of(row)) for row in fetch(db, statement)]


def _quality_rows(db: Database, statement: Select[Any]) -> list[dict[str, Any]]:
    rows = [
        {**row, "words": int(row["words"] or 0), "weighted": float(row["weighted"] or 0.0)}
        for row in fetch(db, statement)
    ]
    return sorted(rows, key=lambda row: (-row["words"], row["name"]))


def _quality_row(row: dict[str, Any]) -> QualityRow:
    mean = row["weighted"] / row["words"] if row["words"] else None
    return QualityRow(row["name"], row["calls"], row["words"], mean)


def _choices(found: Iterable[tuple[int, str, int]]) -> tuple[Choice, ...]:
    return tuple(Choice(*one) for one in sorted(found, key=lambda one: (one[1].casefold(), one[0])))


def _names(db: Database, statement: Select[Any]) -> tuple[str, ...]:
    return tuple(sorted(row["name"] for row in fetch(db, statement.distinct()) if row["name"]))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)
