"""Fitting the sentence vectors to the taxonomy, as a job: whether it pays is measured, and it follows what changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights.intents import taxonomy
from callcenter.insights.intents.jobs import end, send
from callcenter.insights.intents.models import CallLabel, IntentJob, TaxonomyVersion

State, Task = IntentJob.State, IntentJob.Task
#: So long nobody must have changed anything before vectors are fitted again by themselves.
QUIET = timedelta(minutes=30)


class Stopped(Exception):
    """The job is no longer this worker's."""


def tune(*, by: User | None) -> IntentJob:
    """Have the sentence vectors fitted to taxonomy and labels. Raises CallcenterError when that is under way."""
    version = taxonomy.current()
    try:
        with transaction.atomic():
            job = IntentJob.objects.create(task=Task.TUNE, version=version.number, total=100, created_by=by)
            audit.record("taxonomy.tune", job, user=by, version=version.number)
    except IntegrityError as error:
        raise CallcenterError(gettext("The vectors are being fitted already."), code="busy") from error
    send(job)
    return job


def fit(job: IntentJob) -> None:
    """Fit, telling how far it is; for the worker that has claimed the job."""
    from analytics.nlu import train_tuned
    from analytics.nlu.intent import IntentError
    from callcenter.insights.services import config

    settled = config()

    def progress(share: float) -> None:
        mine = IntentJob.objects.filter(pk=job.pk, state=State.WORKING, attempt=job.attempt)
        if not mine.update(done=min(99, int(100 * share)), heard_at=timezone.now()):
            raise Stopped

    try:
        figures = train_tuned(settled, progress=progress)
    except Stopped:
        return
    except IntentError as error:
        raise CallcenterError(
            gettext("The vectors cannot be fitted: {error}.").format(error=error), code="no_tuning"
        ) from error
    end(job, State.DONE, done=100, result={"figures": figures, "lessons": lessons_key(settled)})


def lessons_key(settled: dict[str, Any]) -> str:
    """Return the hash of what a head learns from now, or an empty text where nothing can be learned."""
    from analytics.nlu.intent import IntentError, lessons_of

    try:
        return lessons_of(settled.get("intents") or [], settled.get("relabelled") or []).key
    except IntentError:
        return ""


def newest() -> tuple[IntentJob | None, bool]:
    """Return the newest finished fitting, and whether it is of the taxonomy and labels as they are now."""
    from callcenter.insights.services import config

    job = IntentJob.objects.filter(task=Task.TUNE, state=State.DONE).first()
    return job, job is not None and job.result.get("lessons") == lessons_key(config())


def tune_again() -> bool:
    """Fit anew what was fitted before and paid, once nobody has changed taxonomy or labels for a while."""
    last, fresh = newest()
    if last is None or fresh or not last.result.get("figures", {}).get("pays"):
        return False
    since = timezone.now() - QUIET
    if (
        IntentJob.objects.filter(task=Task.TUNE, created_at__gt=since).exists()
        or TaxonomyVersion.objects.filter(created_at__gt=since).exists()
        or CallLabel.objects.filter(Q(created_at__gt=since) | Q(withdrawn_at__gt=since)).exists()
    ):
        return False
    try:
        tune(by=None)
    except CallcenterError:
        return False
    return True
