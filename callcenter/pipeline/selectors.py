"""Reads behind the operations page: queues, workers, runs, failures, models, disk."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User
from callcenter.pipeline import broker, machinery
from callcenter.pipeline.models import Run

log = structlog.get_logger("callcenter.operations")
QUEUES = {
    "ingest": _("Checking uploads"),
    "speech": _("Transcribing"),
    "nlu": _("Understanding"),
    "learning": _("Training"),
    "default": _("Orchestration"),
}
INSPECT_SECONDS = 1.0
WORKERS_CACHED_SECONDS = 10
FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker process that answered just now."""

    name: str
    queues: list[str]
    active: int
    processes: int


def queues() -> list[dict[str, Any]]:
    """Return how many messages wait in each queue; None where the broker does not answer."""
    return [{"name": name, "label": label, "waiting": broker.queue_length(name)} for name, label in QUEUES.items()]


def workers() -> list[WorkerView]:
    """Return the workers that answer within a second. Asked at most every ten seconds, whoever looks."""
    found: list[WorkerView] | None = cache.get("operations:workers")
    if found is None:
        found = _ask_workers()
        cache.set("operations:workers", found, WORKERS_CACHED_SECONDS)
    return found


def _ask_workers() -> list[WorkerView]:
    """Ask by one broadcast for the lines and one for the work; a silent broker means no workers."""
    from callcenter.celery import app

    try:
        lines: list[dict[str, Any]] = app.control.broadcast("active_queues", reply=True, timeout=INSPECT_SECONDS) or []
        if not lines:
            return []
        busy: list[dict[str, Any]] = app.control.broadcast("active", reply=True, timeout=INSPECT_SECONDS) or []
    except Exception as error:  # noqa: BLE001 - kombu raises the transport's own errors, of any class
        log.warning("workers_unknown", error=type(error).__name__)
        return []
    active = {name: len(tasks) for answer in busy for name, tasks in answer.items() if isinstance(tasks, list)}
    found = [
        WorkerView(name=name, queues=[q["name"] for q in served], active=active.get(name, 0), processes=0)
        for answer in lines
        for name, served in answer.items()
        if isinstance(served, list)
    ]
    return sorted(found, key=lambda worker: worker.name)


def run_counts(user: User) -> list[dict[str, Any]]:
    """Return how many runs stand in each state; ended ones of the last day only."""
    recently = timezone.now() - timedelta(days=1)
    runs = Run.objects.visible_to(user)
    rows = (
        runs.filter(Q(finished_at__gte=recently) | ~Q(state__in=Run.ENDED))
        .order_by()
        .values("state")
        .annotate(n=Count("pk"))
    )
    counts = Counter({row["state"]: row["n"] for row in rows})
    return [{"state": state, "label": label, "count": counts[state]} for state, label in Run.State.choices]


def throughput(user: User) -> dict[str, Any]:
    """Return what the last 24 hours got done: calls, hours of audio, and how long the steps took."""
    since = timezone.now() - timedelta(days=1)
    done = Run.objects.visible_to(user).filter(state=Run.State.DONE, finished_at__gte=since)
    total = done.aggregate(
        calls=Count("pk"),
        audio_ms=Sum("call__recording__duration_ms"),
        wait=Avg(F("finished_at") - F("created_at")),
    )
    by_hour = done.annotate(hour=TruncHour("finished_at")).order_by("hour").values("hour").annotate(n=Count("pk"))
    counts = {row["hour"]: row["n"] for row in by_hour}
    now = timezone.localtime().replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=back) for back in range(23, -1, -1)]
    seconds = list(done.values_list("seconds", "call__recording__duration_ms")[:500])
    spent: dict[str, float] = {}
    for stages, _length in seconds:
        for stage, value in (stages or {}).items():
            if isinstance(value, int | float):
                spent[stage] = spent.get(stage, 0.0) + value
    audio_seconds = sum(ms for _, ms in seconds) / 1000
    return {
        **total,
        "hours": [{"label": f"{hour:%H}:00", "calls": counts.get(hour, 0)} for hour in hours],
        "stages": [
            {"stage": stage, "seconds": value, "factor": value / audio_seconds if audio_seconds else None}
            for stage, value in sorted(spent.items(), key=lambda item: -item[1])
        ],
    }


def failures(user: User) -> list[dict[str, Any]]:
    """Return the failed runs that were not followed by a better one, grouped by cause, most frequent first."""
    failed = current_failures(user)
    groups = (
        failed.order_by()
        .values("error_code", "error_permanent")
        .annotate(n=Count("pk"), last=Max("finished_at"), message=Max("error_message"))
        .order_by("-n", "error_code")
    )
    found = []
    for group in groups[:FAILURES_SHOWN]:
        runs = failed.filter(error_code=group["error_code"], error_permanent=group["error_permanent"])
        known = machinery.cure(group["error_code"], group["error_permanent"])
        found.append(
            {
                **group,
                "cure": known,
                "runs": list(runs.select_related("call").order_by("-finished_at")[:FAILURES_SHOWN]),
            }
        )
    return found


def current_failures(user: User) -> QuerySet[Run]:
    """Return failed runs whose call has had no newer run."""
    newer = Run.objects.filter(call=OuterRef("call"), created_at__gt=OuterRef("created_at"))
    return Run.objects.visible_to(user).filter(~Exists(newer), state=Run.State.FAILED)


def models_installed() -> list[dict[str, Any]]:
    """Return the model folders that lie on this machine's disk, with their size."""
    root = settings.MODELS_DIR
    found: list[dict[str, Any]] | None = cache.get("operations:models")
    if found is None:
        folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        found = [
            {
                "name": folder.name,
                "size": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
                "served": folder.name == settings.ENV.SPEECH_MODEL,
            }
            for folder in folders
            if not folder.name.startswith((".", "_")) and folder.name not in ("downloads", "tmp", "partial")
        ]
        cache.set("operations:models", found, 60)
    return found


def disk() -> dict[str, Any]:
    """Return how full the disk of the data folder is."""
    usage = shutil.disk_usage(settings.VAR_DIR)
    share = 1 - usage.free / usage.total  # what is reserved for the system is not free either
    return {
        "free": usage.free,
        "total": usage.total,
        "share": share,
        "low": usage.free < 5 * 10**9 or share > 0.95,
    }


def panel(user: User) -> dict[str, Any]:
    """Return the part of the operations page that renews itself."""
    alive = workers()
    lines = queues()
    served = {name for worker in alive for name in worker.queues}
    done = throughput(user)
    return {
        "queues": lines,
        "broker_down": all(line["waiting"] is None for line in lines),
        "unserved": [line for line in lines if line["waiting"] and line["name"] not in served],
        "workers": alive,
        "runs": run_counts(user),
        "throughput": done,
        "hours": machinery.busiest(done["hours"]),
        "factor": machinery.factor(done["stages"]),
        "learning": machinery.learning(),
        "failures": failures(user),
        "checked_at": timezone.localtime(),
    }
