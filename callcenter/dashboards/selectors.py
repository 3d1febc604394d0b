"""The dashboard's figures, all from the warehouse, each with the address of the calls behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from sqlalchemy import Engine

from analytics.warehouse import CallFilter, VisibleTeams, queries
from analytics.warehouse.buckets import Bucket
from callcenter.accounts.models import User
from callcenter.calls.filters import CallQuery
from callcenter.calls.selectors import intent_labels
from callcenter.core.templatetags import cc
from callcenter.insights.models import Category

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
INTENTS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure. `change` is written out; `good` says whether it is an improvement, or None."""

    label: str
    value: str
    hint: str
    change: str
    good: bool | None
    url: str
    icon: str


def visible(user: User) -> VisibleTeams:
    """Return the warehouse's access scope of this user: the one place where roles become scopes."""
    own = user.pk if user.is_agent else None
    if user.sees_all_teams:
        return VisibleTeams.all(restricted=user.sees_restricted_alerts)
    teams = user.teams.values_list("pk", flat=True)
    return VisibleTeams.of(teams, own_agent_id=own, restricted=user.sees_restricted_alerts)


def call_filter(user: User, query: CallQuery) -> CallFilter:
    """Return the warehouse filter that means the same calls as the address does."""
    one = lambda value: None if value in (None, "") else frozenset([value])  # noqa: E731
    return CallFilter(
        visible(user),
        start=query.start_time,
        end=query.end_time,
        team_ids=one(query.team),
        queue_ids=one(query.queue),
        agent_ids=one(query.agent),
        intents=one(query.intent),
        directions=one(query.direction),
        alert_categories=one(query.category),
        open_alerts=True if query.alerts == "open" else None,
        mood=query.mood or None,  # type: ignore[arg-type]
        weekday=query.weekday,
        hour=query.hour,
        time_zone=settings.TIME_ZONE,
    )


def dashboard(db: Engine, user: User, query: CallQuery) -> dict[str, Any]:
    """Return everything that the dashboard shows for this user and filter."""
    flt = call_filter(user, query)
    bucket = _bucket(query)
    head = queries.headline_with_previous(db, flt)
    quality = queries.quality(db, flt)
    buckets = queries.calls_over_time(db, flt, bucket, settings.TIME_ZONE)
    return {
        "figures": head.now,
        "tiles": _tiles(head, quality, query),
        "charts": {
            "bucket": bucket,
            "calls": [_call_point(row, query, bucket) for row in buckets],
            "heat": [_heat(cell, query) for cell in queries.heatmap(db, flt, settings.TIME_ZONE)],
            "weekdays": WEEKDAYS,
        },
        "moods": _moods(head.now, query),
        "intents": _intents(db, flt, query),
        "categories": _categories(db, flt, query),
        "agents": [
            {"row": row, "url": _calls(query, agent=row.agent_id), "name": row.name or row.username or "No agent"}
            for row in queries.agents(db, flt)
        ],
        "quality": quality,
    }


def _calls(query: CallQuery, **changes: Any) -> str:
    """Return the address of the calls behind a figure; the warehouse knows understood calls only."""
    return query.link(reverse("calls:list"), **{"state": "ready", **changes})


def _bucket(query: CallQuery) -> Bucket:
    if query.start is None or query.end is None:
        return "month" if query.start is None else "week"
    days = (query.end - query.start).days + 1
    if days <= 2:
        return "hour"
    return "day" if days <= 92 else "week" if days <= 740 else "month"


