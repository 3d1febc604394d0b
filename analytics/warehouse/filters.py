"""Which calls a query may see and which of them were asked for. The first part cannot be left out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Direction = Literal["inbound", "outbound", "unknown"]
Mood = Literal["negative", "neutral", "positive"]


class Scope(Enum):
    """The one way to say "every team"; None never means it, so a forgotten value cannot open the house."""

    ALL = "all"


@dataclass(frozen=True, slots=True)
class VisibleTeams:
    """What one reader may see: the calls of these teams and, with `own_agent_id`, of those only that agent's
    own. Restricted alerts (`measures.RESTRICTED`) are neither shown nor counted unless `restricted` says so.
    """

    team_ids: frozenset[int] | Literal[Scope.ALL]
    own_agent_id: int | None = None
    restricted: bool = False

    def __post_init__(self) -> None:
        if self.team_ids is not Scope.ALL and not isinstance(self.team_ids, frozenset):
            raise TypeError("visible teams are a frozenset of team ids, or Scope.ALL")
        if self.own_agent_id is not None and self.own_agent_id < 1:
            raise ValueError("own_agent_id is the id of an agent; 0 would mean every call without one")

    @classmethod
    def of(cls, team_ids: Iterable[int], *, own_agent_id: int | None = None, restricted: bool = False) -> VisibleTeams:
        """Return the scope of these teams; none at all is a valid scope and sees nothing."""
        return cls(frozenset(team_ids), own_agent_id, restricted)

    @classmethod
    def all(cls, *, own_agent_id: int | None = None, restricted: bool = False) -> VisibleTeams:
        """Return the scope of every team."""
        return cls(Scope.ALL, own_agent_id, restricted)


ALL_TEAMS: Final = VisibleTeams(Scope.ALL)
NO_TEAMS: Final = VisibleTeams(frozenset())

RANGED = frozenset(
    {
        "duration_ms", "silence_ratio", "talk_ratio_agent", "overtalk_ratio", "wpm_agent", "sentiment",
        "mean_word_probability",
    }
)  # fmt: skip
_SETS = (
    "team_ids",
    "queue_ids",
    "agent_ids",
    "intents",
    "directions",
    "languages",
    "models",
    "alert_categories",
)


@dataclass(frozen=True, slots=True)
class CallFilter:
    """The calls that a query is about. `visible` is positional and has no default: every page states it.

    A set of None means "any"; an empty set means "none of them". Key 0 in `queue_ids` or `agent_ids` means
    calls without one. `start` is inclusive, `end` exclusive, both aware. `weekday` is 1 (Monday) to 7, `hour`
    0 to 23, both on the clock of `time_zone`; they exist so that a cell of the heatmap can link to its calls.
    `ranges` limits measures of the call, each by its least and its greatest value, both inclusive, None for open;
    a call without the measure is in no range.

    Raises:
        TypeError: `visible` is neither VisibleTeams nor a frozenset of team ids.
        ValueError: a naive time, an end before its start, an unknown zone, a weekday or hour out of range, a range
            of something that is not in `RANGED`.
    """

    visible: VisibleTeams
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    team_ids: frozenset[int] | None = None
    queue_ids: frozenset[int] | None = None
    agent_ids: frozenset[int] | None = None
    intents: frozenset[str] | None = None
    directions: frozenset[str] | None = None
    languages: frozenset[str] | None = None
    models: frozenset[str] | None = None
    alert_categories: frozenset[str] | None = None
    open_alerts: bool | None = None
    mood: Mood | None = None
    reviewed: bool | None = None
    with_alerts: bool | None = None
    weekday: int | None = None
    hour: int | None = None
    time_zone: str = "UTC"
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.visible, frozenset):
            object.__setattr__(self, "visible", VisibleTeams(self.visible))
        if not isinstance(self.visible, VisibleTeams):
            raise TypeError("the first argument of CallFilter says which teams are visible: VisibleTeams")
        for name in _SETS:
            value: Any = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"{name} is a set, not a string")
            if value is not None:
                object.__setattr__(self, name, frozenset(value))
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None:
                if value.tzinfo is None:
                    raise ValueError(f"{name} needs a time zone")
                object.__setattr__(self, name, value.astimezone(dt.UTC))
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("the period ends before it starts")
        if self.mood not in (None, "negative", "neutral", "positive"):
            raise ValueError("mood is negative, neutral or positive")
        if self.weekday is not None and not 1 <= self.weekday <= 7:
            raise ValueError("weekday is 1 (Monday) to 7 (Sunday)")
        if self.hour is not None and not 0 <= self.hour <= 23:
            raise ValueError("hour is 0 to 23")
        for name, _, _ in self.ranges:
            if name not in RANGED:
                raise ValueError(f"no range can be given of {name!r}")
        zone(self.time_zone)

    def previous(self) -> CallFilter:
        """Return the same filter over the period of the same length that ends where this one starts.

        Raises:
            ValueError: the period is open at either end, so it has no length.
        """
        if self.start is None or self.end is None:
            raise ValueError("only a period with a start and an end has a previous one")
        return replace(self, start=self.start - (self.end - self.start), end=self.start)


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone of this name.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None
