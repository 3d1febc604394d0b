"""Celery doors of privacy: load by id, call a service. The speech worker's answers come in by these names."""

from __future__ import annotations

from celery import shared_task

from callcenter.privacy.services import backfill, masking


@shared_task(name="privacy.mask")
def mask(mask_id: int) -> None:
    """Mute a recording."""
    masking.work(mask_id)


@shared_task(name="privacy.check_finished")
def check_finished(mask_id: int, attempt: int, transcript_key: str) -> None:
    """A speech worker has listened to a muted recording."""
    masking.check_finished(mask_id=mask_id, attempt=attempt, transcript_key=transcript_key)


@shared_task(name="privacy.check_failed")
def check_failed(mask_id: int, attempt: int, code: str, message: str, permanent: bool) -> None:
    """A speech worker could not listen."""
    masking.check_failed(mask_id=mask_id, attempt=attempt, code=code, message=message, permanent=permanent)


@shared_task(name="privacy.reindex")
def reindex() -> None:
    """The levels have changed: what can be searched for follows."""
    backfill.reindex()


@shared_task(name="privacy.sweep")
def sweep() -> None:
    """Find what got lost and send it again."""
    masking.sweep()
