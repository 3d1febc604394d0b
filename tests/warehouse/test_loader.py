"""A call document becomes facts once, whatever happens: twice, changed, moved, at the same time, or wrong."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, Table, func, select, text

from analytics.warehouse import ALL_TEAMS, CallFilter, DocumentError, loader, queries, rollups
from analytics.warehouse.tables import (
    dim_date,
    dim_team,
    fact_alert,
    fact_call,
    fact_call_intent,
    fact_turn,
    rollup_hour,
)

from .documents import alert, document, insight, turn

EVERYTHING = CallFilter(ALL_TEAMS)


def count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def only_row(engine: Engine, table: Table) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(connection.execute(select(table)).mappings().one())


def test_a_loaded_call_stands_in_facts_dimensions_and_rollup(engine: Engine) -> None:
    assert loader.load_call(engine, document()) is True
    call = only_row(engine, fact_call)
    assert call["started_at"] == dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC)
    assert (call["duration_ms"], call["sentiment"], call["intent"]) == (120_000, 0.2, "billing")
    assert (call["wpm_agent"], call["response_latency_agent_ms"], call["holds"]) == (151.25, 610, 1)
    assert (count(engine, fact_turn), count(engine, fact_alert), count(engine, fact_call_intent)) == (4, 1, 1)
    assert only_row(engine, dim_date)["weekday"] == 1
    rolled = only_row(engine, rollup_hour)
    assert (rolled["hour_at"].hour, rolled["calls"], rolled["open_alerts"]) == (9, 1, 1)


def test_loading_the_same_document_twice_changes_nothing(engine: Engine) -> None:
    loader.load_call(engine, document())
    before = loader.checksum(engine), only_row(engine, fact_call)["loaded_at"]
    assert loader.load_call(engine, document()) is False
    assert (loader.checksum(engine), only_row(engine, fact_call)["loaded_at"]) == before
    assert loader.load_call(engine, document(), force=True) is True
    assert loader.checksum(engine) == before[0]


def test_a_changed_document_replaces_turns_alerts_and_intents(engine: Engine) -> None:
    loader.load_call(engine, document(turns=[turn(n) for n in range(6)], alerts=[alert(1), alert(2)]))
    changed = document(turns=[turn(0)], alerts=[alert(2, status="dismissed")], insight=insight("cancel", -0.8))
    assert loader.load_call(engine, changed) is True
    assert count(engine, fact_turn) == 1
    assert only_row(engine, fact_alert)["status"] == "dismissed"
    assert only_row(engine, fact_call_intent)["intent"] == "cancel"
    rolled = only_row(engine, rollup_hour)
    assert (rolled["calls"], rolled["alerts"], rolled["open_alerts"], rolled["negative_calls"]) == (
        1,
        1,
        0,
        1,
    )


def test_of_a_batch_only_what_changed_is_written_and_the_rest_stays(engine: Engine) -> None:
    loader.load_many(engine, [document(1), document(2)])
    report = loader.load_many(engine, [document(1), document(2, words=99), document(3)])
    assert (report.loaded, report.unchanged) == (2, 1)
    assert (count(engine, fact_call), count(engine, fact_turn)) == (3, 12)
    assert rollups.drift(engine) == 0


def test_a_refusal_of_the_database_repeats_no_value_of_a_row(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(loader.CopyFailedError) as refused:
        loader._copy(connection, fact_turn, [{"call_id": "not a uuid but Dana Smith", "turn_index": 1}])
    assert "Dana" not in str(refused.value)
    assert refused.value.sqlstate == "22P02"
    assert refused.value.__cause__ is None


def test_a_call_that_moves_to_another_hour_and_team_leaves_no_shadow(engine: Engine) -> None:
    loader.load_call(engine, document())
    loader.load_call(engine, document(team=2, started_at="2026-03-03T23:59:59.999999+02:00"))
    rolled = only_row(engine, rollup_hour)
    assert (rolled["team_id"], rolled["hour_at"]) == (2, dt.datetime(2026, 3, 3, 21, tzinfo=dt.UTC))
    assert rollups.drift(engine) == 0


def test_deleting_a_call_removes_every_trace_of_it(engine: Engine) -> None:
    loader.load_call(engine, document(2))
    before = loader.checksum(engine)
    loader.load_call(engine, document(1))
    assert loader.delete_call(engine, str(uuid.UUID(int=1))) is True
    assert loader.delete_call(engine, uuid.UUID(int=1)) is False
    assert loader.checksum(engine) == before
    with pytest.raises(ValueError, match="UUID"):
        loader.delete_call(engine, "not a uuid")


def test_a_rebuild_gives_the_same_warehouse(engine: Engine) -> None:
    documents = [document(n, team=1 + n % 3, started_at=f"2026-03-0{1 + n % 5}T0{n % 9}:10:00Z") for n in range(1, 30)]
    assert loader.load_many(engine, documents, batch_size=7) == loader.LoadReport(loaded=29)
    before = loader.checksum(engine)
    assert loader.load_many(engine, documents, batch_size=7) == loader.LoadReport(unchanged=29)
    loader.truncate_all(engine)
    assert count(engine, fact_call) == count(engine, rollup_hour) == count(engine, dim_team) == 0
    loader.load_many(engine, reversed(documents), batch_size=3)
    assert loader.checksum(engine) == before


def test_calls_that_are_gone_from_the_source_can_be_swept_out(engine: Engine) -> None:
    loader.load_many(engine, [document(n) for n in range(1, 6)])
    assert loader.delete_missing(engine, [str(uuid.UUID(int=2)), uuid.UUID(int=4)]) == 3
    assert {call.int for call in queries.call_ids(engine, EVERYTHING)} == {2, 4}
    assert rollups.drift(engine) == 0


def test_a_bad_document_among_many_is_reported_and_the_rest_is_loaded(engine: Engine) -> None:
    documents = [
        document(1),
        document(2, duration_ms=-1),
        {"schema_version": 1},
        document(3),
        document(3, words=7),
    ]
    report = loader.load_many(engine, documents)
    assert (report.loaded, report.unchanged) == (2, 0)
    assert [position for position, _ in report.refused] == [1, 2]
    assert "duration_ms" in report.refused[0][1]
    assert "team" in report.refused[1][1]
    assert {call.int for call in queries.call_ids(engine, EVERYTHING)} == {1, 3}


def test_loading_one_call_from_many_sides_at_once_gives_one_call(engine: Engine) -> None:
    versions = [document(1, team=1 + n % 2, words=n, turns=[turn(i) for i in range(n)]) for n in range(1, 13)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: loader.load_call(engine, one), versions))
    call = only_row(engine, fact_call)
    assert call["words"] == call["turns"] == count(engine, fact_turn)
    assert count(engine, fact_alert) == 1
    assert only_row(engine, rollup_hour)["words"] == call["words"]


def test_loaders_of_the_same_hour_do_not_lose_each_others_sums(engine: Engine) -> None:
    calls = [document(n, team=1 + n % 2, agent=1 + n % 3) for n in range(1, 41)]
    with ThreadPoolExecutor(8) as pool:
        batches = [calls[start::8] for start in range(8)]
        list(pool.map(lambda batch: loader.load_many(engine, batch), batches))
        list(pool.map(lambda n: loader.delete_call(engine, uuid.UUID(int=n)), range(1, 11)))
    assert queries.headline(engine, EVERYTHING).calls == count(engine, fact_call) == 30
    assert rollups.drift(engine) == 0


def test_emptying_and_loading_at_once_end_in_a_warehouse_that_is_right(engine: Engine) -> None:
    def work(number: int) -> None:
        if number % 5 == 0:
            loader.truncate_all(engine)
        else:
            loader.load_call(engine, document(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 31)))
    assert rollups.drift(engine) == 0


def test_a_renamed_team_has_its_new_name_everywhere_at_once(engine: Engine) -> None:
    loader.load_call(engine, document(1))
    loader.load_call(engine, document(2, team=1) | {"team": {"id": 1, "name": "Retention"}})
    assert [row.name for row in queries.teams(engine, EVERYTHING)] == ["Retention"]
    with engine.connect() as connection:
        assert set(connection.scalars(text("SELECT team FROM analytics.calls"))) == {"Retention"}


def test_a_call_without_queue_agent_and_understanding_is_still_a_call(engine: Engine) -> None:
    bare = {
        "schema_version": 1,
        "call_id": str(uuid.UUID(int=1)),
        "started_at": "2026-03-02T09:30:00Z",
        "duration_ms": 0,
        "team": {"id": 1, "name": "Team 1"},
        "queue": None,
        "agent": {"id": None, "username": "", "name": ""},
        "insight": None,
    }
    loader.load_call(engine, bare)
    figures = queries.headline(engine, EVERYTHING)
    assert (figures.calls, figures.sentiment, figures.silence_ratio, figures.mean_word_probability) == (
        1,
        *[None] * 3,
    )
    assert queries.agents(engine, EVERYTHING)[0].name == "No agent"
    assert queries.queues(engine, EVERYTHING)[0].name == "No queue"
    assert queries.intents(engine, EVERYTHING)[0].intent == "unknown"


def test_no_word_that_was_said_gets_into_the_warehouse(engine: Engine) -> None:
    said = document(alerts=[alert(quote="my card number is", word_ids=["0:1"])])
    said["turns"][0]["text"] = "my card number is"
    loader.load_call(engine, said)
    with engine.connect() as connection:
        for table in (fact_call, fact_turn, fact_alert, fact_call_intent):
            rows = connection.execute(text(f"SELECT t::text FROM {table.fullname} t")).scalars()  # noqa: S608
            assert not any("card number" in row for row in rows)


WRONG: list[tuple[str, Any, str]] = [
    ("schema_version", 2, "schema_version"),
    ("call_id", "seven", "call_id"),
    ("started_at", "2026-03-02T09:30:00", "started_at"),
    ("started_at", "1901-01-01T00:00:00Z", "started_at"),
    ("started_at", "0001-01-01T00:00:00+14:00", "started_at"),
    ("duration_ms", 2**31, "duration_ms"),
    ("duration_ms", float("nan"), "duration_ms"),
    ("direction", "sideways", "direction"),
    ("external_id", "a\x00b", "external_id"),
    ("team", {"id": 0, "name": "x"}, "team.id"),
    ("team", None, "team"),
    ("mean_word_probability", 1.5, "mean_word_probability"),
    ("turns", [turn(0), turn(1, start_ms=-5)], "turns[1].start_ms"),
    ("turns", [turn(0, start_ms=9, end_ms=3)], "turns[0]"),
    ("turns", [turn(0), turn(0)], "document"),
    ("turns", "none", "turns"),
    ("alerts", [alert(1), alert(1)], "document"),
    ("alerts", [alert(1, status="new")], "alerts[0].status"),
    ("alerts", [alert(1, severity=None)], "alerts[0].severity"),
    ("insight", insight(score=float("inf")), "insight.sentiment.score"),
    ("insight", insight(metrics={"wpm_agent": "fast"}), "insight.metrics.wpm_agent"),
    ("insight", insight(intents=[{"probability": 1}]), "insight.intents[0].name"),
]


@pytest.mark.parametrize(("key", "value", "path"), WRONG, ids=[f"{path} is {value!r:.30}" for _, value, path in WRONG])
def test_a_wrong_document_is_refused_with_the_path_and_nothing_is_written(
    engine: Engine, key: str, value: Any, path: str
) -> None:
    broken = copy.deepcopy(document()) | {key: value}
    with pytest.raises(DocumentError) as caught:
        loader.load_call(engine, broken)
    assert caught.value.path == path
    assert path in str(caught.value)
    assert count(engine, fact_call) == 0


def test_what_is_no_document_at_all_is_refused_too(engine: Engine) -> None:
    for thing in (None, [], "call", {}):
        with pytest.raises(DocumentError):
            loader.load_call(engine, thing)  # type: ignore[arg-type]


def test_an_error_never_repeats_what_was_in_the_document(engine: Engine) -> None:
    with pytest.raises(DocumentError) as caught:
        loader.load_call(engine, document(customer_ref=["4111 1111 1111 1111"], duration_ms="4111 1111"))
    assert "4111" not in str(caught.value)


def test_ratios_may_miss_their_range_by_a_rounding_error(engine: Engine) -> None:
    loader.load_call(engine, document(insight=insight(metrics={"silence_ratio": 1.0000000002, "silence_ms": 5})))
    assert only_row(engine, fact_call)["silence_ratio"] == 1.0


def test_a_zero_with_a_sign_is_the_zero_that_the_database_keeps(engine: Engine) -> None:
    loader.load_call(engine, document(turns=[turn(0, sentiment=-0.0)]))
    assert not loader.load_call(engine, document(turns=[turn(0, sentiment=0.0)]))
