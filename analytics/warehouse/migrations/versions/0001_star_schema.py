"""The star schema: dimensions, facts, hourly rollup and the wide view that people read.

A migration never imports the tables: it says what the schema was on its day, whatever the code says later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "analytics"


def _text(name: str, *args: Any, **kw: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), *args, nullable=False, **kw)


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _moment(name: str, *, nullable: bool = False, **kw: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, **kw)


def _whole(*names: str, nullable: bool = False, kind: Any = sa.Integer) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), nullable=nullable, autoincrement=False) for name in names]


def _score(*names: str, nullable: bool = True) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Numeric(7, 6, asdecimal=False), nullable=nullable) for name in names]


def _create(table: str, *columns: sa.Column[Any], key: Sequence[str], refers: dict[str, str] | None = None) -> None:
    constraints: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*key, name=f"pk_{table}")]
    for column, target in (refers or {}).items():
        constraints.append(
            sa.ForeignKeyConstraint(
                [column],
                [f"{SCHEMA}.{target}.{column}"],
                name=f"fk_{table}_{column}",
                ondelete="CASCADE" if target == "fact_call" else None,
            )
        )
    op.create_table(table, *columns, *constraints, schema=SCHEMA)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), schema=SCHEMA)


def upgrade() -> None:
    _dimensions()
    _fact_call()
    _facts_below_a_call()
    _rollup_hour()
    op.execute(CALLS_VIEW)


def downgrade() -> None:
    op.execute(f"DROP VIEW {SCHEMA}.calls")
    for table in ("rollup_hour", "fact_call_intent", "fact_alert", "fact_turn", "fact_call"):
        op.drop_table(table, schema=SCHEMA)
    for table in ("dim_model", "dim_intent", "dim_agent", "dim_queue", "dim_team", "dim_date"):
        op.drop_table(table, schema=SCHEMA)


def _dimensions() -> None:
    parts = _whole(
        "year", "quarter", "month", "day", "iso_year", "iso_week", "weekday", kind=sa.SmallInteger
    )  # fmt: skip
    date_key = sa.Column("date_key", sa.Date(), nullable=False)
    _create("dim_date", date_key, *parts, sa.Column("is_weekend", sa.Boolean(), nullable=False), key=["date_key"])
    _create("dim_team", _key("team_id"), _text("name"), key=["team_id"])
    _create("dim_queue", _key("queue_id"), _text("name"), key=["queue_id"])
    _create("dim_agent", _key("agent_id"), _text("username"), _text("name"), key=["agent_id"])
    _create("dim_intent", _text("intent"), key=["intent"])
    _create("dim_model", _text("model"), key=["model"])


def _fact_call() -> None:
    _create(
        "fact_call",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        _text("external_id"),
        _text("recording_sha256"),
        _moment("started_at"),
        _moment("hour_at"),
        sa.Column("date_key", sa.Date(), nullable=False),
        _key("team_id"),
        _key("queue_id"),
        _key("agent_id"),
        _text("intent"),
        _text("model"),
        _text("direction"),
        _text("language"),
        _text("customer_ref"),
        _text("layout"),
        _moment("transcribed_at", nullable=True),
        *_whole("duration_ms", "words", "turns"),
        *_score("mean_word_probability", "intent_probability"),
        *_score("sentiment", "sentiment_agent", "sentiment_customer", "sentiment_customer_change"),
        *_score("talk_ratio_agent"),
        *_whole("agent_talk_ms", "customer_talk_ms", "silence_ms", nullable=True),
        *_score("silence_ratio"),
        *_whole("longest_silence_ms", "overtalk_ms", nullable=True),
        *_whole("interruptions_agent", "interruptions_customer", nullable=True),
        sa.Column("wpm_agent", sa.Numeric(8, 2, asdecimal=False)),
        sa.Column("wpm_customer", sa.Numeric(8, 2, asdecimal=False)),
        *_whole("longest_monologue_agent_ms", "longest_monologue_customer_ms", nullable=True),
        *_whole("response_latency_agent_ms", "response_latency_customer_ms", nullable=True),
        *_whole("hold_ms", "holds", nullable=True),
        *_whole("alerts", "open_alerts"),
        _text("nlu_version"),
        _text("document_sha256"),
        _moment("loaded_at", server_default=sa.func.now()),
        key=["call_id"],
        refers={
            "date_key": "dim_date",
            "team_id": "dim_team",
            "queue_id": "dim_queue",
            "agent_id": "dim_agent",
            "intent": "dim_intent",
            "model": "dim_model",
        },
    )
    _index("fact_call", "started_at", "call_id")
    for column in ("team_id", "queue_id", "agent_id", "intent"):
        _index("fact_call", column, "started_at")
    _index("fact_call", "hour_at", "team_id")
    _index("fact_call", "customer_ref")


def _facts_below_a_call() -> None:
    def call_id() -> sa.Column[Any]:
        return sa.Column("call_id", sa.Uuid(), nullable=False)

    _create(
        "fact_turn",
        call_id(),
        *_whole("turn_index"),
        _text("party"),
        *_whole("start_ms", "end_ms", "words"),
        *_score("sentiment", "mean_probability"),
        key=["call_id", "turn_index"],
        refers={"call_id": "fact_call"},
    )
    _create(
        "fact_alert",
        call_id(),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        _text("category"),
        _text("severity"),
        _text("status"),
        _text("party"),
        *_whole("start_ms", "end_ms"),
        *_score("score"),
        _text("rule_key"),
        _text("rule_version"),
        _moment("created_at", nullable=True),
        key=["call_id", "alert_id"],
        refers={"call_id": "fact_call"},
    )
    _index("fact_alert", "category", "status")
    _index("fact_alert", "rule_key")
    _create(
        "fact_call_intent",
        call_id(),
        _text("intent"),
        *_score("probability", nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        *_whole("turns"),
        key=["call_id", "intent"],
        refers={"call_id": "fact_call", "intent": "dim_intent"},
    )
    _index("fact_call_intent", "intent")


def _rollup_hour() -> None:
    def big(*names: str) -> list[sa.Column[Any]]:
        return _whole(*names, kind=sa.BigInteger)

    def exact(name: str) -> sa.Column[Any]:
        return sa.Column(name, sa.Numeric(20, 6, asdecimal=False), nullable=False)

    _create(
        "rollup_hour",
        _moment("hour_at"),
        _key("team_id"),
        _key("queue_id"),
        _key("agent_id"),
        _text("direction"),
        _text("intent"),
        *big("calls", "duration_ms", "measured_calls", "measured_ms"),
        *big("agent_talk_ms", "customer_talk_ms", "silence_ms", "overtalk_ms", "hold_ms"),
        *big("interruptions_agent", "interruptions_customer", "words", "probability_words"),
        exact("probability_sum"),
        *big("sentiment_calls"),
        exact("sentiment_sum"),
        *big("sentiment_agent_calls"),
        exact("sentiment_agent_sum"),
        *big("sentiment_customer_calls"),
        exact("sentiment_customer_sum"),
        *big("negative_calls", "positive_calls", "alerts", "open_alerts", "alerted_calls"),
        key=["hour_at", "team_id", "queue_id", "agent_id", "direction", "intent"],
        refers={
            "team_id": "dim_team",
            "queue_id": "dim_queue",
            "agent_id": "dim_agent",
            "intent": "dim_intent",
        },
    )
    for column in ("team_id", "queue_id", "agent_id"):
        _index("rollup_hour", column, "hour_at")


# Names change; a view that joins them is always right, where a copy in every fact would go stale.
CALLS_VIEW = f"""
CREATE VIEW {SCHEMA}.calls AS
SELECT c.call_id, c.external_id, c.started_at, c.date_key, d.year, d.month, d.iso_week, d.weekday,
       t.name AS team, q.name AS queue, a.username AS agent_username, a.name AS agent,
       c.team_id, c.queue_id, c.agent_id, c.direction, c.language, c.intent, c.intent_probability,
       c.sentiment, c.sentiment_agent, c.sentiment_customer, c.sentiment_customer_change,
       round(c.duration_ms / 1000.0, 3) AS duration_s, c.talk_ratio_agent,
       round(c.silence_ms / 1000.0, 3) AS silence_s, c.silence_ratio,
       round(c.hold_ms / 1000.0, 3) AS hold_s, c.holds, round(c.overtalk_ms / 1000.0, 3) AS overtalk_s,
       c.interruptions_agent, c.interruptions_customer, c.wpm_agent, c.wpm_customer,
       c.words, c.turns, c.mean_word_probability, c.alerts, c.open_alerts, c.model, c.layout, c.transcribed_at
FROM {SCHEMA}.fact_call c
JOIN {SCHEMA}.dim_date d ON d.date_key = c.date_key
JOIN {SCHEMA}.dim_team t ON t.team_id = c.team_id
JOIN {SCHEMA}.dim_queue q ON q.queue_id = c.queue_id
JOIN {SCHEMA}.dim_agent a ON a.agent_id = c.agent_id
"""  # noqa: S608  (our own names)
