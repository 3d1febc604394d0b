"""Enqueueing work after the commit that made it necessary."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import transaction

log = structlog.get_logger("callcenter.queue")


def enqueue(task: str, *, queue: str, countdown: float | None = None, **kwargs: Any) -> None:
    """Send a task by name once the current transaction has committed (at once when there is none).

    A broker that cannot be reached is logged and not raised: the row that asked for the work is its own outbox,
    and the sweeper sends again what got lost.
    """
    transaction.on_commit(lambda: send(task, queue=queue, countdown=countdown, **kwargs))


def send(task: str, *, queue: str, countdown: float | None = None, **kwargs: Any) -> bool:
    """Send now; return whether the broker took it."""
    from callcenter.celery import app

    try:
        app.send_task(
            task,
            kwargs=kwargs,
            queue=queue,
            countdown=countdown,
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1},
        )
    except Exception as error:  # kombu raises errors of the transport's own classes
        log.warning("enqueue_failed", task=task, queue=queue, error=type(error).__name__)
        return False
    return True
