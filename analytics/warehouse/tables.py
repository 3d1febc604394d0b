"""The star schema, typed: what the warehouse holds and how it is indexed. No word that was said is in it.

Keys of teams, queues and agents are the operational ids; key 0 is "none" (a call without queue or agent), so
that no join and no rollup has to treat NULL. Intents and models are their own keys. Scores and ratios are
NUMERIC and not floating point: sums are then exact and do not depend on the order of rows, so a rollup can be
*equal* to its facts.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "analytics"
NONE_KEY = 0

BigKey = Annotated[int, mapped_column(BigInteger, autoincrement=False)]
Count = Annotated[int, mapped_column(Integer)]
Ms = Annotated[int, mapped_column(Integer)]
Score = Annotated[float, mapped_column(Numeric(7, 6, asdecimal=False))]
Rate = Annotated[float, mapped_column(Numeric(8, 2, asdecimal=False))]
Sum = Annotated[int, mapped_column(BigInteger)]
ExactSum = Annotated[float, mapped_column(Numeric(20, 6, asdecimal=False))]
Moment = Annotated[dt.datetime, mapped_column(DateTime(timezone=True))]
Words = Annotated[str, mapped_column(Text)]


class Base(DeclarativeBase):
    """Every table of the warehouse; the names of constraints are fixed so that migrations can drop them."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        },
    )


class DimDate(Base):
    """One UTC calendar day on which a call started."""

    __tablename__ = "dim_date"

    date_key: Mapped[dt.date] = mapped_column(Date, primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger)
    quarter: Mapped[int] = mapped_column(SmallInteger)
    month: Mapped[int] = mapped_column(SmallInteger)
    day: Mapped[int] = mapped_column(SmallInteger)
    iso_year: Mapped[int] = mapped_column(SmallInteger)
    iso_week: Mapped[int] = mapped_column(SmallInteger)
    weekday: Mapped[int] = mapped_column(SmallInteger)
    is_weekend: Mapped[bool]


class DimTeam(Base):
    __tablename__ = "dim_team"

    team_id: Mapped[BigKey] = mapped_column(primary_key=True)
    name: Mapped[Words]


class DimQueue(Base):
    __tablename__ = "dim_queue"

    queue_id: Mapped[BigKey] = mapped_column(primary_key=True)
    name: Mapped[Words]


class DimAgent(Base):
    __tablename__ = "dim_agent"

    agent_id: Mapped[BigKey] = mapped_column(primary_key=True)
    username: Mapped[Words]
    name: Mapped[Words]


class DimIntent(Base):
    __tablename__ = "dim_intent"

    intent: Mapped[Words] = mapped_column(primary_key=True)


class DimModel(Base):
    __tablename__ = "dim_model"

    model: Mapped[Words] = mapped_column(primary_key=True)


class FactCall(Base):
    """One call with everything that a figure may be asked of; measures are NULL where understanding did not
    run.
    """

    __tablename__ = "fact_call"

    call_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    external_id: Mapped[Words]
    recording_sha256: Mapped[Words]
    started_at: Mapped[Moment]
    hour_at: Mapped[Moment]
    date_key: Mapped[dt.date] = mapped_column(ForeignKey(DimDate.date_key))
    team_id: Mapped[BigKey] = mapped_column(ForeignKey(DimTeam.team_id))
    queue_id: Mapped[BigKey] = mapped_column(ForeignKey(DimQueue.queue_id))
    agent_id: Mapped[BigKey] = mapped_column(ForeignKey(DimAgent.agent_id))
    intent: Mapped[Words] = mapped_column(ForeignKey(DimIntent.intent))
    model: Mapped[Words] = mapped_column(ForeignKey(DimModel.model))
    direction: Mapped[Words]
    language: Mapped[Words]
    customer_ref: Mapped[Words]
    layout: Mapped[Words]
    transcribed_at: Mapped[Moment | None]
    duration_ms: Mapped[Ms]
    words: Mapped[Count]
    turns: Mapped[Count]
    mean_word_probability: Mapped[Score | None]
    intent_probability: Mapped[Score | None]
    sentiment: Mapped[Score | None]
    sentiment_agent: Mapped[Score | None]
    sentiment_customer: Mapped[Score | None]
    sentiment_customer_change: Mapped[Score | None]
    talk_ratio_agent: Mapped[Score | None]
    agent_talk_ms: Mapped[Ms | None]
    customer_talk_ms: Mapped[Ms | None]
    silence_ms: Mapped[Ms | None]
    silence_ratio: Mapped[Score | None]
    longest_silence_ms: Mapped[Ms | None]
    overtalk_ms: Mapped[Ms | None]
    interruptions_agent: Mapped[Count | None]
    interruptions_customer: Mapped[Count | None]
    wpm_agent: Mapped[Rate | None]
    wpm_customer: Mapped[Rate | None]
    longest_monologue_agent_ms: Mapped[Ms | None]
    longest_monologue_customer_ms: Mapped[Ms | None]
    response_latency_agent_ms: Mapped[Ms | None]
    response_latency_customer_ms: Mapped[Ms | None]
    hold_ms: Mapped[Ms | None]
    holds: Mapped[Count | None]
    alerts: Mapped[Count]
    open_alerts: Mapped[Count]
    restricted_alerts: Mapped[Count]
    restricted_open_alerts: Mapped[Count]
    reviewed_turns: Mapped[Count]
    nlu_version: Mapped[Words]
    document_sha256: Mapped[Words]
    loaded_at: Mapped[Moment] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index(None, "started_at", "call_id"),
        Index(None, "team_id", "started_at"),
        Index(None, "queue_id", "started_at"),
        Index(None, "agent_id", "started_at"),
        Index(None, "intent", "started_at"),
        Index(None, "hour_at", "team_id"),
        Index(None, "customer_ref"),
    )


