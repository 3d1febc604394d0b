"""What is told: the JSON of a webhook and the text of a message. No names of people; words of the call only where the
route asks for quotes, and only as the privacy layer lets them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from callcenter.insights.models import RESTRICTED, Alert, Severity, Surge
from callcenter.insights.notifications.models import Delivery, Route
from callcenter.privacy.services import text_for

VERSION = 1
LISTED = 50
_RANK = {key: rank for rank, key in enumerate(Severity.values)}


def webhook_body(delivery: Delivery, alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return the document that a webhook gets, at most LISTED alerts long; `count` says how many there are."""
    listed = _gravest(alerts)[:LISTED]
    more = {"surge": _surge(delivery.surge)} if delivery.surge else {}
    return {
        "version": VERSION,
        "id": str(delivery.pk),
        "event": delivery.kind,
        "created_at": delivery.created_at.isoformat(),
        "route": {"id": str(delivery.route_id), "name": delivery.route.name, "digest": delivery.route.digest},
        "count": len(alerts),
        "alerts": [_alert(alert, delivery.route) for alert in listed],
        **more,
    }


def message(delivery: Delivery, alerts: Sequence[Alert]) -> tuple[str, str]:
    """Return title and text for people."""
    if delivery.kind == Delivery.Kind.TEST:
        return (
            "Callcenter: test message",
            f"The route “{delivery.route.name}” reaches you. Nothing has happened; somebody pressed “Send a test”.",
        )
    if delivery.surge:
        return _about_surge(delivery.surge, delivery.route)
    ordered = _gravest(alerts)
    teams = sorted({alert.call.team.name for alert in ordered})
    worst = ordered[0].get_severity_display().lower()
    count = f"{len(ordered)} alerts, gravest {worst}" if len(ordered) > 1 else f"{worst} alert"
    title = f"Callcenter: {count} · {teams[0] if len(teams) == 1 else f'{len(teams)} teams'}"
    lines = [_line(alert, delivery.route) for alert in ordered[:LISTED]]
    if len(ordered) > 1:
        kinds = Counter(alert.get_category_display() for alert in ordered)
        lines.insert(0, ", ".join(f"{n} × {kind}" for kind, n in kinds.most_common()) + "\n")
    if len(ordered) > LISTED:
        lines.append(f"… and {len(ordered) - LISTED} more.")
    if overview := absolute(reverse("insights:alerts")):
        lines.append(f"\nAll alerts: {overview}")
    return title, "\n".join(lines)


def absolute(path: str) -> str:
    """Return the whole address of a page; empty where SITE_URL is not set, because a half link helps nobody."""
    return settings.ENV.SITE_URL.rstrip("/") + path if settings.ENV.SITE_URL else ""


def link(alert: Alert) -> str:
    """Return the path that opens the call where the alert is."""
    turn = f"#turn-{alert.turn_index}" if alert.turn_index is not None else ""
    return f"{alert.call.get_absolute_url()}?t={alert.start_ms}{turn}"


def quote(alert: Alert, route: Route) -> str:
    """Return the alert's quote as it may leave on this route; empty where none may."""
    if not route.with_quotes or alert.category in RESTRICTED:
        return ""
    return text_for("webhook" if route.is_webhook else "notification", alert.call, alert.quote)


def _alert(alert: Alert, route: Route) -> dict[str, Any]:
    quoted = {"quote": quote(alert, route)} if route.with_quotes else {}
    return {
        "id": str(alert.pk),
        "call_id": str(alert.call_id),
        "team": {"id": alert.call.team_id, "name": alert.call.team.name},
        "category": alert.category,
        "severity": alert.severity,
        "status": alert.status,
        "rule": {"key": alert.rule_key, "version": alert.rule_version},
        "party": alert.party,
        "start_ms": alert.start_ms,
        "end_ms": alert.end_ms,
        "score": alert.score,
        "listen_first": alert.listen_first,
        "raised_at": alert.created_at.isoformat(),
        "call_started_at": alert.call.started_at.isoformat(),
        "link": absolute(link(alert)) or link(alert),
        **quoted,
    }


def _surge(surge: Surge) -> dict[str, Any]:
    return {
        "id": surge.pk,
        "team": {"id": surge.team_id, "name": surge.team.name},
        "kind": surge.kind,
        "key": surge.key,
        "hour_at": surge.hour_at.isoformat(),
        "count": surge.count,
        "calls": surge.calls,
        "expected": surge.expected,
        "usual_at_most": surge.upper,
    }


def _about_surge(surge: Surge, route: Route) -> tuple[str, str]:
    what = surge.get_kind_display() + (f" “{surge.key.replace('_', ' ')}”" if surge.key else "")
    hour = _clock(surge.hour_at, route.time_zone)
    text = f"{what}: {surge.count} of {surge.calls} calls in the hour from {hour}; usual are {surge.expected:.1f}, "
    text += f"at most {surge.upper}."
    return f"Callcenter: surge · {surge.team.name}", text


def _line(alert: Alert, route: Route) -> str:
    when = _clock(alert.call.started_at, route.time_zone)
    at = f"{alert.start_ms // 60_000}:{alert.start_ms // 1000 % 60:02}"
    doubt = ", listen first" if alert.listen_first else ""
    head = f"{alert.get_severity_display()}: {alert.get_category_display()} · {alert.call.team.name}"
    where = absolute(link(alert))
    said = quote(alert, route)
    more = [f"“{said}”"] if said else []
    more += [where] if where else []
    return "\n  ".join([f"{head} · call of {when}, at {at}{doubt}", *more])


def _clock(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%d %b, %H:%M")


def _gravest(alerts: Sequence[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda a: (-_RANK.get(a.severity, 0), a.created_at, str(a.pk)))
