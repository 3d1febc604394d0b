"""Celery doors of the ingest: load by id, call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.calls.services import batches, folder, playback


@shared_task(name="calls.ingest_row")
def ingest_row(row_id: int) -> None:
    """Check one received file and file its call."""
    batches.process_row(row_id)


@shared_task(name="calls.prepare_playback")
def prepare_playback(recording_id: int) -> None:
    """Make what browsers can play ahead of the first listener."""
    playback.prepare(recording_id)


@shared_task(name="calls.poll_folder")
def poll_folder() -> None:
    """Take what lies in the watched folder."""
    folder.poll()
