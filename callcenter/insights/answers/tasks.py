"""Celery doors of answers; on the queue of understanding, where the models are."""

from __future__ import annotations

from celery import shared_task

from callcenter.insights.answers import services


@shared_task(name="answers.embed")
def embed() -> None:
    """Compute the vectors of new and changed articles."""
    services.embed_articles()
