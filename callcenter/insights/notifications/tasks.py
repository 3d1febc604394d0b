"""Celery doors of notifications: load by id, call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.insights.notifications import inbox, outbox


@shared_task(name="notifications.deliver")
def deliver(delivery_id: str) -> None:
    """Send one delivery."""
    outbox.deliver(delivery_id)


@shared_task(name="notifications.alerts_raised")
def alerts_raised(alert_ids: list[str], immediate: bool = False) -> None:
    """Put new alerts into the outbox. What is urgent is known from the alerts themselves."""
    outbox.announce(alert_ids)


@shared_task(name="notifications.surges_raised")
def surges_raised(surge_ids: list[int]) -> None:
    """Put new surges into the outbox."""
    outbox.announce_surges(surge_ids)


@shared_task(name="notifications.sweep")
def sweep() -> None:
    """Find what got lost and send it again; fill the inboxes."""
    outbox.sweep()
    inbox.collect()
