"""Rollups that stay small however many calls there are; review, doubt, pace and restricted alerts are counted.

The finest rollup has nearly a row a call once there are many agents and intents. What pages ask for most comes
from coarser ones: hour and queue, day and agent, day and intent, day and alert category. Everything is derived
from the facts here, so that a warehouse which stands is right at once; which turns a person has reviewed was not
known to it before and comes with the next load of each call (`manage.py warehouse rebuild` loads all).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SCHEMA = "analytics"
NEW_FACTS = ("restricted_alerts", "restricted_open_alerts", "reviewed_turns")
#: The measures of that day: whether it is a sum of scores, and its value for one row of fact_call.
MEASURES: dict[str, tuple[bool, str]] = {
    "calls": (False, "1"),
    "duration_ms": (False, "duration_ms"),
    "measured_calls": (False, "CASE WHEN silence_ms IS NOT NULL THEN 1 ELSE 0 END"),
    "measured_ms": (False, "CASE WHEN silence_ms IS NOT NULL THEN duration_ms ELSE 0 END"),
    "agent_talk_ms": (False, "coalesce(agent_talk_ms, 0)"),
    "customer_talk_ms": (False, "coalesce(customer_talk_ms, 0)"),
    "silence_ms": (False, "coalesce(silence_ms, 0)"),
    "overtalk_ms": (False, "coalesce(overtalk_ms, 0)"),
    "hold_ms": (False, "coalesce(hold_ms, 0)"),
    "interruptions_agent": (False, "coalesce(interruptions_agent, 0)"),
    "interruptions_customer": (False, "coalesce(interruptions_customer, 0)"),
    "wpm_agent_calls": (False, "CASE WHEN wpm_agent IS NOT NULL THEN 1 ELSE 0 END"),
    "wpm_agent_sum": (True, "coalesce(wpm_agent, 0)"),
    "wpm_customer_calls": (False, "CASE WHEN wpm_customer IS NOT NULL THEN 1 ELSE 0 END"),
    "wpm_customer_sum": (True, "coalesce(wpm_customer, 0)"),
    "words": (False, "words"),
    "probability_words": (False, "CASE WHEN mean_word_probability IS NOT NULL THEN words ELSE 0 END"),
    "probability_sum": (True, "coalesce(mean_word_probability * words, 0)"),
    "doubtful_calls": (False, "CASE WHEN coalesce(mean_word_probability, 1) < 0.7 THEN 1 ELSE 0 END"),
    "reviewed_calls": (False, "CASE WHEN reviewed_turns > 0 THEN 1 ELSE 0 END"),
    "sentiment_calls": (False, "CASE WHEN sentiment IS NOT NULL THEN 1 ELSE 0 END"),
    "sentiment_sum": (True, "coalesce(sentiment, 0)"),
    "sentiment_agent_calls": (False, "CASE WHEN sentiment_agent IS NOT NULL THEN 1 ELSE 0 END"),
    "sentiment_agent_sum": (True, "coalesce(sentiment_agent, 0)"),
    "sentiment_customer_calls": (False, "CASE WHEN sentiment_customer IS NOT NULL THEN 1 ELSE 0 END"),
    "sentiment_customer_sum": (True, "coalesce(sentiment_customer, 0)"),
    "negative_calls": (False, "CASE WHEN coalesce(sentiment, 0) <= -0.25 THEN 1 ELSE 0 END"),
    "positive_calls": (False, "CASE WHEN coalesce(sentiment, 0) >= 0.25 THEN 1 ELSE 0 END"),
    "alerts": (False, "alerts"),
    "open_alerts": (False, "open_alerts"),
    "alerted_calls": (False, "CASE WHEN open_alerts > 0 THEN 1 ELSE 0 END"),
    "restricted_alerts": (False, "restricted_alerts"),
    "restricted_open_alerts": (False, "restricted_open_alerts"),
    "restricted_alerted_calls": (
        False,
        "CASE WHEN open_alerts > 0 AND open_alerts = restricted_open_alerts THEN 1 ELSE 0 END",
    ),
}
NEW_MEASURES = (
    "wpm_agent_calls", "wpm_agent_sum", "wpm_customer_calls", "wpm_customer_sum", "doubtful_calls", "reviewed_calls",
    "restricted_alerts", "restricted_open_alerts", "restricted_alerted_calls",
)  # fmt: skip
HOUR_KEYS = ("hour_at", "team_id", "queue_id", "agent_id", "direction", "intent")
ROLLUPS = {
    "rollup_hour_queue": ("hour_at", "team_id", "queue_id", "direction"),
    "rollup_day_agent": ("day_at", "team_id", "queue_id", "agent_id", "direction"),
    "rollup_day_intent": ("day_at", "team_id", "queue_id", "direction", "intent"),
}
ALERT_KEYS = ("day_at", "team_id", "queue_id", "direction", "category")
ALERT_COUNTS = {
    "total": "count(*)",
    "open": "count(*) FILTER (WHERE a.status = 'open')",
    "acknowledged": "count(*) FILTER (WHERE a.status = 'acknowledged')",
    "dismissed": "count(*) FILTER (WHERE a.status = 'dismissed')",
    "open_critical": "count(*) FILTER (WHERE a.status = 'open' AND a.severity = 'critical')",
    "open_high": "count(*) FILTER (WHERE a.status = 'open' AND a.severity = 'high')",
    "calls": "count(DISTINCT a.call_id)",
    "open_calls": "count(DISTINCT CASE WHEN a.status = 'open' THEN a.call_id END)",
}
REFERS = {"team_id": "dim_team", "queue_id": "dim_queue", "agent_id": "dim_agent", "intent": "dim_intent"}


def _key(name: str) -> sa.Column[Any]:
    kind: Any = sa.BigInteger() if name.endswith("_id") else sa.DateTime(True) if name.endswith("_at") else sa.Text()
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def _measure(name: str) -> sa.Column[Any]:
    exact = name in MEASURES and MEASURES[name][0]
    return sa.Column(name, sa.Numeric(20, 6, asdecimal=False) if exact else sa.BigInteger(), nullable=False)


def _create(table: str, keys: Sequence[str], measures: Sequence[str]) -> None:
    foreign = [
        sa.ForeignKeyConstraint([key], [f"{SCHEMA}.{REFERS[key]}.{key}"], name=f"fk_{table}_{key}")
        for key in keys
        if key in REFERS
    ]
    primary = sa.PrimaryKeyConstraint(*keys, name=f"pk_{table}")
    op.create_table(table, *map(_key, keys), *map(_measure, measures), primary, *foreign, schema=SCHEMA)


def upgrade() -> None:
    for name in NEW_FACTS:
        column = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        op.add_column("fact_call", column, schema=SCHEMA)
        op.alter_column("fact_call", name, server_default=None, schema=SCHEMA)
    op.execute(RESTRICTED_SQL)
    op.execute(f"DELETE FROM {SCHEMA}.rollup_hour")  # noqa: S608  (our own name)
    for name in NEW_MEASURES:
        op.add_column("rollup_hour", _measure(name), schema=SCHEMA)
    for table, keys in ROLLUPS.items():
        _create(table, keys, list(MEASURES))
    op.create_index("ix_rollup_day_agent_agent_id_day_at", "rollup_day_agent", ["agent_id", "day_at"], schema=SCHEMA)
    _create("rollup_day_alert", ALERT_KEYS, list(ALERT_COUNTS))
    for statement in _fill():
        op.execute(statement)


def downgrade() -> None:
    for table in ("rollup_day_alert", *reversed(ROLLUPS)):
        op.drop_table(table, schema=SCHEMA)
    for name in NEW_MEASURES:
        op.drop_column("rollup_hour", name, schema=SCHEMA)
    for name in NEW_FACTS:
        op.drop_column("fact_call", name, schema=SCHEMA)


RESTRICTED_SQL = f"""
UPDATE {SCHEMA}.fact_call c SET restricted_alerts = a.total, restricted_open_alerts = a.open FROM (
  SELECT call_id, count(*) AS total, count(*) FILTER (WHERE status = 'open') AS open
  FROM {SCHEMA}.fact_alert WHERE category = 'self_harm' GROUP BY call_id) a
