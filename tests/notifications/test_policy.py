"""Who is told and when: severity, category, team, quiet hours over midnight and clock changes, digests, urgency."""

from __future__ import annotations

from datetime import UTC, datetime, time
from types import SimpleNamespace
from typing import Any

import pytest

from callcenter.insights.notifications import policy
from callcenter.insights.notifications.models import Route


def a_route(**values: Any) -> Route:
    return Route(**{"name": "r", "minimum_severity": "medium", "time_zone": "Europe/Berlin", **values})


def an_alert(category: str = "churn", severity: str = "high", team: int = 1) -> Any:
    return SimpleNamespace(category=category, severity=severity, call=SimpleNamespace(team_id=team))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "alert", "wanted"),
    [
        ({}, an_alert(), True),
        ({}, an_alert(severity="low"), False),
        ({"team_id": 1}, an_alert(team=1), True),
        ({"team_id": 1}, an_alert(team=2), False),
        ({"categories": ["legal"]}, an_alert(), False),
        ({"categories": ["legal", "churn"]}, an_alert(), True),
        ({"enabled": False}, an_alert(), False),
        ({}, an_alert("self_harm", "critical"), False),
        ({"tells_restricted": True, "categories": ["churn"]}, an_alert("self_harm", "low"), True),
        ({"tells_restricted": True, "team_id": 2}, an_alert("self_harm", "critical"), False),
    ],
)
def test_a_route_wants_what_it_says(values: dict[str, Any], alert: Any, wanted: bool) -> None:
    assert policy.wants(a_route(**values), alert) is wanted


def test_critical_alerts_and_self_harm_are_urgent_and_nothing_else_is() -> None:
    assert policy.urgent(an_alert(severity="critical")) and policy.urgent(an_alert("self_harm", "low"))
    assert not policy.urgent(an_alert(severity="high"))


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-07-01T12:00", "2026-07-01T12:00"),  # 14:00 in Berlin: not quiet
        ("2026-07-01T20:30", "2026-07-02T05:00"),  # 22:30: until 07:00 of the next day
        ("2026-07-01T23:30", "2026-07-02T05:00"),  # 01:30: until 07:00 of the same day
        ("2026-07-02T05:00", "2026-07-02T05:00"),  # 07:00 sharp: over
        ("2026-03-28T22:00", "2026-03-29T05:00"),  # the night in which summer begins: 07:00 is 05:00 UTC
    ],
)
def test_quiet_hours_hold_back_until_their_end(now: str, due: str) -> None:
    route = a_route(quiet_from=time(22), quiet_until=time(7))
    assert policy.due_at(route, at(now)) == at(due)


def test_an_hourly_digest_is_due_at_the_full_hour_and_a_daily_one_at_its_hour() -> None:
    assert policy.due_at(a_route(digest="hourly"), at("2026-07-01T12:10")) == at("2026-07-01T13:00")
    daily = a_route(digest="daily", daily_hour=8)
    assert policy.due_at(daily, at("2026-07-01T05:59")) == at("2026-07-01T06:00")
    assert policy.due_at(daily, at("2026-07-01T06:01")) == at("2026-07-02T06:00")


def test_a_digest_that_falls_into_quiet_hours_waits_for_their_end() -> None:
    route = a_route(digest="daily", daily_hour=6, quiet_from=time(22), quiet_until=time(7))
    assert policy.due_at(route, at("2026-07-01T12:00")) == at("2026-07-02T05:00")
