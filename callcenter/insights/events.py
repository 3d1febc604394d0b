"""What the rest of the house is told when something was raised: plain functions, called after the commit.

The task of notifications is sent by its name, so that nothing here imports it; where it is not installed, nothing is
sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from callcenter.core.queue import send
from callcenter.insights.models import RESTRICTED, Alert

ALERTS_TASK = "notifications.alerts_raised"
SURGES_TASK = "notifications.surges_raised"
BATCH = 500


def on_alerts_raised(alert_ids: Iterable[Any]) -> None:
    """Tell notifications of new alerts: those that cannot wait (self-harm, threats) first and marked `immediate`."""
    ids = [str(one) for one in alert_ids]
    if not ids or not _installed(ALERTS_TASK):
        return
    grave = {str(one) for one in Alert.objects.filter(pk__in=ids, category__in=RESTRICTED).values_list("pk", flat=True)}
    for immediate, part in ((True, [i for i in ids if i in grave]), (False, [i for i in ids if i not in grave])):
        for start in range(0, len(part), BATCH):
            send(ALERTS_TASK, queue="default", alert_ids=part[start : start + BATCH], immediate=immediate)


def on_surges_raised(surge_ids: Iterable[int]) -> None:
    """Tell notifications of rates that left their usual band."""
    ids = list(surge_ids)
    if ids and _installed(SURGES_TASK):
        send(SURGES_TASK, queue="default", surge_ids=ids)


def after_commit(alert_ids: Iterable[Any]) -> None:
    """Call `on_alerts_raised` once the current transaction has committed. A broker that is down undoes nothing."""
    ids = list(alert_ids)
    if ids:
        transaction.on_commit(lambda: on_alerts_raised(ids), robust=True)


def _installed(task: str) -> bool:
    """Return whether a process of this house knows the task."""
    from callcenter.celery import app

    app.loader.import_default_modules()
    return task in app.tasks
