"""The tasks of the speech side (transcribe, learn), and what they tell the web side: progress, finished, failed.

Only ids, keys and figures cross; messages are sent by name, since this side does not know the other's code.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace
from typing import Any, Self

from asr_worker import pipeline
from asr_worker.celery import app
from asr_worker.storage import open_store
from asr_worker.types import PipelineSpec, SpeechError

log = logging.getLogger(__name__)

_BEAT_SECONDS = 15.0
_RETRY = {"max_retries": 8, "interval_start": 0.2, "interval_step": 1.0, "interval_max": 5.0}


class Reporter:
    """Tells how far a run is, at most once a second, and every 15 s that the worker still lives.

    The sign of life stops after 15 minutes without any progress, so that a stuck worker is found out.
    """

    message = "pipeline.speech_progress"
    stuck_seconds = 900.0

    def __init__(self, run_id: str, attempt: int) -> None:
        self._ids = {"run_id": run_id, "attempt": attempt}
        self._sent = 0.0
        self._last: tuple[str, float] = ("decode", 0.0)
        self._moved = time.monotonic()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="sign-of-life", daemon=True)

    def __enter__(self) -> Self:
        self._send(*self._last)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def __call__(self, stage: str, fraction: float) -> None:
        now = time.monotonic()
        with self._lock:
            changed = stage != self._last[0]
            self._last, self._moved = (stage, fraction), now
            if not changed and now - self._sent < 1.0:
                return
        self._send(stage, fraction)

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            if time.monotonic() - self._moved > self.stuck_seconds:
                return
            if time.monotonic() - self._sent >= _BEAT_SECONDS:
                self._send(*self._last)

    def _send(self, stage: str, fraction: float) -> None:
        self._sent = time.monotonic()
        _whisper(self.message, **self._ids, **self._content(stage, fraction))

    def _content(self, stage: str, fraction: float) -> dict[str, Any]:
        return {"stage": stage, "fraction": round(fraction, 4)}


class LearningReporter(Reporter):
    """The same for a learning job, with what its stage has to say: steps, loss, WER, time left."""

    message = "learning.progress"
    stuck_seconds = 3600.0  # one evaluation on a slow machine says nothing for a long while

    def __init__(self, run_id: str, attempt: int) -> None:
        super().__init__(run_id, attempt)
        self._last = ("materialise", 0.0)
        self._doc: dict[str, Any] = {}

    def tell(self, stage: str, fraction: float, doc: dict[str, Any]) -> None:
        with self._lock:
            self._doc = {**doc, "fraction": round(fraction, 4)}
        self(stage, fraction)

    def _content(self, stage: str, fraction: float) -> dict[str, Any]:
        return {"stage": stage, "doc": {"fraction": round(fraction, 4), **self._doc}}


def _whisper(name: str, **kwargs: Any) -> None:
    """Send a sign of progress; losing it must not lose the work."""
    try:
        app.send_task(name, kwargs=kwargs, queue="default", expires=60, retry=False)
    except Exception as error:
        log.warning("progress of run %s was not sent: %s", kwargs["run_id"], type(error).__name__)


def _tell(name: str, **kwargs: Any) -> None:
    app.send_task(name, kwargs=kwargs, queue="default", retry=True, retry_policy=_RETRY)


@app.task(name="asr_worker.transcribe")
def transcribe(run_id: str, attempt: int, audio_key: str, spec: dict[str, Any]) -> None:
    """Transcribe one recording and report the outcome; never raises for a bad recording or a failing model."""
    ids = {"run_id": run_id, "attempt": attempt}
    try:
        wanted = PipelineSpec.from_json(spec)
        wanted = replace(wanted, device=os.environ.get("SPEECH_DEVICE") or wanted.device)
        store = open_store(os.environ.get("STORAGE_URL", ""))
        report = pipeline.RunReport()
        with Reporter(run_id, attempt) as progress:
            key = pipeline.run(store, audio_key, wanted, progress, report=report)
    except SpeechError as error:
        log.warning("run %s failed: %s", run_id, error.code)
        _tell("pipeline.speech_failed", **ids, code=error.code, message=error.message, permanent=error.permanent)
    except FileNotFoundError:
        log.warning("run %s failed: the recording is not in the storage", run_id)
        _tell(
            "pipeline.speech_failed",
            **ids,
            code="audio_missing",
            message="The recording is not in the storage that the speech worker uses.",
            permanent=True,
        )
    except Exception as error:
        # The message of an unknown error may quote a transcript, so only its class leaves this process.
        log.error("run %s failed: %s", run_id, type(error).__name__, exc_info=_bare(error))
        _tell(
            "pipeline.speech_failed",
            **ids,
            code="worker_error",
            message=f"The speech worker met an error ({type(error).__name__}); it will be tried again.",
            permanent=False,
        )
    else:
        _tell(
            "pipeline.speech_finished",
            **ids,
            audio_info_key=report.audio_info_key,
            transcript_key=key,
            seconds=report.seconds,
        )
        log.info("run %s finished", run_id)


@app.task(name="asr_worker.listen_again")
def listen_again(mask_id: int, attempt: int, audio_key: str, spec: dict[str, Any]) -> None:
    """Transcribe an excerpt of a muted recording, so that somebody can judge whether anything is heard through it."""
    ids = {"mask_id": mask_id, "attempt": attempt}
    try:
        wanted = PipelineSpec.from_json(spec)
        wanted = replace(wanted, device=os.environ.get("SPEECH_DEVICE") or wanted.device)
        key = pipeline.run(open_store(os.environ.get("STORAGE_URL", "")), audio_key, wanted)
    except SpeechError as error:
        log.warning("mask %s was not checked: %s", mask_id, error.code)
        _tell("privacy.check_failed", **ids, code=error.code, message=error.message, permanent=error.permanent)
    except FileNotFoundError:
        message = "the excerpt is not in the storage that the speech worker uses"
        _tell("privacy.check_failed", **ids, code="audio_missing", message=message, permanent=False)
    except Exception as error:
        log.error("mask %s was not checked: %s", mask_id, type(error).__name__, exc_info=_bare(error))
        message = f"the speech worker met an error ({type(error).__name__})"
        _tell("privacy.check_failed", **ids, code="worker_error", message=message, permanent=False)
    else:
        _tell("privacy.check_finished", **ids, transcript_key=key)


@app.task(name="asr_worker.learn", acks_late=False)
def learn(run_id: str, attempt: int, job: dict[str, Any]) -> None:
    """Do one learning job and report the outcome; never raises for bad data or a failing training.

    Acknowledged before it begins: a job that kills its worker is sent again by the web side, which counts, and not by
    the broker, which does not.
    """
    from asr_worker import learn as jobs

    ids = {"run_id": run_id, "attempt": attempt}
    try:
        store = open_store(os.environ.get("STORAGE_URL", ""))
        with LearningReporter(run_id, attempt) as reporter:
            key = jobs.run(store, run_id, job, reporter.tell)
    except jobs.Busy:
        log.info("learning run %s is being worked on already", run_id)
    except SpeechError as error:
        log.warning("learning run %s failed: %s", run_id, error.code)
        _tell("learning.failed", **ids, code=error.code, message=error.message, permanent=error.permanent)
    except Exception as error:
        log.error("learning run %s failed: %s", run_id, type(error).__name__, exc_info=_bare(error))
        _tell(
            "learning.failed",
            **ids,
            code="worker_error",
            message=f"The learning worker met an error ({type(error).__name__}); it will be tried again.",
            permanent=False,
        )
    else:
        _tell("learning.finished", **ids, result_key=key)
        log.info("learning run %s finished", run_id)


def _bare(error: BaseException) -> tuple[type[BaseException], BaseException, Any]:
    """Return exception info with the traceback but without the message."""
    return RuntimeError, RuntimeError(type(error).__name__), error.__traceback__


def warm() -> None:
    """Load the model named by SPEECH_MODEL, if any; a failure is logged and left for the first call to meet."""
    model = os.environ.get("SPEECH_MODEL")
    if not model:
        return
    from asr_worker.engines import registry

    usual = PipelineSpec()
    spec = PipelineSpec(
        model=model,
        transcriber=os.environ.get("SPEECH_ENGINE") or usual.transcriber,
        compute_type=os.environ.get("SPEECH_COMPUTE_TYPE") or usual.compute_type,
        device=os.environ.get("SPEECH_DEVICE") or usual.device,
    )
    try:
        registry.transcriber(spec)
    except Exception as error:
        log.warning("the speech model was not loaded ahead: %s", type(error).__name__)
