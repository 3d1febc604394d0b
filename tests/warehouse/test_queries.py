"""Every figure is right, the same from rollup and facts, and never of a call that the reader may not see."""

from __future__ import annotations

import datetime as dt
import inspect
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from analytics.warehouse import ALL_TEAMS, NO_TEAMS, CallFilter, VisibleTeams, loader, queries, rollups
from analytics.warehouse import source as source_module
from analytics.warehouse.results import Figures

from .documents import MONDAY, alert, document, insight, random_documents, turn

QUERIES: dict[str, Callable[..., Any]] = {
    name: function
    for name, function in inspect.getmembers(queries, inspect.isfunction)
    if function.__module__ == queries.__name__ and not name.startswith("_")
}
EVERYTHING = CallFilter(ALL_TEAMS)
PERIOD = {"start": MONDAY - dt.timedelta(days=1), "end": MONDAY + dt.timedelta(days=2, minutes=17)}
each_query = pytest.mark.parametrize("name", sorted(QUERIES))


def ids(engine: Engine, flt: CallFilter, limit: int = 100) -> list[int]:
    return [call.int for call in queries.call_ids(engine, flt, limit)]


def secrets_of_team_two() -> list[Any]:
    """Calls of another team, different from team one's in everything that a query could give away."""
    return [
        document(
            50 + n,
            team=2,
            queue=22,
            agent=222,
            started_at=(MONDAY + dt.timedelta(hours=n)).isoformat(),
            insight=insight("secret-intent", -0.9),
            model="secret-model",
            language="xx",
            mean_word_probability=0.11,
            alerts=[alert(50 + n, category="fraud", severity="critical")],
        )
        for n in range(4)
    ]


def calls_of_team_one() -> list[Any]:
    return [document(n, agent=n, started_at=(MONDAY + dt.timedelta(hours=n)).isoformat()) for n in range(1, 4)]


def test_the_public_functions_are_the_queries_and_all_start_alike() -> None:
    assert set(QUERIES) == set(queries.__all__)
    for name, function in QUERIES.items():
        parameters = list(inspect.signature(function).parameters.values())
        assert [p.name for p in parameters[:2]] == ["db", "flt"], name
        assert all(p.default is not inspect.Parameter.empty for p in parameters[2:]), name


@each_query
@pytest.mark.parametrize("period", [{}, PERIOD, PERIOD | {"languages": {"en", "xx"}}], ids=["all", "edges", "facts"])
def test_a_reader_of_one_team_sees_exactly_what_there_would_be_without_the_others(
    engine: Engine, name: str, period: dict[str, Any]
) -> None:
    flt = CallFilter(VisibleTeams.of({1}), **period)
    loader.load_many(engine, calls_of_team_one())
    alone = QUERIES[name](engine, flt)
    loader.load_many(engine, secrets_of_team_two())
    assert QUERIES[name](engine, flt) == alone
    assert QUERIES[name](engine, CallFilter(ALL_TEAMS, **period)) != alone


@each_query
def test_asking_for_another_team_does_not_show_it(engine: Engine, name: str) -> None:
    loader.load_many(engine, calls_of_team_one())
    flt = CallFilter(VisibleTeams.of({1}), team_ids=frozenset({2}), queue_ids=frozenset({22}), **PERIOD)
    alone = QUERIES[name](engine, flt)
    loader.load_many(engine, secrets_of_team_two())
    assert QUERIES[name](engine, flt) == alone


@each_query
@pytest.mark.parametrize("languages", [None, {"en"}], ids=["rollup", "facts"])
def test_an_agent_sees_exactly_what_there_would_be_without_the_colleagues(
    engine: Engine, name: str, languages: set[str] | None
) -> None:
    flt = CallFilter(VisibleTeams.of({1}, own_agent_id=1), languages=languages)  # type: ignore[arg-type]
    loader.load_many(engine, [document(1, agent=1), document(2, agent=None)])
    alone = QUERIES[name](engine, flt)
    loader.load_many(engine, [*calls_of_team_one()[1:], document(7, team=2, agent=1)])
    assert QUERIES[name](engine, flt) == alone


