"""Every additive measure is defined once, as an expression over one `fact_call` row.

A figure is the sum of these expressions over calls; `rollup_hour` holds the same sums by hour under the same
names. Because the definition is shared, a page that reads the rollup and a page that reads the facts cannot
disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Numeric, case, cast, func, literal
from sqlalchemy.sql.expression import ColumnCollection

from analytics.warehouse.tables import fact_call

NEGATIVE_AT_MOST = -0.25
POSITIVE_AT_LEAST = 0.25
"""A call counts as negative or positive from these call scores on; between them it is neutral."""

DOUBTFUL_BELOW = 0.7
"""A call whose mean word probability is lower deserves an ear before anybody trusts its transcript."""

RESTRICTED = frozenset({"self_harm"})
"""Alert categories that only some people may know of. They are counted apart, so that a reader who may not see
them gets sums without them and not merely a shorter list.
"""

_c: ColumnCollection[str, Any] = fact_call.c


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, literal(1)), else_=literal(0))


def _or_zero(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(column, 0)


def _or_one(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(column, 1)


ROW: Mapping[str, ColumnElement[Any]] = {
    "calls": literal(1),
    "duration_ms": _c.duration_ms,
    "measured_calls": _flag(_c.silence_ms.is_not(None)),
    "measured_ms": case((_c.silence_ms.is_not(None), _c.duration_ms), else_=literal(0)),
    "agent_talk_ms": _or_zero(_c.agent_talk_ms),
    "customer_talk_ms": _or_zero(_c.customer_talk_ms),
    "silence_ms": _or_zero(_c.silence_ms),
    "overtalk_ms": _or_zero(_c.overtalk_ms),
    "hold_ms": _or_zero(_c.hold_ms),
    "interruptions_agent": _or_zero(_c.interruptions_agent),
    "interruptions_customer": _or_zero(_c.interruptions_customer),
    "wpm_agent_calls": _flag(_c.wpm_agent.is_not(None)),
    "wpm_agent_sum": _or_zero(_c.wpm_agent),
    "wpm_customer_calls": _flag(_c.wpm_customer.is_not(None)),
    "wpm_customer_sum": _or_zero(_c.wpm_customer),
    "words": _c.words,
    "probability_words": case((_c.mean_word_probability.is_not(None), _c.words), else_=literal(0)),
    "probability_sum": _or_zero(_c.mean_word_probability * _c.words),
    "doubtful_calls": _flag(_or_one(_c.mean_word_probability) < DOUBTFUL_BELOW),
    "reviewed_calls": _flag(_c.reviewed_turns > 0),
    "sentiment_calls": _flag(_c.sentiment.is_not(None)),
    "sentiment_sum": _or_zero(_c.sentiment),
    "sentiment_agent_calls": _flag(_c.sentiment_agent.is_not(None)),
    "sentiment_agent_sum": _or_zero(_c.sentiment_agent),
    "sentiment_customer_calls": _flag(_c.sentiment_customer.is_not(None)),
    "sentiment_customer_sum": _or_zero(_c.sentiment_customer),
    "negative_calls": _flag(_or_zero(_c.sentiment) <= NEGATIVE_AT_MOST),
    "positive_calls": _flag(_or_zero(_c.sentiment) >= POSITIVE_AT_LEAST),
    "alerts": _c.alerts,
    "open_alerts": _c.open_alerts,
    "alerted_calls": _flag(_c.open_alerts > 0),
    "restricted_alerts": _c.restricted_alerts,
    "restricted_open_alerts": _c.restricted_open_alerts,
    # Calls whose only open alerts are restricted ones: who may not see those sees a call without an open alert.
    "restricted_alerted_calls": _flag((_c.open_alerts > 0) & (_c.open_alerts == _c.restricted_open_alerts)),
}

_HIDING = {
    "alerts": "restricted_alerts",
    "open_alerts": "restricted_open_alerts",
    "alerted_calls": "restricted_alerted_calls",
}

EXACT = frozenset(name for name in ROW if name.endswith("_sum"))
"""The measures that are sums of scores (NUMERIC); all others are whole numbers."""


def named(names: Iterable[str] | None) -> list[str]:
    """Return these measures in their order, or all; a statement is built anew each time, and each column costs."""
    wanted = None if names is None else set(names)
    return [name for name in ROW if wanted is None or name in wanted]


def with_hidden(names: Iterable[str]) -> list[str]:
    """Return the measures together with those that `shown` takes off from them."""
    wanted = set(names)
    return named(wanted | {_HIDING[name] for name in wanted if name in _HIDING})


def row_columns(names: Iterable[str] | None = None) -> list[ColumnElement[Any]]:
    """Return the measures of a single call, labelled, typed as the rollup types them (so the two can be
    stacked).
    """
    return [cast(ROW[name], _type(name)).label(name) for name in named(names)]


def shown(
    source: Mapping[str, ColumnElement[Any]] | ColumnCollection[str, Any],
    *,
    restricted: bool,
    names: Iterable[str] | None = None,
) -> list[ColumnElement[Any]]:
    """Return the measures as a reader may know them: without `restricted`, nothing counts a restricted alert."""

    def one(name: str) -> ColumnElement[Any]:
        if restricted:
            return source[name].label(name)
        if name in _HIDING.values():
            return cast(literal(0), _type(name)).label(name)
        if name in _HIDING:
            return (source[name] - source[_HIDING[name]]).label(name)
        return source[name].label(name)

    return [one(name) for name in named(names)]


def sum_columns(
    source: Mapping[str, ColumnElement[Any]] | ColumnCollection[str, Any], names: Iterable[str] | None = None
) -> list[ColumnElement[Any]]:
    """Return the sums over a source that has the measures as columns, labelled; 0 where there is no row.

    `names` limits the work to some measures; the database then does not even read the others.
    """
    return [cast(func.coalesce(func.sum(source[name]), 0), _type(name)).label(name) for name in named(names)]


def _type(name: str) -> BigInteger | Numeric[float]:
    return Numeric(20, 6, asdecimal=False) if name in EXACT else BigInteger()
