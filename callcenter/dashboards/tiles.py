"""Headline figures: each with what it was before, how it went meanwhile, and the calls that it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analytics.warehouse.results import BucketRow, Figures
from callcenter.calls.filters import CallQuery
from callcenter.core.templatetags import cc
from callcenter.dashboards.scope import calls_link

SPARK_WIDTH, SPARK_HEIGHT = 100, 22


@dataclass(frozen=True, slots=True)
class Kind:
    """One headline figure: how it is read, written, hinted at and judged, and where its calls are."""

    name: str
    label: Any
    icon: str
    attribute: str
    write: Callable[[Any], str]
    write_change: Callable[[float], str]
    #: +1: more is better; -1: less is better; 0: neither.
    better: int
    hint: Callable[[Figures], str]
    link: dict[str, Any]
    #: What the line under the figure needs to be summed by bucket.
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure, written out. `good` says whether the change is an improvement; None: neither."""

    name: str
    label: str
    value: str
    before: str
    hint: str
    change: str
    good: bool | None
    url: str
    icon: str
    spark: str


def _count(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:,.0f}"


def _calls(count: int) -> str:
    return ngettext("%(count)s call", "%(count)s calls", count) % {"count": f"{count:,}"}


def _points(value: float) -> str:
    return _("%(value)s pts") % {"value": f"{value * 100:.1f}"}


def _number(value: float | None) -> str:
    return cc.NOTHING if value is None else f"{value:.0f}"


KINDS: tuple[Kind, ...] = (
    Kind(
        "calls", gettext_lazy("Calls"), "phone", "calls", _count, _count, 0, lambda f: _("understood"), {}, ("calls",)
    ),
    Kind(
        "handle",
        gettext_lazy("Handle time"),
        "clock",
        "average_handle_ms",
        cc.duration,
        cc.duration,
        -1,
        lambda f: _("of it %(time)s on hold") % {"time": cc.duration(f.average_hold_ms)},
        {"sort": "longest"},
        ("calls", "duration_ms"),
    ),
    Kind(
        "sentiment",
        gettext_lazy("Sentiment"),
        "mood-smile",
        "sentiment",
        cc.score,
        lambda v: f"{v:.2f}",
        1,
        lambda f: _("%(share)s of calls negative") % {"share": cc.percent(f.negative_share)},
        {"sort": "negative"},
        ("sentiment_calls", "sentiment_sum"),
    ),
    Kind(
        "silence",
        gettext_lazy("Silence"),
        "volume-off",
        "silence_ratio",
        cc.percent1,
        _points,
        -1,
        lambda f: _("of the time"),
        {},
        ("silence_ms", "measured_ms"),
    ),
    Kind(
        "overtalk",
        gettext_lazy("Talking at once"),
        "messages",
        "overtalk_ratio",
        cc.percent1,
        _points,
        -1,
        lambda f: _("%(number)s interruptions a call") % {"number": f"{f.interruptions_per_call or 0:.1f}"},
        {},
        ("overtalk_ms", "measured_ms"),
    ),
    Kind(
        "talk",
        gettext_lazy("Agent's talk share"),
        "microphone",
        "talk_ratio_agent",
        cc.percent1,
        _points,
        0,
        lambda f: (
            _("customers %(share)s")
            % {"share": cc.percent(None if f.talk_ratio_agent is None else 1 - f.talk_ratio_agent)}
        ),
        {},
        ("agent_talk_ms", "customer_talk_ms"),
    ),
    Kind(
        "pace",
        gettext_lazy("Words a minute"),
        "gauge",
        "wpm_agent",
        _number,
        _number,
        0,
        lambda f: _("agents; customers %(number)s") % {"number": _number(f.wpm_customer)},
        {},
        ("wpm_agent_calls", "wpm_agent_sum"),
    ),
    Kind(
        "alerts",
        gettext_lazy("Alerts"),
        "flag",
        "alerts",
        _count,
        _count,
        -1,
        lambda f: _("%(share)s of calls with an open one") % {"share": cc.percent(f.alert_rate)},
        {"alerts": "any"},
        ("alerts",),
    ),
    Kind(
        "open",
        gettext_lazy("Open alerts"),
        "alert-triangle",
        "open_alerts",
        _count,
        _count,
        0,
        lambda f: _("in %(calls)s") % {"calls": _calls(f.alerted_calls)},
        {"alerts": "open"},
        ("open_alerts",),
    ),
    Kind(
        "positive",
        gettext_lazy("Positive calls"),
        "thumb-up",
        "positive_share",
        cc.percent1,
        _points,
        1,
        lambda f: _calls(f.positive_calls),
        {"mood": "positive"},
        ("positive_calls", "sentiment_calls"),
    ),
    Kind(
        "review",
        gettext_lazy("Review coverage"),
        "pencil-check",
        "review_coverage",
        cc.percent1,
        _points,
        1,
        lambda f: _("%(calls)s looked at") % {"calls": _calls(f.reviewed_calls)},
        {"reviewed": "yes"},
        ("reviewed_calls", "calls"),
    ),
    Kind(
        "quality",
        gettext_lazy("Transcription quality"),
        "writing",
        "mean_word_probability",
        cc.percent1,
        _points,
        1,
        lambda f: (
            _("%(count)s doubtful (%(share)s)")
            % {"count": f"{f.doubtful_calls:,}", "share": cc.percent(f.doubtful_share)}
        ),
        {"sort": "unsure"},
        ("probability_sum", "probability_words"),
    ),
)
MEASURES = frozenset(measure for kind in KINDS for measure in kind.measures) | {
    "sentiment_agent_calls", "sentiment_agent_sum", "sentiment_customer_calls", "sentiment_customer_sum",
}  # fmt: skip


def tiles(
    now: Figures, before: Figures | None, series: Sequence[BucketRow], query: CallQuery, *, back: str = ""
) -> list[Tile]:
    """Return the headline figures. Without calls in the period before, nothing is said of a change."""
    known = before if before is not None and before.calls else None
    return [_tile(kind, now, known, series, query, back) for kind in KINDS]


def _tile(
    kind: Kind, now: Figures, before: Figures | None, series: Sequence[BucketRow], query: CallQuery, back: str
) -> Tile:
    value = getattr(now, kind.attribute)
    was = getattr(before, kind.attribute) if before is not None else None
    text, good = "", None
    moved = 0.0 if value is None or was is None else value - was
    written = kind.write_change(abs(moved))
    # What is written as nothing is no change: a red or green zero would only alarm.
    if any(digit in written for digit in "123456789"):
        text = ("+" if moved > 0 else "−") + written
        good = (moved > 0) == (kind.better > 0) if kind.better else None
    return Tile(
        name=kind.name,
        label=str(kind.label),
        value=kind.write(value),
        before=kind.write(was) if was is not None else "",
        hint=kind.hint(now),
        change=text,
        good=good,
        url=calls_link(query, back=back, **kind.link),
        icon=kind.icon,
        spark=spark([getattr(row.figures, kind.attribute) for row in series]),
    )


def spark(values: Sequence[float | None]) -> str:
    """Return the points of a small line, or nothing where there are too few values for one."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 3:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    span, last = (high - low) or 1.0, max(1, len(values) - 1)
    return " ".join(
        f"{place / last * SPARK_WIDTH:.1f},{SPARK_HEIGHT - 2 - (value - low) / span * (SPARK_HEIGHT - 4):.1f}"
        for place, value in known
    )
