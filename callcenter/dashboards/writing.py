"""The figures by which agents are compared: how each is read, written, and what being far from the peers is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analytics.warehouse.results import Figures
from callcenter.core.templatetags import cc


@dataclass(frozen=True, slots=True)
class Manner:
    """One comparable figure. `better` as for tiles: +1 more is better, -1 less is better, 0 only different."""

    name: str
    label: str
    read: Callable[[Figures], float | None]
    write: Callable[[float | None], str]
    better: int
    more: str
    less: str


def _each(part: int, figures: Figures) -> float | None:
    return part / figures.measured_calls if figures.measured_calls else None


def _one(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.1f}"


def _two(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.2f}"


def _whole(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.0f}"


MANNERS: tuple[Manner, ...] = (
    Manner("handle", "Handle time", lambda f: f.average_handle_ms, cc.duration, 0, "longer calls", "shorter calls"),
    Manner("customer", "Customers' sentiment", lambda f: f.sentiment_customer, cc.score, 1,
           "happier customers", "unhappier customers"),
    Manner("negative", "Negative calls", lambda f: f.negative_share, cc.percent1, -1,
           "more negative calls", "fewer negative calls"),
    Manner("talk", "Talk share", lambda f: f.talk_ratio_agent, cc.percent1, 0, "talks more", "talks less"),
    Manner("pace", "Words a minute", lambda f: f.wpm_agent, _whole, 0, "speaks faster", "speaks slower"),
    Manner("silence", "Silence", lambda f: f.silence_ratio, cc.percent1, -1, "more silence", "less silence"),
    Manner("overtalk", "Talking at once", lambda f: f.overtalk_ratio, cc.percent1, -1,
           "more talking at once", "less talking at once"),
    Manner("interrupting", "Interruptions a call", lambda f: _each(f.interruptions_agent, f), _one, -1,
           "interrupts more", "interrupts less"),
    Manner("alerts", "Alerts a call", lambda f: f.alerts / f.calls if f.calls else None, _two, -1,
           "more alerts", "fewer alerts"),
)  # fmt: skip
