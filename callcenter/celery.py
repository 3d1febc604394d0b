"""The Celery application of the web side: ingest, understanding, orchestration. Queues are declared, never implied."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")

app = Celery("callcenter")

app.config_from_object(settings.CELERY)
app.conf.task_queues = [Queue(name) for name in ("default", "ingest", "speech", "nlu", "learning")]
app.conf.task_routes = {
    "calls.*": {"queue": "ingest"},
    "pipeline.understand": {"queue": "nlu"},
    "insights.rule_job": {"queue": "nlu"},
    "insights.*": {"queue": "default"},
    "pipeline.*": {"queue": "default"},
    "review.*": {"queue": "default"},
    "privacy.mask": {"queue": "nlu"},
    "privacy.reindex": {"queue": "nlu"},
    "privacy.*": {"queue": "default"},
    "intents.work": {"queue": "nlu"},
    "intents.*": {"queue": "default"},
    "learning.nightly": {"queue": "ingest"},
    "learning.dataset_job": {"queue": "ingest"},
    "learning.*": {"queue": "default"},
    "notifications.*": {"queue": "default"},
    "answers.*": {"queue": "nlu"},
    "asr_worker.*": {"queue": "speech"},
}
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logging(**_: object) -> None:
    """Celery would replace the log handlers; ours are set by Django."""