def _tiles(head: Any, quality: Any, query: CallQuery) -> list[Tile]:
    now = head.now
    known = query.start is not None and query.end is not None and head.before.calls > 0

    def change(name: str, write: Any, better: int = 0) -> tuple[str, bool | None]:
        moved = head.change(name) if known else None
        if moved is None or abs(moved) < 1e-9:
            return "", None
        text = ("+" if moved > 0 else "−") + write(abs(moved))
        return text, None if not better else (moved > 0) == (better > 0)

    doubtful = f"{quality.doubtful_calls} of {quality.calls} calls doubtful" if quality.calls else "no transcripts yet"
    rows = (
        ("Calls", f"{now.calls:,}", "understood", change("calls", lambda v: f"{v:,.0f}"), _calls(query), "phone"),
        ("Handle time", cc.duration(now.average_handle_ms), "on average",
         change("average_handle_ms", cc.duration, -1), _calls(query, sort="longest"), "clock"),
        ("Sentiment", cc.score(now.sentiment), f"{cc.percent(now.negative_share)} of calls negative",
         change("sentiment", lambda v: f"{v:.2f}", 1), _calls(query, sort="negative"), "mood-smile"),
        ("Silence", cc.percent(now.silence_ratio), "of the time",
         change("silence_ratio", lambda v: f"{v * 100:.1f} pts", -1), _calls(query), "volume-off"),
        ("Open alerts", f"{now.open_alerts:,}", f"in {now.alerted_calls:,} calls",
         change("open_alerts", lambda v: f"{v:,.0f}", -1), _calls(query, alerts="open"), "alert-triangle"),
        ("Transcription quality", cc.percent(now.mean_word_probability), doubtful,
         change("mean_word_probability", lambda v: f"{v * 100:.1f} pts", 1), _calls(query, sort="unsure"), "writing"),
    )  # fmt: skip
    return [
        Tile(label=label, value=value, hint=hint, change=text, good=good, url=url, icon=icon)
        for label, value, hint, (text, good), url, icon in rows
    ]


def _call_point(row: Any, query: CallQuery, bucket: str) -> dict[str, Any]:
    zone = ZoneInfo(settings.TIME_ZONE)
    first = row.start.astimezone(zone)
    last = (row.end - timedelta(seconds=1)).astimezone(zone)
    changes: dict[str, Any] = {
        "start": max(first.date(), query.start) if query.start else first.date(),
        "end": min(last.date(), query.end) if query.end else last.date(),
    }
    if bucket == "hour":
        changes["hour"] = first.hour
    day = f"{first:%d %b}"
    label = {"hour": f"{day} {first:%H}:00", "day": day, "week": day, "month": f"{first:%b %Y}"}
    figures = row.figures
    return {
        "label": label[bucket],
        "calls": figures.calls,
        "agent": figures.sentiment_agent,
        "customer": figures.sentiment_customer,
        "score": figures.sentiment,
        "url": _calls(query, **changes),
    }


def _heat(cell: Any, query: CallQuery) -> dict[str, Any]:
    return {
        "weekday": cell.weekday,
        "hour": cell.hour,
        "calls": cell.figures.calls,
        "url": _calls(query, weekday=cell.weekday, hour=cell.hour),
    }


def _moods(figures: Any, query: CallQuery) -> list[dict[str, Any]]:
    total = figures.sentiment_calls or 1
    counts = {
        "negative": figures.negative_calls,
        "neutral": figures.neutral_calls,
        "positive": figures.positive_calls,
    }
    return [
        {"name": name, "calls": count, "share": count / total, "width": round(100 * count / total, 2),
         "url": _calls(query, mood=name)}
        for name, count in counts.items()
    ]  # fmt: skip


def _intents(db: Engine, flt: CallFilter, query: CallQuery) -> list[dict[str, Any]]:
    labels = intent_labels()
    rows = [row for row in queries.intents(db, flt) if row.figures.calls][:INTENTS_SHOWN]
    most = max((row.figures.calls for row in rows), default=1)
    return [
        {
            "label": labels.get(row.intent) or cc.spoken(row.intent),
            "calls": row.figures.calls,
            "share": row.share,
            "width": round(100 * row.figures.calls / most, 1),
            "sentiment": row.figures.sentiment,
            "url": _calls(query, intent=row.intent),
        }
        for row in rows
    ]


def _categories(db: Engine, flt: CallFilter, query: CallQuery) -> list[dict[str, Any]]:
    labels = dict(Category.choices)
    rows = [row for row in queries.alerts_by_category(db, flt) if row.open]
    most = max((row.open for row in rows), default=1)
    return [
        {
            "label": labels.get(row.category, cc.spoken(row.category)),
            "open": row.open,
            "calls": row.open_calls,
            "grave": row.open_critical + row.open_high,
            "width": round(100 * row.open / most, 1),
            "url": _calls(query, category=row.category, alerts="open"),
            "triage": query.link(reverse("insights:alerts"), category=row.category, alerts=""),
        }
        for row in rows
    ]
