"""Celery doors of the pipeline: load by id, call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.calls.services import batches, resumable
from callcenter.pipeline import services


@shared_task(name="pipeline.advance")
def advance(run_id: str) -> None:
    """Move a waiting run on."""
    services.advance(run_id)


@shared_task(name="pipeline.release")
def release() -> None:
    """Let runs of back-loads go on where there is room."""
    services.release_held()


@shared_task(name="pipeline.speech_progress")
def speech_progress(run_id: str, attempt: int, stage: str, fraction: float) -> None:
    """A speech worker says how far it is."""
    services.speech_progress(run_id=run_id, attempt=attempt, stage=stage, fraction=fraction)


@shared_task(name="pipeline.speech_finished")
def speech_finished(
    run_id: str, attempt: int, audio_info_key: str, transcript_key: str, seconds: dict[str, float]
) -> None:
    """A speech worker has written a transcript."""
    services.speech_finished(
        run_id=run_id,
        attempt=attempt,
        audio_info_key=audio_info_key,
        transcript_key=transcript_key,
        seconds=seconds,
    )


@shared_task(name="pipeline.speech_failed")
def speech_failed(run_id: str, attempt: int, code: str, message: str, permanent: bool) -> None:
    """A speech worker has given up on an attempt."""
    services.speech_failed(run_id=run_id, attempt=attempt, code=code, message=message, permanent=permanent)


@shared_task(name="pipeline.understand")
def understand(run_id: str) -> None:
    """Understand one transcribed call."""
    services.understand(run_id)


@shared_task(name="pipeline.sweep")
def sweep() -> None:
    """Find what got lost and send it again."""
    services.sweep()
    batches.sweep_rows()
    resumable.sweep()