class FactTurn(Base):
    """One turn of one call: who, when, how many words, how sure, how it sounded. Not what was said."""

    __tablename__ = "fact_turn"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(FactCall.call_id, ondelete="CASCADE"), primary_key=True)
    turn_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    party: Mapped[Words]
    start_ms: Mapped[Ms]
    end_ms: Mapped[Ms]
    words: Mapped[Count]
    sentiment: Mapped[Score | None]
    mean_probability: Mapped[Score | None]


class FactAlert(Base):
    """One alert of one call with its triage status; the quote stays in the operational database."""

    __tablename__ = "fact_alert"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(FactCall.call_id, ondelete="CASCADE"), primary_key=True)
    alert_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    category: Mapped[Words]
    severity: Mapped[Words]
    status: Mapped[Words]
    party: Mapped[Words]
    start_ms: Mapped[Ms]
    end_ms: Mapped[Ms]
    score: Mapped[Score | None]
    rule_key: Mapped[Words]
    rule_version: Mapped[Words]
    created_at: Mapped[Moment | None]

    __table_args__ = (Index(None, "category", "status"), Index(None, "rule_key"))


class FactCallIntent(Base):
    """One intent that was heard in one call; exactly the primary one also stands in `fact_call.intent`."""

    __tablename__ = "fact_call_intent"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(FactCall.call_id, ondelete="CASCADE"), primary_key=True)
    intent: Mapped[Words] = mapped_column(ForeignKey(DimIntent.intent), primary_key=True)
    probability: Mapped[Score]
    is_primary: Mapped[bool]
    turns: Mapped[Count]

    __table_args__ = (Index(None, "intent"),)


class Measures:
    """The sums that every rollup of calls holds, under the names of `measures.ROW`; a mean is a `_sum` divided
    by its `_calls` or `_words`.
    """

    calls: Mapped[Sum]
    duration_ms: Mapped[Sum]
    measured_calls: Mapped[Sum]
    measured_ms: Mapped[Sum]
    agent_talk_ms: Mapped[Sum]
    customer_talk_ms: Mapped[Sum]
    silence_ms: Mapped[Sum]
    overtalk_ms: Mapped[Sum]
    hold_ms: Mapped[Sum]
    interruptions_agent: Mapped[Sum]
    interruptions_customer: Mapped[Sum]
    wpm_agent_calls: Mapped[Sum]
    wpm_agent_sum: Mapped[ExactSum]
    wpm_customer_calls: Mapped[Sum]
    wpm_customer_sum: Mapped[ExactSum]
    words: Mapped[Sum]
    probability_words: Mapped[Sum]
    probability_sum: Mapped[ExactSum]
    doubtful_calls: Mapped[Sum]
    reviewed_calls: Mapped[Sum]
    sentiment_calls: Mapped[Sum]
    sentiment_sum: Mapped[ExactSum]
    sentiment_agent_calls: Mapped[Sum]
    sentiment_agent_sum: Mapped[ExactSum]
    sentiment_customer_calls: Mapped[Sum]
    sentiment_customer_sum: Mapped[ExactSum]
    negative_calls: Mapped[Sum]
    positive_calls: Mapped[Sum]
    alerts: Mapped[Sum]
    open_alerts: Mapped[Sum]
    alerted_calls: Mapped[Sum]
    restricted_alerts: Mapped[Sum]
    restricted_open_alerts: Mapped[Sum]
    restricted_alerted_calls: Mapped[Sum]