@each_query
def test_who_may_see_no_team_sees_what_an_empty_warehouse_shows(engine: Engine, name: str) -> None:
    empty = QUERIES[name](engine, EVERYTHING)
    loader.load_many(engine, secrets_of_team_two())
    assert QUERIES[name](engine, CallFilter(NO_TEAMS)) == empty


@each_query
def test_every_query_works_on_an_engine_and_on_a_connection(engine: Engine, name: str) -> None:
    loader.load_many(engine, calls_of_team_one())
    with engine.connect() as connection:
        assert QUERIES[name](connection, EVERYTHING) == QUERIES[name](engine, EVERYTHING)


@each_query
def test_no_query_can_write(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        QUERIES[name](connection, EVERYTHING)
        with pytest.raises(DBAPIError, match="read-only"):
            connection.execute(text("DELETE FROM analytics.fact_call"))


def test_a_filter_without_visible_teams_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        CallFilter()  # type: ignore[call-arg]
    for forgotten in (None, 1, "all", [1]):
        with pytest.raises(TypeError):
            CallFilter(forgotten)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        VisibleTeams(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="own_agent_id"):
        VisibleTeams.all(own_agent_id=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": dt.datetime(2026, 1, 1)},  # noqa: DTZ001
        {"start": MONDAY, "end": MONDAY - dt.timedelta(seconds=1)},
        {"weekday": 0},
        {"hour": 24},
        {"mood": "sad"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        CallFilter(ALL_TEAMS, **wrong)


def test_the_headline_adds_up_and_its_means_follow(engine: Engine) -> None:
    loader.load_many(
        engine,
        [
            document(1, duration_ms=100_000, words=100, mean_word_probability=0.9, insight=insight(score=-0.5)),
            document(
                2,
                duration_ms=50_000,
                words=300,
                mean_word_probability=0.5,
                insight=insight(score=0.25),
                alerts=[],
            ),
            document(3, duration_ms=30_000, words=0, mean_word_probability=None, insight=None, alerts=[]),
        ],
    )
    figures = queries.headline(engine, EVERYTHING)
    assert (figures.calls, figures.average_handle_ms, figures.open_alerts) == (3, 60_000, 1)
    assert figures.sentiment == pytest.approx(-0.125)
    assert (figures.negative_calls, figures.neutral_calls, figures.positive_calls) == (1, 0, 1)
    assert figures.mean_word_probability == pytest.approx(0.6)
    assert figures.silence_ratio == pytest.approx(40_000 / 150_000)
    assert figures.talk_ratio_agent == pytest.approx(0.6)
    assert figures.alert_rate == pytest.approx(1 / 3)
    assert figures.to_json()["interruptions_per_call"] == 3.0


def test_the_previous_period_is_as_long_and_ends_where_this_one_starts(engine: Engine) -> None:
    day = dt.timedelta(days=1)
    for number, days in ((1, 0), (2, -1), (3, -1), (4, -2)):
        loader.load_call(engine, document(number, started_at=(MONDAY + days * day).isoformat()))
    start = MONDAY.replace(hour=0, minute=0)
    change = queries.headline_with_previous(engine, CallFilter(ALL_TEAMS, start=start, end=start + day))
    assert change.before is not None
    assert (change.now.calls, change.before.calls, change.change("calls")) == (1, 2, -1)
    assert (change.before_start, change.before_end) == (start - day, start)
    endless = queries.headline_with_previous(engine, CallFilter(ALL_TEAMS, start=start))
    assert (endless.before, endless.change("calls")) == (None, None)


def test_days_are_cut_on_the_local_clock_and_empty_ones_are_there(engine: Engine) -> None:
    # 23:30 UTC on 28 March 2026 is half past midnight of the 29th in Berlin, the day that has 23 hours.
    loader.load_call(engine, document(1, started_at="2026-03-28T23:30:00Z"))
    loader.load_call(engine, document(2, started_at="2026-03-30T22:30:00Z"))
    berlin = ZoneInfo("Europe/Berlin")
    rows = queries.calls_over_time(engine, EVERYTHING, "day", "Europe/Berlin")
    assert [(row.start.astimezone(berlin).day, row.figures.calls) for row in rows] == [
        (29, 1),
        (30, 0),
        (31, 1),
    ]
    assert rows[0].end - rows[0].start.astimezone(dt.UTC) == dt.timedelta(hours=23)
    assert [row.start.day for row in queries.calls_over_time(engine, EVERYTHING)] == [28, 29, 30]
    hours = queries.calls_over_time(engine, EVERYTHING, "hour", "Europe/Berlin")
    assert (len(hours), sum(row.figures.calls for row in hours)) == (48, 2)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_zones_off_the_full_hour_are_counted_from_the_facts(engine: Engine, zone: str) -> None:
    moment = dt.datetime(2026, 3, 2, 18, 45, tzinfo=dt.UTC)
    loader.load_many(
        engine,
        [document(n, started_at=(moment - dt.timedelta(minutes=10 * n)).isoformat()) for n in range(1, 30)],
    )
    counted: dict[Any, int] = {}
    for n in range(1, 30):
        local = (moment - dt.timedelta(minutes=10 * n)).astimezone(ZoneInfo(zone))
        counted[(local.isoweekday(), local.hour)] = counted.get((local.isoweekday(), local.hour), 0) + 1
    cells = queries.heatmap(engine, EVERYTHING, zone)
    assert {(cell.weekday, cell.hour): cell.figures.calls for cell in cells} == counted


@pytest.mark.parametrize(("bucket", "starts"), [("week", [(2, 23), (3, 2)]), ("month", [(2, 1), (3, 1)])])
def test_weeks_begin_on_monday_and_months_on_the_first(engine: Engine, bucket: Any, starts: list[Any]) -> None:
    loader.load_call(engine, document(1, started_at="2026-02-27T12:00:00Z"))
    loader.load_call(engine, document(2, started_at="2026-03-05T12:00:00Z"))
    rows = queries.sentiment_over_time(engine, EVERYTHING, bucket)
    assert [(row.start.month, row.start.day) for row in rows] == starts
    assert [row.score for row in rows] == pytest.approx([0.2, 0.2])


def test_an_unknown_bucket_or_zone_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="bucket"):
        queries.calls_over_time(engine, EVERYTHING, "fortnight")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="time zone"):
        queries.heatmap(engine, EVERYTHING, "Nowhere")


def test_an_endless_hourly_chart_is_not_filled_with_millions_of_zeros(engine: Engine) -> None:
    loader.load_call(engine, document(1, started_at="1971-01-01T00:00:00Z"))
    loader.load_call(engine, document(2))
    assert len(queries.calls_over_time(engine, EVERYTHING, "hour")) == 2


def test_intents_count_primary_calls_and_mentions_apart(engine: Engine) -> None:
    both = [
        {"name": "cancel", "probability": 0.9, "turns": [1]},
        {"name": "billing", "probability": 0.4, "turns": []},
    ]
    loader.load_many(engine, [document(1), document(2, insight=insight("cancel", intents=both)), document(3)])
    rows = {row.intent: row for row in queries.intents(engine, EVERYTHING)}
    assert (rows["billing"].figures.calls, rows["billing"].mentions) == (2, 3)
    assert rows["cancel"].share == pytest.approx(1 / 3)
    assert [row.intent for row in queries.intents(engine, EVERYTHING)] == ["billing", "cancel"]


def test_alerts_are_counted_by_category_and_triage(engine: Engine) -> None:
    found = [
        alert(1, severity="critical"),
        alert(2),
        alert(3, status="dismissed"),
        alert(4, category="fraud", status="acknowledged"),
    ]
    loader.load_many(engine, [document(1, alerts=found), document(2, alerts=[alert(5)])])
    churn, fraud = queries.alerts_by_category(engine, EVERYTHING)
    assert (churn.total, churn.open, churn.dismissed, churn.calls, churn.open_calls) == (4, 3, 1, 2, 2)
    assert (churn.open_critical, churn.open_high) == (1, 2)
    assert (fraud.category, fraud.acknowledged, fraud.open_calls) == ("fraud", 1, 0)
    only = queries.alerts_by_category(engine, CallFilter(ALL_TEAMS, alert_categories=frozenset({"fraud"})))
    assert [row.category for row in only] == ["fraud"]


def test_agents_come_with_handle_time_sentiment_silence_and_alerts(engine: Engine) -> None:
    loader.load_many(engine, [document(1, agent=1), document(2, agent=1, alerts=[]), document(3, agent=2)])
    first, second = queries.agents(engine, EVERYTHING)
    assert (first.agent_id, first.username, first.name, first.figures.calls) == (1, "agent1", "Agent 1", 2)
    assert (first.figures.open_alerts, second.figures.open_alerts) == (1, 1)
    assert first.figures.silence_ratio == pytest.approx(1 / 6)


def test_quality_weighs_by_words_and_tells_parties_apart(engine: Engine) -> None:
    loader.load_many(
        engine,
        [
            document(1, words=300, mean_word_probability=0.9),
            document(2, words=100, mean_word_probability=0.5),
        ],
    )
    found = queries.quality(engine, EVERYTHING)
    assert found.mean_word_probability == pytest.approx(0.8)
    assert (found.calls, found.doubtful_calls, found.words) == (2, 1, 400)
    assert {row.name: row.mean_word_probability for row in found.by_party} == pytest.approx(
        {"agent": 0.9, "customer": 0.8}
    )


def test_choices_offer_what_occurs_whatever_else_the_filter_says(engine: Engine) -> None:
    loader.load_many(engine, calls_of_team_one() + secrets_of_team_two())
    offered = queries.choices(engine, CallFilter(VisibleTeams.of({1}), queue_ids=frozenset({99})))
    assert [choice.name for choice in offered.teams] == ["Team 1"]
    assert [choice.calls for choice in offered.agents] == [1, 1, 1]
    assert (offered.intents, offered.models, offered.languages) == (
        ("billing",),
        ("whisper-base.en",),
        ("en",),
    )


def test_the_calls_behind_a_figure_come_newest_first_and_limited(engine: Engine) -> None:
    loader.load_many(engine, calls_of_team_one())
    assert ids(engine, EVERYTHING) == [3, 2, 1]
    assert ids(engine, EVERYTHING, 2) == [3, 2]
    with pytest.raises(ValueError, match="limit"):
        queries.call_ids(engine, EVERYTHING, 0)


NARROWED: list[tuple[dict[str, Any], list[int]]] = [
    ({"team_ids": {2}}, [3]),
    ({"team_ids": set()}, []),
    ({"queue_ids": {0}}, [2]),
    ({"agent_ids": {7}}, [4]),
    ({"intents": {"cancel"}}, [2]),
    ({"directions": {"outbound"}}, [3]),
    ({"languages": {"de"}}, [4]),
    ({"models": {"other"}}, [1]),
    ({"alert_categories": {"fraud"}}, [2, 1]),
    ({"alert_categories": {"fraud"}, "open_alerts": True}, [1]),
    ({"alert_categories": {"fraud"}, "open_alerts": False}, [2]),
    ({"open_alerts": True}, [3, 2, 1]),
    ({"open_alerts": False}, [4]),
    ({"with_alerts": True}, [3, 2, 1]),
    ({"with_alerts": False}, [4]),
    ({"mood": "negative"}, [2]),
    ({"mood": "neutral"}, [3, 1]),
    ({"mood": "positive"}, [4]),
    ({"weekday": 2}, [4, 3, 2]),
    ({"weekday": 1, "hour": 23, "time_zone": "UTC"}, [1]),
    ({"weekday": 2, "hour": 0, "time_zone": "Europe/Berlin"}, [1]),
    ({"start": MONDAY, "end": MONDAY + dt.timedelta(hours=14)}, [1]),
]


@pytest.mark.parametrize(
    ("narrow", "expected"), NARROWED, ids=[" ".join(n) + f" {i}" for i, (n, _) in enumerate(NARROWED)]
)
def test_every_filter_keeps_the_calls_that_it_names(
    engine: Engine, narrow: dict[str, Any], expected: list[int]
) -> None:
    def at(hours: float) -> str:
        return (MONDAY + dt.timedelta(hours=hours)).isoformat()

    loader.load_many(
        engine,
        [
            document(1, started_at=at(13.75), model="other", alerts=[alert(1, category="fraud")]),
            document(
                2,
                queue=None,
                started_at=at(16),
                insight=insight("cancel", -0.6),
                alerts=[alert(2, category="fraud", status="dismissed"), alert(3)],
            ),
            document(3, team=2, started_at=at(17), direction="outbound"),
            document(4, agent=7, started_at=at(18), language="de", insight=insight(score=0.9), alerts=[]),
        ],
    )
    flt = CallFilter(ALL_TEAMS, **narrow)
    assert ids(engine, flt) == expected
    assert queries.headline(engine, flt).calls == len(expected)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(documents=random_documents(), data=st.data())
def test_rollups_and_facts_give_equal_sums_for_any_documents(
    engine: Engine, documents: list[Any], data: st.DataObject
) -> None:
    loader.truncate_all(engine)
    loader.load_many(engine, documents, batch_size=data.draw(st.integers(1, 5)))
    for number in data.draw(st.sets(st.integers(1, 6), max_size=2)):
        loader.delete_call(engine, uuid.UUID(int=number))
    assert rollups.drift(engine) == 0

    moments = st.none() | st.integers(-60, 73 * 60).map(lambda minutes: MONDAY + dt.timedelta(minutes=minutes))
    start, end = data.draw(moments), data.draw(moments)
    if start is not None and end is not None and end < start:
        start, end = end, start
    narrow: dict[str, Any] = {
        "start": start,
        "end": end,
        "team_ids": data.draw(st.none() | st.frozensets(st.integers(1, 3))),
        "queue_ids": data.draw(st.none() | st.frozensets(st.integers(0, 2))),
        "agent_ids": data.draw(st.none() | st.frozensets(st.integers(0, 3))),
        "intents": data.draw(st.none() | st.frozensets(st.sampled_from(["billing", "cancel", "unknown"]))),
    }
    visible = data.draw(
        st.builds(VisibleTeams.of, st.sets(st.integers(1, 3)), own_agent_id=st.none() | st.integers(1, 3))
        | st.just(ALL_TEAMS)
    )
    tz = data.draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
    by_rollup = CallFilter(visible, **narrow)
    by_facts = CallFilter(visible, **narrow, languages=frozenset({"en"}))
    assert source_module.answerable_by_rollup(by_rollup)
    assert not source_module.answerable_by_rollup(by_facts)
    for name in ("headline", "agents", "queues", "teams", "intents", "alerts_by_category"):
        assert QUERIES[name](engine, by_rollup) == QUERIES[name](engine, by_facts), name
    for bucket in ("hour", "day", "week"):
        over_time = queries.calls_over_time(engine, by_rollup, bucket, tz)  # type: ignore[arg-type]
        assert over_time == queries.calls_over_time(engine, by_facts, bucket, tz)  # type: ignore[arg-type]
        assert sum(row.figures.calls for row in over_time) == queries.headline(engine, by_rollup).calls
        assert all(one.end == other.start for one, other in zip(over_time, over_time[1:], strict=False))
    assert queries.heatmap(engine, by_rollup, tz) == queries.heatmap(engine, by_facts, tz)
    assert len(ids(engine, by_rollup)) == queries.headline(engine, by_rollup).calls


def test_figures_of_no_calls_have_no_means() -> None:
    nothing = Figures.none()
    assert (nothing.average_handle_ms, nothing.sentiment, nothing.alert_rate) == (None, None, None)


def restricted_documents() -> list[Any]:
    both = [alert(1), alert(2, category="self_harm", severity="critical")]
    only = [alert(3, category="self_harm"), alert(4, status="dismissed")]
    return [document(1, alerts=both), document(2, alerts=only), document(3, alerts=[])]


@pytest.mark.parametrize("narrow", [{}, PERIOD, {"languages": {"en"}}], ids=["rollup", "edges", "facts"])
def test_restricted_alerts_are_neither_shown_nor_counted_unless_the_reader_may_know(
    engine: Engine, narrow: dict[str, Any]
) -> None:
    loader.load_many(engine, restricted_documents())
    hidden = CallFilter(VisibleTeams.all(), **narrow)
    known = CallFilter(VisibleTeams.all(restricted=True), **narrow)
    for flt, alerts, open_alerts, alerted in ((hidden, 2, 1, 1), (known, 4, 3, 2)):
        figures = queries.headline(engine, flt)
        assert (figures.alerts, figures.open_alerts, figures.alerted_calls) == (alerts, open_alerts, alerted)
    assert queries.headline(engine, hidden).restricted_alerts == 0
    assert [row.category for row in queries.alerts_by_category(engine, hidden)] == ["churn"]
    assert {row.category for row in queries.alerts_by_category(engine, known)} == {"churn", "self_harm"}
    assert queries.choices(engine, hidden).alert_categories == ("churn",)


def test_a_filter_cannot_be_used_to_find_calls_with_restricted_alerts(engine: Engine) -> None:
    loader.load_many(engine, restricted_documents())
    asked: list[dict[str, Any]] = [{"alert_categories": {"self_harm"}}, {"open_alerts": True}]
    assert [ids(engine, CallFilter(VisibleTeams.all(), **one)) for one in asked] == [[], [1]]
    assert [ids(engine, CallFilter(VisibleTeams.all(restricted=True), **one)) for one in asked] == [[2, 1], [2, 1]]


def test_review_doubt_and_pace_are_counted(engine: Engine) -> None:
    reviewed = [turn(0, reviewed=True), turn(1)]
    loader.load_many(engine, [document(1, turns=reviewed), document(2, mean_word_probability=0.5), document(3)])
    figures = queries.headline(engine, EVERYTHING)
    assert figures.review_coverage == pytest.approx(1 / 3)
    assert figures.doubtful_share == pytest.approx(1 / 3)
    assert figures.wpm_agent == pytest.approx(151.25)
    assert figures.overtalk_ratio == pytest.approx(1_500 / 120_000)
    assert ids(engine, CallFilter(ALL_TEAMS, reviewed=True)) == [1]
    assert ids(engine, CallFilter(ALL_TEAMS, reviewed=False)) == [3, 2]


def test_a_long_period_reads_whole_days_and_only_its_edges_finer() -> None:
    start, end = MONDAY.replace(hour=22, minute=15), MONDAY + dt.timedelta(days=9, hours=3, minutes=7)
    parts = list(source_module.cut(start, end, days=True))
    assert [kind for kind, _ in parts] == ["facts", "facts", "hours", "days", "hours"]
    edges = sorted((a, b) for _, (a, b) in parts if a and b)
    assert (edges[0][0], edges[-1][1]) == (start, end)
    assert all(one[1] == other[0] for one, other in zip(edges, edges[1:], strict=False))
