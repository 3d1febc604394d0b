"""Who is unlike the others: a robust z of each figure among agents with enough calls. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics.warehouse.results import AgentRow
from callcenter.dashboards.writing import MANNERS, Manner

MIN_CALLS = 30
"""Fewer calls say little of a person; such an agent is neither judged nor counted as a peer."""
MIN_PEERS = 5
OUTLIER = 3.0
STRENGTH = 1.5
#: The spread of a figure is never taken for smaller than this share of its median, or tiny differences would shout.
FLOOR = 0.03
_TO_SIGMA = 1.4826
"""Turns the median absolute deviation into a standard deviation, for figures that are spread normally."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one agent beside the median of the peers. `z` is None where it cannot be said."""

    manner: Manner
    value: float | None
    median: float | None
    z: float | None

    @property
    def outlier(self) -> bool:
        return self.z is not None and abs(self.z) >= OUTLIER

    @property
    def strength(self) -> bool:
        return self.z is not None and self.manner.better != 0 and self.z * self.manner.better >= STRENGTH

    @property
    def concern(self) -> bool:
        return self.z is not None and self.manner.better != 0 and self.z * self.manner.better <= -STRENGTH

    @property
    def words(self) -> str:
        """Say in words what is unlike."""
        return str(self.manner.more if (self.z or 0) > 0 else self.manner.less)


def robust_z(value: float, others: Sequence[float]) -> float | None:
    """Return how many robust standard deviations a value lies from the median; None with too few values."""
    if len(others) < MIN_PEERS:
        return None
    middle = statistics.median(others)
    spread = statistics.median(abs(other - middle) for other in others) * _TO_SIGMA
    spread = max(spread, abs(middle) * FLOOR)
    return (value - middle) / spread if spread > 0 else None


def compare(rows: Sequence[AgentRow]) -> dict[int, list[Compared]]:
    """Return, for every agent with enough calls, all figures beside those of the peers."""
    peers = [row for row in rows if row.agent_id and row.figures.calls >= MIN_CALLS]
    values: Mapping[str, list[float]] = {
        manner.name: [v for row in peers if (v := manner.read(row.figures)) is not None] for manner in MANNERS
    }
    found: dict[int, list[Compared]] = {}
    for row in peers:
        compared = []
        for manner in MANNERS:
            value, others = manner.read(row.figures), values[manner.name]
            z = robust_z(value, others) if value is not None else None
            median = statistics.median(others) if len(others) >= MIN_PEERS else None
            compared.append(Compared(manner, value, median, z))
        found[row.agent_id] = compared
    return found
