"""What the queries return: frozen dataclasses. Means are properties of sums, so a total of rows is always
right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over some calls, and the means that follow. A mean is None where there is nothing to take it of.

    Durations are milliseconds, sentiment is -1..1, ratios and probabilities are 0..1.
    """

    calls: int
    duration_ms: int
    measured_calls: int
    measured_ms: int
    agent_talk_ms: int
    customer_talk_ms: int
    silence_ms: int
    overtalk_ms: int
    hold_ms: int
    interruptions_agent: int
    interruptions_customer: int
    wpm_agent_calls: int
    wpm_agent_sum: float
    wpm_customer_calls: int
    wpm_customer_sum: float
    words: int
    probability_words: int
    probability_sum: float
    doubtful_calls: int
    reviewed_calls: int
    sentiment_calls: int
    sentiment_sum: float
    sentiment_agent_calls: int
    sentiment_agent_sum: float
    sentiment_customer_calls: int
    sentiment_customer_sum: float
    negative_calls: int
    positive_calls: int
    alerts: int
    open_alerts: int
    alerted_calls: int
    restricted_alerts: int
    restricted_open_alerts: int
    restricted_alerted_calls: int

    @property
    def average_handle_ms(self) -> float | None:
        """Mean duration of a call."""
        return _ratio(self.duration_ms, self.calls)

    @property
    def average_hold_ms(self) -> float | None:
        """Mean hold time of the calls whose talk was measured."""
        return _ratio(self.hold_ms, self.measured_calls)

    @property
    def sentiment(self) -> float | None:
        """Mean call score."""
        return _ratio(self.sentiment_sum, self.sentiment_calls)

    @property
    def sentiment_agent(self) -> float | None:
        return _ratio(self.sentiment_agent_sum, self.sentiment_agent_calls)

    @property
    def sentiment_customer(self) -> float | None:
        return _ratio(self.sentiment_customer_sum, self.sentiment_customer_calls)

    @property
    def neutral_calls(self) -> int:
        return self.sentiment_calls - self.negative_calls - self.positive_calls

    @property
    def negative_share(self) -> float | None:
        """Share of negative calls among those with a score."""
        return _ratio(self.negative_calls, self.sentiment_calls)

    @property
    def silence_ratio(self) -> float | None:
        """Silence as a share of the time of the calls whose talk was measured."""
        return _ratio(self.silence_ms, self.measured_ms)

    @property
    def talk_ratio_agent(self) -> float | None:
        """The agent's share of the talk."""
        return _ratio(self.agent_talk_ms, self.agent_talk_ms + self.customer_talk_ms)

    @property
    def overtalk_ratio(self) -> float | None:
        """Time in which both talked, as a share of the time of the calls whose talk was measured."""
        return _ratio(self.overtalk_ms, self.measured_ms)

    @property
    def wpm_agent(self) -> float | None:
        """The agent's words per minute of own talk, mean over calls."""
        return _ratio(self.wpm_agent_sum, self.wpm_agent_calls)

    @property
    def wpm_customer(self) -> float | None:
        return _ratio(self.wpm_customer_sum, self.wpm_customer_calls)

    @property
    def positive_share(self) -> float | None:
        """Share of positive calls among those with a score."""
        return _ratio(self.positive_calls, self.sentiment_calls)

    @property
    def doubtful_share(self) -> float | None:
        """Share of calls whose transcript deserves an ear before anybody trusts it."""
        return _ratio(self.doubtful_calls, self.calls)

    @property
    def review_coverage(self) -> float | None:
        """Share of calls of which a person looked at at least one turn."""
        return _ratio(self.reviewed_calls, self.calls)

    @property
    def interruptions_per_call(self) -> float | None:
        return _ratio(self.interruptions_agent + self.interruptions_customer, self.measured_calls)

    @property
    def mean_word_probability(self) -> float | None:
        """How sure the speech model was, over words (a long call weighs more)."""
        return _ratio(self.probability_sum, self.probability_words)

    @property
    def alert_rate(self) -> float | None:
        """Share of calls with an open alert."""
        return _ratio(self.alerted_calls, self.calls)

    def to_json(self) -> dict[str, Any]:
        """Return sums and means in one flat object."""
        means = {name: getattr(self, name) for name in _PROPERTIES}
        return {**asdict(self), **means}

    @classmethod
    def none(cls) -> Figures:
        """Return the figures of no calls."""
        return cls(*(0 for _ in fields(cls)))

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Figures:
        """Return the figures in a result row that has their names; a measure that was not asked for is 0."""
        values: dict[str, Any] = {name: row[name] if name in row else 0 for name in _FIELDS}
        return cls(**values)


