"""What the operations page says beside queues and workers: cures, storage, the hours of a day, the learning loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Sum
from django.utils.translation import gettext_lazy as _

from callcenter.calls.models import Recording

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

STORAGE_CACHED_SECONDS = 60
CURES: dict[str, str | _StrPromise] = {
    "audio_missing": _("The recording is not in the storage: restore it from a backup, then retry."),
    "bad_audio": _("The recording itself is the problem: upload a better copy if there is one."),
    "disk_full": _("Free some space on the worker's disk, then retry."),
    "model_missing": _("Install the model where the speech worker runs, or name another in the settings, then retry."),
    "model_damaged": _("Install the model anew where the speech worker runs, then retry."),
    "nlu_error": _("Look at the log of the worker that serves “nlu”, then retry."),
    "speech_error": _("Look at the log of the speech worker, then retry."),
    "transcript_unreadable": _("Retry: the transcript is written anew."),
    "worker_error": _("Look at the log of the speech worker, then retry."),
    "worker_lost": _("Look at the worker's log; a machine short of memory ends the largest process first. Then retry."),
}
UNKNOWN_PASSING = _("Retry; if it fails again, look at the worker's log.")
UNKNOWN_PERMANENT = _("The message above names the cause; trying again unchanged will not help.")


def cure(error_code: str, permanent: bool) -> str:
    """Return what to do about a failure."""
    return str(CURES.get(error_code, UNKNOWN_PERMANENT if permanent else UNKNOWN_PASSING))


def storage() -> dict[str, Any]:
    """Return how much recordings and the database take; counted at most once a minute, whoever looks."""
    found: dict[str, Any] | None = cache.get("operations:storage")
    if found is None:
        found = Recording.objects.aggregate(
            recordings=Count("pk"), recording_bytes=Sum("size"), recording_ms=Sum("duration_ms")
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            found["database_bytes"] = cursor.fetchone()[0]
        cache.set("operations:storage", found, STORAGE_CACHED_SECONDS)
    return found


def busiest(hours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the hours with the share of each in the busiest one, to be drawn as bars."""
    most = max((hour["calls"] for hour in hours), default=0)
    return [{**hour, "share": round(100 * hour["calls"] / most) if most else 0} for hour in hours]


def factor(stages: list[dict[str, Any]]) -> float | None:
    """Return the real-time factor: seconds of work for a second of sound, all steps together."""
    known = [stage["factor"] for stage in stages if stage["factor"] is not None]
    return sum(known) if known else None


def learning() -> dict[str, Any]:
    """Return models, datasets and training runs in a few lines: what is served, what is at work, what was last."""
    from callcenter.learning.models import Dataset, Model, TrainingRun
    from callcenter.learning.selectors import open_run, run_view
    from callcenter.learning.services import nightly, registry

    return {
        "served": registry.served(),
        "open_run": run_view(open_run()),
        "last_run": TrainingRun.objects.exclude(state__in=TrainingRun.OPEN).order_by("-created_at").first(),
        "last_dataset": Dataset.objects.order_by("-created_at").first(),
        "datasets": Dataset.objects.count(),
        "models": Model.objects.count(),
        "next_night": nightly.next_at(),
    }
