"""What is told is a row before it is a message: sent after the commit, and tried again until it went.

    pending -> sending -> sent
       ^____________|  not delivered (growing pauses) -> failed (refused address, too often, too old)

Whoever changes a row does the work. One worker at a time sends on a route, and a route that fails is left alone for
growing pauses, so that an unreachable place costs little and holds up nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.insights.models import Alert, Surge
from callcenter.insights.notifications import channels, messages, policy, sealing
from callcenter.insights.notifications.models import Delivery, DeliveryItem, Mark, Route

log = structlog.get_logger("callcenter.notifications")
State = Delivery.State
PAUSES = (30, 120, 600, 1800, 3600, 4 * 3600)
#: More than so many waiting messages on one route become one.
BURST = 20
_BUSY = timedelta(seconds=90)
_LOST = timedelta(minutes=3)
TOO_OLD = timedelta(days=3)
KEPT = timedelta(days=90)
_SWEPT = 200
#: Until then the message about a new alert has usually come, and its transaction has committed.
_SETTLED = timedelta(minutes=2)


def announce(alert_ids: Iterable[Any]) -> int:
    """Put alerts into the outbox of every route that wants them, in the caller's transaction; return how many rows.

    An alert that a route was told of is not told again. What is urgent goes at once, alone; the alerts of one call
    otherwise go together.
    """
    routes = list(Route.objects.filter(enabled=True).values_list("pk", flat=True))
    if not routes:
        return 0
    alerts = list(
        Alert.objects.filter(pk__in=list(alert_ids), status=Alert.Status.OPEN)
        .select_related("call__team")
        .order_by("created_at", "pk")
    )
    if not alerts:
        return 0
    made = 0
    with transaction.atomic():
        # Locked, so that two calls understood at once do not both begin the same digest.
        for route in Route.objects.select_for_update().filter(pk__in=routes).order_by("pk"):
            told = set(DeliveryItem.objects.filter(route=route, alert__in=alerts).values_list("alert_id", flat=True))
            fresh = [alert for alert in alerts if alert.pk not in told and policy.wants(route, alert)]
            made += _put(route, fresh)
    return made


def announce_surges(surge_ids: Iterable[Any]) -> int:
    """Put surges into the outbox of every route that wants them; return how many rows."""
    made = 0
    for surge in Surge.objects.filter(pk__in=list(surge_ids)).select_related("team"):
        for route in Route.objects.filter(enabled=True, tells_surges=True):
            if policy.wants_surge(route, surge):
                delivery, created = Delivery.objects.get_or_create(
                    route=route,
                    surge=surge,
                    defaults={
                        "kind": Delivery.Kind.SURGE,
                        "next_at": policy.due_at(route, timezone.now(), digest=False),
                    },
                )
                made += created
                if created and delivery.next_at <= timezone.now():
                    wake(delivery)
    return made


def _put(route: Route, alerts: Sequence[Alert]) -> int:
    now = timezone.now()
    at_once = [alert for alert in alerts if policy.urgent(alert)]
    rest = [alert for alert in alerts if not policy.urgent(alert)]
    made = 0
    for call_id in dict.fromkeys(alert.call_id for alert in at_once):
        delivery = Delivery.objects.create(route=route, urgent=True, next_at=now)
        _add(delivery, [alert for alert in at_once if alert.call_id == call_id])
        made += 1
    if not rest:
        return made
    due = policy.due_at(route, now)
    waiting = Delivery.objects.filter(route=route, state=State.PENDING, urgent=False, attempts=0)
    if due > now or waiting.count() >= BURST:
        gathering = waiting.select_for_update().filter(gathers=True).first()
        if gathering is None:
            gathering = Delivery.objects.create(route=route, gathers=True, next_at=due)
            made += 1
        _add(gathering, rest)
        return made
    for call_id in dict.fromkeys(alert.call_id for alert in rest):
        _add(Delivery.objects.create(route=route, next_at=now), [alert for alert in rest if alert.call_id == call_id])
        made += 1
    return made


def _add(delivery: Delivery, alerts: Sequence[Alert]) -> None:
    DeliveryItem.objects.bulk_create(
        [DeliveryItem(delivery=delivery, route_id=delivery.route_id, alert=alert) for alert in alerts],
        ignore_conflicts=True,
    )
    if delivery.next_at <= timezone.now():
        wake(delivery)


def wake(delivery: Delivery) -> None:
    """Ask a worker to send it, after the commit."""
    enqueue("notifications.deliver", queue="default", delivery_id=str(delivery.pk))


# --- sending ------------------------------------------------------------------------------------------------------


def deliver(delivery_id: Any) -> bool:
    """Send one delivery if it is due and nobody else sends on its route; return whether this caller tried."""
    delivery = Delivery.objects.filter(pk=delivery_id).select_related("route").first()
    if delivery is None or not _claim(delivery):
        return False
    try:
        _send(delivery)
    finally:
        Route.objects.filter(pk=delivery.route_id).update(busy_until=None)
    following = due().filter(route=delivery.route_id).order_by("-urgent", "next_at").first()
    if following is not None:
        wake(following)
    return True


def due() -> QuerySet[Delivery]:
    """Return what can be sent now: past its time, on an enabled route that is neither at work nor paused."""
    now = timezone.now()
    free = Q(route__busy_until=None) | Q(route__busy_until__lt=now)
    open_route = Q(urgent=True) | Q(route__paused_until=None) | Q(route__paused_until__lte=now)
    return Delivery.objects.filter(free, open_route, state=State.PENDING, next_at__lte=now).filter(
        Q(route__enabled=True) | Q(kind=Delivery.Kind.TEST)
    )


def _claim(delivery: Delivery) -> bool:
    now = timezone.now()
    held = (
        Route.objects.filter(pk=delivery.route_id)
        .filter(Q(busy_until=None) | Q(busy_until__lt=now))
        .update(busy_until=now + _BUSY)
    )
    if held != 1:
        return False  # whoever is at work there takes this one next
    claimed = (
        Delivery.objects.filter(pk=delivery.pk, state=State.PENDING, next_at__lte=now)
        .filter(
            Q(urgent=True)
            | Exists(
                Route.objects.filter(pk=OuterRef("route_id")).filter(
                    Q(paused_until=None) | Q(paused_until__lte=now),
                )
            )
        )
        .update(state=State.SENDING, claimed_at=now, attempts=F("attempts") + 1)
    )
    if claimed != 1:
        Route.objects.filter(pk=delivery.route_id).update(busy_until=None)
        return False
    delivery.refresh_from_db()
    return True


def _send(delivery: Delivery) -> None:
    route = delivery.route
    alerts = list(
        Alert.objects.filter(pk__in=delivery.items.values("alert_id"))
        .exclude(status=Alert.Status.DISMISSED)
        .select_related("call__team")
    )
    if delivery.kind == Delivery.Kind.ALERTS and not alerts:
        _end(delivery, State.WITHDRAWN, "Its alerts were dismissed or withdrawn before it was sent.")
        return
    if not route.enabled and delivery.kind != Delivery.Kind.TEST:
        _end(delivery, State.WITHDRAWN, "The route was switched off before it was sent.")
        return
    try:
        address = sealing.unseal(route.address_sealed)
        if route.is_webhook:
            said = channels.send_webhook(address, messages.webhook_body(delivery, alerts), secrets=secrets_of(route))
        else:
            title, body = messages.message(delivery, alerts)
            said = channels.send_message(address, title=title, body=body)
    except CallcenterError as error:
        _not_sent(delivery, error.message, permanent=error.permanent)
    except Exception as error:
        log.exception("notification_broke", delivery=str(delivery.pk), error=type(error).__name__)
        _not_sent(delivery, f"It failed here ({type(error).__name__}); see the logs.", permanent=False)
    else:
        _end(delivery, State.SENT, said, sent_at=timezone.now())
        Route.objects.filter(pk=route.pk).update(failures=0, paused_until=None)
        log.info("notification_sent", delivery=str(delivery.pk), route=str(route.pk), kind=delivery.kind)


def secrets_of(route: Route) -> list[str]:
    """Return the secrets to sign with: the present one and, while it overlaps, the one before."""
    secrets = [sealing.unseal(route.secret_sealed)]
    if route.previous_secret_sealed and route.previous_secret_until and route.previous_secret_until > timezone.now():
        secrets.append(sealing.unseal(route.previous_secret_sealed))
    return secrets


def _not_sent(delivery: Delivery, reason: str, *, permanent: bool) -> None:
    now = timezone.now()
    test = delivery.kind == Delivery.Kind.TEST
    limit = settings.ENV.NOTIFY_MAX_ATTEMPTS
    given_up = permanent or test or delivery.attempts >= limit or delivery.tried_since < now - TOO_OLD
    log.warning(
        "notification_not_sent", delivery=str(delivery.pk), route=str(delivery.route_id), attempts=delivery.attempts,
        given_up=given_up,
    )  # fmt: skip
    if given_up:
        _end(delivery, State.FAILED, reason)
    else:
        next_at = now + _pause(delivery.attempts)
        Delivery.objects.filter(pk=delivery.pk, state=State.SENDING).update(
            state=State.PENDING, next_at=next_at, reason=reason[:500]
        )
    if not test:  # a person who tries addresses out must not silence the route
        failures = delivery.route.failures + 1
        Route.objects.filter(pk=delivery.route_id).update(
            failures=F("failures") + 1, paused_until=now + min(_pause(failures), timedelta(hours=1))
        )


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=PAUSES[min(max(attempts, 1), len(PAUSES)) - 1])


def _end(delivery: Delivery, state: str, reason: str, *, sent_at: datetime | None = None) -> None:
    Delivery.objects.filter(pk=delivery.pk, state=State.SENDING).update(
        state=state, reason=reason[:500], sent_at=sent_at
    )


# --- what keeps it going ------------------------------------------------------------------------------------------


def sweep() -> int:
    """Send what is due and lost its message, take back what a dead worker held, forget what is old; return how many."""
    now = timezone.now()
    Delivery.objects.filter(state=State.SENDING, claimed_at__lt=now - _LOST).update(
        state=State.PENDING, next_at=now, reason="The worker that sent it went silent."
    )
    stale = Delivery.objects.filter(
        state=State.PENDING, tried_since__lt=now - TOO_OLD, next_at__lte=now, attempts__gt=0
    )
    stale.update(state=State.FAILED)
    Delivery.objects.exclude(state__in=Delivery.OPEN).filter(created_at__lt=now - KEPT).delete()
    _make_sure(now)
    # One of each route is enough: whoever sends it takes the next.
    first = due().order_by("route_id", "-urgent", "next_at").distinct("route_id")[:_SWEPT]
    sent = 0
    for delivery in first:
        wake(delivery)
        sent += 1
    return sent


def _make_sure(now: datetime) -> None:
    """Announce what was raised while no message about it came through; each alert is looked at once."""
    until = now - _SETTLED
    mark, created = Mark.objects.get_or_create(pk=1, defaults={"until": until})
    if created:
        return  # nothing older than the first sweep is news
    raised = Alert.objects.filter(created_at__gt=mark.until, created_at__lte=until)
    ids = list(raised.order_by("created_at").values_list("pk", flat=True))
    for start in range(0, len(ids), _SWEPT):
        announce(ids[start : start + _SWEPT])
    Mark.objects.filter(pk=1).update(until=until)