WHERE a.call_id = c.call_id
"""  # noqa: S608  (our own names)


def _fill() -> list[str]:
    names = ", ".join(MEASURES)
    of_row = ", ".join(f"sum({value})" for _, value in MEASURES.values())
    of_hours = ", ".join(f"sum({name})" for name in MEASURES)
    keys = ", ".join(HOUR_KEYS)
    made = [
        f"INSERT INTO {SCHEMA}.rollup_hour ({keys}, {names}) "  # noqa: S608  (our own names)
        f"SELECT {keys}, {of_row} FROM {SCHEMA}.fact_call GROUP BY {keys}"
    ]
    day = "date_trunc('day', hour_at, 'UTC')"
    for table, parts in ROLLUPS.items():
        read = ", ".join(day if part == "day_at" else part for part in parts)
        made.append(
            f"INSERT INTO {SCHEMA}.{table} ({', '.join(parts)}, {names}) "  # noqa: S608  (our own names)
            f"SELECT {read}, {of_hours} FROM {SCHEMA}.rollup_hour GROUP BY {read}"
        )
    read = f"{day}, c.team_id, c.queue_id, c.direction, a.category"
    made.append(
        f"INSERT INTO {SCHEMA}.rollup_day_alert ({', '.join([*ALERT_KEYS, *ALERT_COUNTS])}) "  # noqa: S608
        f"SELECT {read}, {', '.join(ALERT_COUNTS.values())} FROM {SCHEMA}.fact_call c "
        f"JOIN {SCHEMA}.fact_alert a ON a.call_id = c.call_id GROUP BY {read}"
    )
    return made
