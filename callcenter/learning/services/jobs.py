"""Builds and imports that go on behind the page: a row says how far they are, what came of them, or what is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from callcenter.accounts.models import Team, User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.core.storage import store
from callcenter.learning.models import DatasetJob
from callcenter.learning.services import datasets, importing, uploads

log = structlog.get_logger("callcenter.learning")
State = DatasetJob.State
_SILENCE = timedelta(minutes=10)
MAX_FAILURES = 3


def start(*, task: str, name: str, parameters: dict[str, Any], by: User | None, staged_key: str = "") -> DatasetJob:
    """Create a job and send it on its way after the commit. Tasks: build, import, upload."""
    with transaction.atomic():
        job = DatasetJob.objects.create(
            task=task, name=name[:120], parameters=parameters, staged_key=staged_key, created_by=by
        )
        audit.record(f"dataset.{task}", job, user=by, **{k: v for k, v in parameters.items() if k != "filename"})
    enqueue("learning.dataset_job", queue="ingest", job_id=str(job.pk))
    return job


def stage(stream: BinaryIO, *, filename: str, job_hint: str) -> str:
    """Put an uploaded file where the worker finds it, and return its key."""
    import tempfile

    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as held:
        while piece := stream.read(1 << 20):
            held.write(piece)
        held.flush()
        suffix = "".join(c for c in Path(filename).suffix.lower() if c.isalnum() or c == ".")[:8]
        key = f"staging/learning/{job_hint}{suffix}"
        store().put_file(key, held.name)
    return key


def work(job_id: str) -> bool:
    """Do one job, if it waits; return whether this caller did. Whatever goes wrong is said on the row."""
    claimed = DatasetJob.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.WORKING, heard_at=timezone.now(), progress=0.0
    )
    if claimed != 1:
        return False
    job = DatasetJob.objects.select_related("created_by").get(pk=job_id)
    try:
        _do(job)
    except CallcenterError as error:
        _fail(job, error.message)
    except Exception as error:
        log.exception("dataset_job_failed", job=str(job_id), error=type(error).__name__)
        _fail(job, f"It failed ({type(error).__name__}); see the logs, then try again.")
    return True


def _do(job: DatasetJob) -> None:
    values = job.parameters

    def progress(fraction: float) -> None:
        DatasetJob.objects.filter(pk=job.pk, state=State.WORKING).update(
            progress=min(1.0, max(0.0, fraction)), heard_at=timezone.now()
        )

    made: dict[str, Any] = {}
    if job.task == "build":
        teams = values.get("teams")
        made["dataset"] = datasets.build(
            by=job.created_by,
            name=job.name,
            since=datetime.fromisoformat(values["since"]) if values.get("since") else None,
            teams=None if teams is None else list(Team.objects.filter(pk__in=teams)),
            replay_share=float(values.get("replay_share", 0.3)),
            pseudo_share=float(values.get("pseudo_share", 0.0)),
            progress=progress,
        )
    else:
        with store().local_path(job.staged_key) as path:
            if job.task == "import":
                made["dataset"] = importing.import_corpus(
                    path=path, name=job.name, role=values["role"], by=job.created_by, progress=progress
                )
            else:
                made["model"] = uploads.upload(path=path, name=job.name, by=job.created_by)
    DatasetJob.objects.filter(pk=job.pk, state=State.WORKING).update(
        state=State.DONE, progress=1.0, finished_at=timezone.now(), error_message="", **made
    )
    _forget(job)


def _fail(job: DatasetJob, message: str) -> None:
    DatasetJob.objects.filter(pk=job.pk, state=State.WORKING).update(
        state=State.FAILED, error_message=message[:1000], finished_at=timezone.now()
    )
    _forget(job)


def _forget(job: DatasetJob) -> None:
    if job.staged_key:
        store().delete(job.staged_key)


def sweep() -> int:
    """Send again the jobs that nobody works on although somebody should; return how many."""
    quiet = DatasetJob.objects.filter(state__in=DatasetJob.OPEN, heard_at__lt=timezone.now() - _SILENCE)
    sent = 0
    for job in quiet:
        lost = job.state == State.WORKING  # one that still waits has lost nothing but its message
        given_up = lost and job.failures + 1 >= MAX_FAILURES
        changed = DatasetJob.objects.filter(pk=job.pk, state=job.state, heard_at=job.heard_at).update(
            state=State.FAILED if given_up else State.QUEUED,
            failures=F("failures") + int(lost),
            heard_at=timezone.now(),
            error_message="The worker went silent three times; see the logs." if given_up else "",
            finished_at=timezone.now() if given_up else None,
        )
        if changed and not given_up:
            enqueue("learning.dataset_job", queue="ingest", job_id=str(job.pk))
            sent += 1
    return sent
