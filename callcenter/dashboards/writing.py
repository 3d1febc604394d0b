"""The figures by which agents are compared: how each is read, written, and what being far from the peers is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from analytics.warehouse.results import Figures
from callcenter.core.templatetags import cc


@dataclass(frozen=True, slots=True)
class Manner:
    """One comparable figure. `better` as for tiles: +1 more is better, -1 less is better, 0 only different."""

    name: str
    label: Any
    read: Callable[[Figures], float | None]
    write: Callable[[float | None], str]
    better: int
    more: Any
    less: Any


def _each(part: int, figures: Figures) -> float | None:
    return part / figures.measured_calls if figures.measured_calls else None


def _one(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.1f}"


def _two(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.2f}"


def _whole(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.0f}"


MANNERS: tuple[Manner, ...] = (
    Manner(
        "handle", _("Handle time"), lambda f: f.average_handle_ms, cc.duration, 0, _("longer calls"), _("shorter calls")
    ),
    Manner(
        "customer",
        _("Customers' sentiment"),
        lambda f: f.sentiment_customer,
        cc.score,
        1,
        _("happier customers"),
        _("unhappier customers"),
    ),
    Manner(
        "negative",
        _("Negative calls"),
        lambda f: f.negative_share,
        cc.percent1,
        -1,
        _("more negative calls"),
        _("fewer negative calls"),
    ),
    Manner("talk", _("Talk share"), lambda f: f.talk_ratio_agent, cc.percent1, 0, _("talks more"), _("talks less")),
    Manner("pace", _("Words a minute"), lambda f: f.wpm_agent, _whole, 0, _("speaks faster"), _("speaks slower")),
    Manner("silence", _("Silence"), lambda f: f.silence_ratio, cc.percent1, -1, _("more silence"), _("less silence")),
    Manner(
        "overtalk",
        _("Talking at once"),
        lambda f: f.overtalk_ratio,
        cc.percent1,
        -1,
        _("more talking at once"),
        _("less talking at once"),
    ),
    Manner(
        "interrupting",
        _("Interruptions a call"),
        lambda f: _each(f.interruptions_agent, f),
        _one,
        -1,
        _("interrupts more"),
        _("interrupts less"),
    ),
    Manner(
        "alerts",
        _("Alerts a call"),
        lambda f: f.alerts / f.calls if f.calls else None,
        _two,
        -1,
        _("more alerts"),
        _("fewer alerts"),
    ),
)
