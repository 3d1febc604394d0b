"""Celery doors of review: call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.review import projection, understanding


@shared_task(name="review.sweep")
def sweep() -> None:
    """Understand again what was corrected and has been quiet since."""
    understanding.sweep()


@shared_task(name="review.rescore")
def rescore(team_id: int | None = None) -> None:
    """The vocabulary has changed: rank what waits for review anew."""
    projection.rescore(team_id=team_id)
