"""What people do with routes: make, change, test, rotate, try again. Every change is in the audit log."""

from __future__ import annotations

import secrets as random_secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights.notifications import channels, outbound, outbox, sealing
from callcenter.insights.notifications.models import Delivery, Route

OVERLAP = timedelta(hours=24)


def check_address(channel: str, address: str) -> str:
    """Return what may be shown of an address. Raises CallcenterError with what is wrong with it; dials nothing."""
    if channel == Route.Channel.APPRISE:
        return sealing.shown(address, channels.service_of(address))
    outbound.parse(address)
    return sealing.shown(address)


def create(*, by: User, address: str, **values: Any) -> tuple[Route, str]:
    """Make a route; return it with the secret of a webhook, which can be read this once. Raises CallcenterError."""
    _check_right(by, values.get("team"), restricted=values.get("tells_restricted", False))
    shown = check_address(values["channel"], address)
    secret = _new_secret() if values["channel"] == Route.Channel.WEBHOOK else ""
    with transaction.atomic():
        route = Route.objects.create(
            address_sealed=sealing.seal(address),
            address_shown=shown,
            secret_sealed=sealing.seal(secret) if secret else "",
            created_by=by,
            **values,
        )
        audit.record("route.create", route, user=by, channel=route.channel, team=route.team_id, to=shown)
    return route, secret


def change(*, route: Route, by: User, address: str = "", **values: Any) -> Route:
    """Change a route; an empty address keeps the present one. Raises CallcenterError."""
    newly_restricted = values.get("tells_restricted", False) and not route.tells_restricted
    _check_right(by, values.get("team", route.team), restricted=newly_restricted)
    with transaction.atomic():
        row = Route.objects.select_for_update().get(pk=route.pk)
        changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
        for name, value in values.items():
            setattr(row, name, value)
        if address:
            row.address_shown = check_address(row.channel, address)
            row.address_sealed = sealing.seal(address)
            row.failures, row.paused_until = 0, None
            changed.append("address")
        row.save()
        audit.record("route.change", row, user=by, fields=changed, to=row.address_shown)
    return row


def delete(*, route: Route, by: User) -> None:
    """Remove a route with its log; what waits on it is not sent."""
    with transaction.atomic():
        audit.record("route.delete", route, user=by, name=route.name, to=route.address_shown)
        route.delete()


def rotate_secret(*, route: Route, by: User) -> str:
    """Give a webhook a new secret and return it, this once; the old one signs too for a day. Raises CallcenterError."""
    if not route.is_webhook:
        raise CallcenterError(gettext("Only a webhook has a secret."), code="no_secret")
    secret = _new_secret()
    with transaction.atomic():
        row = Route.objects.select_for_update().get(pk=route.pk)
        row.previous_secret_sealed = row.secret_sealed
        row.previous_secret_until = timezone.now() + OVERLAP
        row.secret_sealed = sealing.seal(secret)
        row.save(update_fields=["previous_secret_sealed", "previous_secret_until", "secret_sealed", "updated_at"])
        audit.record("route.rotate_secret", row, user=by)
    return secret


def test(*, route: Route, by: User) -> Delivery:
    """Put a test message in line; it is tried once, also on a route that is off or paused."""
    with transaction.atomic():
        delivery = Delivery.objects.create(
            route=route, kind=Delivery.Kind.TEST, urgent=True, next_at=timezone.now(), created_by=by
        )
        audit.record("route.test", route, user=by)
    outbox.wake(delivery)
    return delivery


def retry(*, delivery: Delivery, by: User) -> Delivery:
    """Put a failed or paused delivery in line now, with a fresh count of tries. Raises CallcenterError otherwise."""
    now = timezone.now()
    with transaction.atomic():
        changed = (
            Delivery.objects.filter(pk=delivery.pk, state__in=[Delivery.State.FAILED, Delivery.State.PENDING])
            .exclude(kind=Delivery.Kind.TEST)
            .update(state=Delivery.State.PENDING, attempts=0, gathers=False, next_at=now, tried_since=now)
        )
        if changed != 1:
            raise CallcenterError(gettext("Only what has not been delivered can be tried again."), code="not_failed")
        Route.objects.filter(pk=delivery.route_id).update(paused_until=None)
        audit.record("route.retry", delivery.route, user=by, delivery=str(delivery.pk))
    delivery.refresh_from_db()
    outbox.wake(delivery)
    return delivery


def _check_right(by: User, team: Any, *, restricted: bool) -> None:
    if restricted and not by.sees_restricted_alerts:
        raise CallcenterError(gettext("You do not see alerts on self-harm and threats, so you cannot have them told."))
    if by.has_role():  # an administrator
        return
    if team is None or not by.teams.filter(pk=team.pk).exists():
        raise CallcenterError(gettext("Choose one of your teams."), code="team")


def _new_secret() -> str:
    return "whsec_" + random_secrets.token_urlsafe(32)
