"""Celery doors of rules and alerts: load by id, call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.insights import rulejobs, surges


@shared_task(name="insights.rule_job")
def rule_job(job_id: str) -> None:
    """Do one slice of trying or applying a rule."""
    rulejobs.work(job_id)


@shared_task(name="insights.surges")
def find_surges() -> None:
    """Look for rates that left their usual band in the last hours."""
    surges.find()


@shared_task(name="insights.sweep")
def sweep() -> None:
    """Find jobs that got lost and send them again."""
    rulejobs.sweep()