_FIELDS = tuple(field.name for field in fields(Figures))
_PROPERTIES = tuple(name for name, value in vars(Figures).items() if isinstance(value, property))


@dataclass(frozen=True, slots=True)
class HeadlineChange:
    """The figures of a period beside those of the period of the same length before it, where there is one."""

    now: Figures
    before: Figures | None
    before_start: dt.datetime | None
    before_end: dt.datetime | None

    def change(self, name: str) -> float | None:
        """Return by how much a figure rose (absolute), or None where either period has none."""
        if self.before is None:
            return None
        now, before = getattr(self.now, name), getattr(self.before, name)
        return None if now is None or before is None else now - before


@dataclass(frozen=True, slots=True)
class BucketRow:
    """The figures of one hour, day, week or month; `start` and `end` are aware, in the zone that was asked
    for.
    """

    start: dt.datetime
    end: dt.datetime
    figures: Figures


@dataclass(frozen=True, slots=True)
class SentimentRow:
    """The mood of one bucket: mean scores (None without any) and how many calls were of which mood."""

    start: dt.datetime
    end: dt.datetime
    calls: int
    score: float | None
    agent: float | None
    customer: float | None
    negative_calls: int
    neutral_calls: int
    positive_calls: int


@dataclass(frozen=True, slots=True)
class IntentRow:
    """One intent: the calls of which it is the primary one, their share, and how many calls mention it at
    all.
    """

    intent: str
    share: float
    mentions: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class AlertRow:
    """The alerts of one category by triage status, and in how many calls they are. `open_critical` are a part
    of `open`.
    """

    category: str
    total: int
    open: int
    acknowledged: int
    dismissed: int
    open_critical: int
    open_high: int
    calls: int
    open_calls: int


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent; id 0 gathers the calls without one."""

    agent_id: int
    username: str
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue; id 0 gathers the calls without one."""

    queue_id: int
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class TeamRow:
    team_id: int
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class QualityRow:
    """How sure the speech model was for one model or party. `calls` are those it says something of."""

    name: str
    calls: int
    words: int
    mean_word_probability: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """How sure the speech model was: over all words, by model, by party (from turns), and in how many calls
    it was not.

    `doubtful_calls` have a mean word probability below `doubtful_below`.
    """

    mean_word_probability: float | None
    words: int
    calls: int
    doubtful_calls: int
    doubtful_below: float
    by_model: tuple[QualityRow, ...]
    by_party: tuple[QualityRow, ...]


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One hour of the week: `weekday` 1 (Monday) to 7, `hour` 0 to 23, on the clock that was asked for."""

    weekday: int
    hour: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that a filter can be set to, with how many visible calls it has."""

    id: int
    name: str
    calls: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters of a page can offer this reader: only what occurs in calls that the reader may see."""

    teams: tuple[Choice, ...]
    queues: tuple[Choice, ...]
    agents: tuple[Choice, ...]
    intents: tuple[str, ...]
    models: tuple[str, ...]
    languages: tuple[str, ...]
    alert_categories: tuple[str, ...]
    first_started_at: dt.datetime | None
    last_started_at: dt.datetime | None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
