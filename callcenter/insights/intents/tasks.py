"""Celery doors of the taxonomy: load by id, call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.insights.intents import jobs, tuning


@shared_task(name="intents.work")
def work(job_id: str) -> None:
    """Do one piece of a job."""
    jobs.work(job_id)


@shared_task(name="intents.sweep")
def sweep() -> None:
    """Find what got lost and send it again; fit again what has gone out of date."""
    jobs.sweep()
    tuning.tune_again()
