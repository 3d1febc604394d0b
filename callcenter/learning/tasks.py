"""Celery doors of learning: load by id, call a service. The worker's answers come in by these names."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from callcenter.learning.services import jobs, nightly, results, training


@shared_task(name="learning.advance")
def advance(run_id: str) -> None:
    """Give a waiting run to the workers."""
    training.advance(run_id)


@shared_task(name="learning.progress")
def progress(run_id: str, attempt: int, stage: str, doc: dict[str, Any] | None = None) -> None:
    """A learning worker says how far it is."""
    training.progress(run_id=run_id, attempt=attempt, stage=stage, doc=doc or {})


@shared_task(name="learning.finished")
def finished(run_id: str, attempt: int, result_key: str) -> None:
    """A learning worker has written its result."""
    results.finished(run_id=run_id, attempt=attempt, result_key=result_key)


@shared_task(name="learning.failed")
def failed(run_id: str, attempt: int, code: str, message: str, permanent: bool) -> None:
    """A learning worker has given up on an attempt."""
    training.failed(run_id=run_id, attempt=attempt, code=code, message=message, permanent=permanent)


@shared_task(name="learning.nightly")
def night(scheduled: bool = False, night_id: int | None = None, user_id: int | None = None) -> None:
    """Begin a night, or go on with one."""
    from callcenter.accounts.models import User
    from callcenter.learning.models import NightlyRun

    if night_id is not None:
        nightly.work_on(NightlyRun.objects.get(pk=night_id))
    else:
        nightly.run_once(by=User.objects.filter(pk=user_id).first() if user_id else None, scheduled=scheduled)


@shared_task(name="learning.dataset_job")
def dataset_job(job_id: str) -> None:
    """Build or import one dataset."""
    jobs.work(job_id)


@shared_task(name="learning.sweep")
def sweep() -> None:
    """Find what got lost and send it again; begin what is due."""
    training.sweep()
    jobs.sweep()
    nightly.sweep()