class RollupHour(Measures, Base):
    """Sums over the calls of one UTC hour, team, queue, agent, direction and primary intent; always equal to
    the facts. With many agents and intents it has nearly as many rows as there are calls: the coarser rollups
    below are derived from it and stay small however many calls there are.
    """

    __tablename__ = "rollup_hour"

    hour_at: Mapped[Moment] = mapped_column(primary_key=True)
    team_id: Mapped[BigKey] = mapped_column(ForeignKey(DimTeam.team_id), primary_key=True)
    queue_id: Mapped[BigKey] = mapped_column(ForeignKey(DimQueue.queue_id), primary_key=True)
    agent_id: Mapped[BigKey] = mapped_column(ForeignKey(DimAgent.agent_id), primary_key=True)
    direction: Mapped[Words] = mapped_column(primary_key=True)
    intent: Mapped[Words] = mapped_column(ForeignKey(DimIntent.intent), primary_key=True)

    __table_args__ = (
        Index(None, "team_id", "hour_at"),
        Index(None, "queue_id", "hour_at"),
        Index(None, "agent_id", "hour_at"),
    )


class RollupHourQueue(Measures, Base):
    """Sums of one UTC hour, team, queue and direction: what charts over time and the heat map read."""

    __tablename__ = "rollup_hour_queue"

    hour_at: Mapped[Moment] = mapped_column(primary_key=True)
    team_id: Mapped[BigKey] = mapped_column(ForeignKey(DimTeam.team_id), primary_key=True)
    queue_id: Mapped[BigKey] = mapped_column(ForeignKey(DimQueue.queue_id), primary_key=True)
    direction: Mapped[Words] = mapped_column(primary_key=True)


class RollupDayAgent(Measures, Base):
    """Sums of one UTC day, team, queue, agent and direction: headline figures, and agents side by side."""

    __tablename__ = "rollup_day_agent"

    day_at: Mapped[Moment] = mapped_column(primary_key=True)
    team_id: Mapped[BigKey] = mapped_column(ForeignKey(DimTeam.team_id), primary_key=True)
    queue_id: Mapped[BigKey] = mapped_column(ForeignKey(DimQueue.queue_id), primary_key=True)
    agent_id: Mapped[BigKey] = mapped_column(ForeignKey(DimAgent.agent_id), primary_key=True)
    direction: Mapped[Words] = mapped_column(primary_key=True)

    __table_args__ = (Index(None, "agent_id", "day_at"),)


class RollupDayIntent(Measures, Base):
    """Sums of one UTC day, team, queue, direction and primary intent: what callers wanted."""

    __tablename__ = "rollup_day_intent"

    day_at: Mapped[Moment] = mapped_column(primary_key=True)
    team_id: Mapped[BigKey] = mapped_column(ForeignKey(DimTeam.team_id), primary_key=True)
    queue_id: Mapped[BigKey] = mapped_column(ForeignKey(DimQueue.queue_id), primary_key=True)
    direction: Mapped[Words] = mapped_column(primary_key=True)
    intent: Mapped[Words] = mapped_column(ForeignKey(DimIntent.intent), primary_key=True)


class RollupDayAlert(Base):
    """Alerts of the calls of one UTC day, team, queue and direction by category and triage."""

    __tablename__ = "rollup_day_alert"

    day_at: Mapped[Moment] = mapped_column(primary_key=True)
    team_id: Mapped[BigKey] = mapped_column(ForeignKey(DimTeam.team_id), primary_key=True)
    queue_id: Mapped[BigKey] = mapped_column(ForeignKey(DimQueue.queue_id), primary_key=True)
    direction: Mapped[Words] = mapped_column(primary_key=True)
    category: Mapped[Words] = mapped_column(primary_key=True)
    total: Mapped[Sum]
    open: Mapped[Sum]
    acknowledged: Mapped[Sum]
    dismissed: Mapped[Sum]
    open_critical: Mapped[Sum]
    open_high: Mapped[Sum]
    calls: Mapped[Sum]
    open_calls: Mapped[Sum]


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101  (narrows the declared type; it cannot be anything else)
    return table


dim_date = _table(DimDate)
dim_team = _table(DimTeam)
dim_queue = _table(DimQueue)
dim_agent = _table(DimAgent)
dim_intent = _table(DimIntent)
dim_model = _table(DimModel)
fact_call = _table(FactCall)
fact_turn = _table(FactTurn)
fact_alert = _table(FactAlert)
fact_call_intent = _table(FactCallIntent)
rollup_hour = _table(RollupHour)
rollup_hour_queue = _table(RollupHourQueue)
rollup_day_agent = _table(RollupDayAgent)
rollup_day_intent = _table(RollupDayIntent)
rollup_day_alert = _table(RollupDayAlert)
