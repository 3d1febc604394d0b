"""The Celery application of the speech side: `celery -A asr_worker.celery worker -Q speech --pool=solo`.

Configured by the environment alone (REDIS_URL, STORAGE_URL, MODELS_DIR, SPEECH_DEVICE, and optionally SPEECH_MODEL
to have one loaded before the first call): no Django, no database. One process, one message at a time; a message is
acknowledged when its work is done, so a worker that dies gives it back.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_init, worker_process_init
from kombu import Queue

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")

QUEUES = ("ingest", "speech", "nlu", "learning", "default")

app = Celery("asr_worker", broker=os.environ.get("REDIS_URL") or None, include=["asr_worker.tasks"])
app.conf.update(
    task_queues=[Queue(name) for name in QUEUES],
    task_default_queue="speech",
    task_create_missing_queues=False,
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    worker_pool="solo",
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 7200},
    timezone="UTC",
)


@worker_init.connect
def _check_environment(**_: object) -> None:
    """Refuse to start without the addresses, in words."""
    missing = [name for name in ("REDIS_URL", "STORAGE_URL") if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"the speech worker needs {' and '.join(missing)} in its environment")


@worker_process_init.connect
def _warm_up(**_: object) -> None:
    """Load the model of SPEECH_MODEL, if it is set, so that the first call does not wait for it."""
    from asr_worker.tasks import warm

    warm()
