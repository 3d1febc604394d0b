"""The state machine of a run. Every move is a conditional UPDATE: whoever changes the row does the work, nobody else.

    queued -> speech -> nlu_queued -> nlu -> done
       ^________|  passing error       |_______> failed (permanent, or too many failures)

Messages may be lost, doubled or late; the rows decide. See docs/architecture.md.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from asr_worker.types import PipelineSpec
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue, send
from callcenter.core.storage import store
from callcenter.pipeline import broker
from callcenter.pipeline.models import Run
from callcenter.pipeline.spec import spec_for

log = structlog.get_logger("callcenter.pipeline")
State = Run.State
BACKOFF_SECONDS = (5, 30, 120, 600)


def start_run(*, call: Call, spec: PipelineSpec | None = None, by: User | None = None, held: bool = False) -> Run:
    """Create the run of a call and send it on its way after the commit; a held one when the line is short.

    Raises CallcenterError when the call is being worked on already.
    """
    try:
        with transaction.atomic():
            run = Run.objects.create(call=call, spec=(spec or spec_for(call)).to_json(), held=held)
    except IntegrityError as error:
        raise CallcenterError(N_("This call is being processed already."), code="busy") from error
    if held:
        enqueue("pipeline.release", queue="default")
    else:
        enqueue("pipeline.advance", queue="default", run_id=str(run.pk))
    return run


def release_held() -> int:
    """Let held runs go on, oldest first, while fewer than BACKLOG_AHEAD wait for a speech worker; return how many.

    Whoever files thousands of old recordings gets every idle minute and no other: a new call has at most that many
    before it in the line.
    """
    waiting = Run.objects.filter(
        models.Q(state=State.QUEUED, held=False) | models.Q(state=State.SPEECH, started_at=None)
    ).count()
    room = settings.ENV.BACKLOG_AHEAD - waiting
    if room <= 0:
        return 0
    released = 0
    for pk in Run.objects.filter(held=True).order_by("created_at").values_list("pk", flat=True)[:room]:
        if Run.objects.filter(pk=pk, held=True).update(held=False):
            enqueue("pipeline.advance", queue="default", run_id=str(pk))
            released += 1
    return released


def reprocess(*, call: Call, by: User | None) -> Run:
    """Run the whole pipeline again with the model served now; the present transcript stays until then."""
    run = start_run(call=call, by=by)
    audit.record("call.reprocess", call, user=by)
    return run


def retry(*, run: Run, by: User | None) -> Run:
    """Put a failed run back in line with a fresh count of tries. Raises CallcenterError when it has not failed."""
    try:
        with transaction.atomic():
            # What was heard is kept: a run that failed after it goes on with understanding.
            heard = run.transcript_id is not None
            changed = Run.objects.filter(pk=run.pk, state=State.FAILED).update(
                state=State.NLU_QUEUED if heard else State.QUEUED,
                failures=0,
                next_attempt_at=timezone.now(),
                finished_at=None,
                error_code="",
                error_message="",
                error_permanent=False,
            )
    except IntegrityError as error:
        raise CallcenterError(N_("This call is being processed by another run already."), code="busy") from error
    if changed != 1:
        raise CallcenterError(N_("Only a failed run can be retried."), code="not_failed")
    run.refresh_from_db()
    audit.record("run.retry", run, user=by)
    task, queue = ("pipeline.understand", "nlu") if heard else ("pipeline.advance", "default")
    enqueue(task, queue=queue, run_id=str(run.pk))
    return run


def advance(run_id: UUID | str) -> bool:
    """Move a waiting run to the next step if its time has come; return whether this caller moved it."""
    now = timezone.now()
    run = Run.objects.filter(pk=run_id).select_related("call__recording").first()
    if run is None:
        return False
    waiting = Run.objects.filter(pk=run_id, next_attempt_at__lte=now)
    if run.held:
        return False
    if run.state == State.NLU_QUEUED:
        return send("pipeline.understand", queue="nlu", run_id=str(run.pk))
    changed = waiting.filter(state=State.QUEUED).update(
        state=State.SPEECH,
        attempt=F("attempt") + 1,
        deadline_at=now + _patience(),
        next_attempt_at=None,
        stage="waiting",
        progress=0.0,
        started_at=None,
    )
    if changed != 1:
        return False
    run.refresh_from_db()
    _send_to_speech(run)
    return True


def speech_progress(*, run_id: str, attempt: int, stage: str, fraction: float) -> None:
    """Note how far the worker is, and that it lives."""
    now = timezone.now()
    live = Run.objects.filter(pk=run_id, state=State.SPEECH)
    if live.filter(started_at=None).update(started_at=now):
        release_held()
    live.update(
        stage=stage[:20],
        progress=0.9 * max(0.0, min(1.0, fraction)),
        deadline_at=now + _silence(),
    )


def speech_finished(
    *, run_id: str, attempt: int, audio_info_key: str, transcript_key: str, seconds: dict[str, float]
) -> bool:
    """Store the transcript of a run that waits for one; any attempt's answer serves, since all are the same."""
    try:
        return _store_answer(run_id, transcript_key, seconds) or _tidy(run_id, transcript_key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        # The artefact is not where this side looks, or not what it should be: say so, instead of waiting in silence.
        log.error("transcript_not_stored", run=run_id, attempt=attempt, error=type(error).__name__)
        message = N_("The transcript that the speech worker wrote could not be read (%(error)s).") % {
            "error": type(error).__name__
        }
        speech_failed(run_id=run_id, attempt=attempt, code="transcript_unreadable", message=message, permanent=False)
        return False


def _store_answer(run_id: str, transcript_key: str, seconds: dict[str, float]) -> bool:
    from callcenter.calls.services.transcripts import store_transcript

    with transaction.atomic():
        run = (
            Run.objects.select_for_update(of=("self",))
            .select_related("call__recording")
            .filter(pk=run_id, state__in=[State.SPEECH, State.QUEUED])
            .first()
        )
        if run is None:
            return False
        transcript = store_transcript(call=run.call, key=transcript_key)
        run.state = State.NLU_QUEUED
        run.stage, run.progress = "understand", 0.9
        run.transcript = transcript
        run.seconds = {**run.seconds, **{k: round(float(v), 3) for k, v in seconds.items()}}
        run.next_attempt_at = timezone.now()
        run.deadline_at = None
        run.save()
        enqueue("pipeline.understand", queue="nlu", run_id=str(run.pk))
    log.info("speech_finished", run=run_id)
    return True


def _tidy(run_id: str, transcript_key: str) -> bool:
    """A late answer is not stored, but the worker has written its words: they are cleaned like any others."""
    from callcenter.privacy.services.keeping import receive_stray

    run = Run.objects.filter(pk=run_id).select_related("call__recording").first()
    receive_stray(recording=run.call.recording if run else None, key=transcript_key)
    return False


def speech_failed(*, run_id: str, attempt: int, code: str, message: str, permanent: bool) -> None:
    """Take a worker's word that it failed. An older attempt's word no longer counts."""
    run = Run.objects.select_related("call__recording").filter(pk=run_id, state=State.SPEECH, attempt=attempt).first()
    if run is not None:
        if code == "audio_missing" and store().exists(run.call.recording.storage_key):
            # It was replaced by its muted variant while the message was on its way.
            permanent = False
        fail(run, code=code, message=message, permanent=permanent, back_to=State.QUEUED)


def understand(run_id: str) -> bool:
    """Claim one run for understanding and finish it; return whether this caller did."""
    from callcenter.insights.services import understand_call

    now = timezone.now()
    changed = Run.objects.filter(pk=run_id, state=State.NLU_QUEUED, next_attempt_at__lte=now).update(
        state=State.NLU, deadline_at=now + _patience(), next_attempt_at=None
    )
    if changed != 1:
        return False
    run = Run.objects.select_related("call").get(pk=run_id)
    started = timezone.now()
    try:
        understand_call(call=run.call)
    except CallcenterError as error:
        fail(run, code=error.code, message=error.message, permanent=error.permanent, back_to=State.NLU_QUEUED)
        return True
    except Exception as error:  # whatever understanding trips over, the run must say so and go on
        log.exception("understand_failed", run=run_id, error=type(error).__name__)
        message = N_("Understanding this call failed (%(error)s).") % {"error": type(error).__name__}
        fail(run, code="nlu_error", message=message, permanent=False, back_to=State.NLU_QUEUED)
        return True
    ended = timezone.now()
    seconds = {**run.seconds, "understand": round((ended - started).total_seconds(), 3)}
    Run.objects.filter(pk=run_id, state=State.NLU).update(
        state=State.DONE,
        stage="",
        progress=1.0,
        finished_at=ended,
        deadline_at=None,
        seconds=seconds,
        error_code="",
        error_message="",
        error_permanent=False,
    )
    log.info("run_done", run=run_id)
    return True


def fail(run: Run, *, code: str, message: str, permanent: bool, back_to: str) -> None:
    """Count one failure: back in line after a pause, or failed for good with the reason shown."""
    failures = run.failures + 1
    give_up = permanent or failures >= settings.ENV.RUN_MAX_ATTEMPTS
    now = timezone.now()
    pause = BACKOFF_SECONDS[min(failures - 1, len(BACKOFF_SECONDS) - 1)]
    Run.objects.filter(pk=run.pk, state=run.state).update(
        state=State.FAILED if give_up else back_to,
        failures=failures,
        error_code=code[:60],
        error_message=message[:500],
        error_permanent=permanent,
        next_attempt_at=None if give_up else now + timedelta(seconds=pause),
        finished_at=now if give_up else None,
        deadline_at=None,
    )
    if give_up:
        from callcenter.privacy.services.keeping import forget_raw

        # Nobody has looked for card data in what was recognised so far, so it does not stay.
        forget_raw(f"artefacts/{run.call.recording.storage_key.rsplit('/', 1)[-1]}/")
    log.warning("run_failure", run=str(run.pk), code=code, permanent=permanent, failures=failures, gave_up=give_up)
    if not give_up:
        task, queue = ("pipeline.understand", "nlu") if back_to == State.NLU_QUEUED else ("pipeline.advance", "default")
        enqueue(task, queue=queue, countdown=pause + 0.5, run_id=str(run.pk))


def sweep() -> dict[str, int]:
    """Re-advance every run that nobody works on although somebody should; return what was done to how many."""
    done = {"advanced": 0, "extended": 0, "resent": 0, "failed": 0}
    backlog = {name: broker.queue_length(name) or 0 for name in ("speech", "nlu", "default")}
    for run in Run.objects.due().select_related("call__recording")[:1000]:
        done[_sweep_one(run, backlog)] += 1
    release_held()
    return done


def _sweep_one(run: Run, backlog: dict[str, int]) -> str:
    now = timezone.now()
    if run.state == State.NLU_QUEUED and backlog["nlu"]:
        return "extended"
    if run.state in Run.WAITING:
        advance(run.pk)
        return "advanced"
    if run.state == State.SPEECH and run.started_at is None:
        # Nobody has begun: either the message stands in a long line, or it got lost with the broker.
        Run.objects.filter(pk=run.pk, state=State.SPEECH, deadline_at=run.deadline_at).update(
            deadline_at=now + _patience()
        )
        if backlog["speech"]:
            return "extended"
        _send_to_speech(run)
        return "resent"
    if run.state == State.SPEECH and backlog["default"]:
        # The signs of life come by that queue: while it is long, silence proves nothing.
        Run.objects.filter(pk=run.pk, state=State.SPEECH, deadline_at=run.deadline_at).update(
            deadline_at=now + _silence()
        )
        return "extended"
    step = "transcribing" if run.state == State.SPEECH else "understanding"
    back_to = State.QUEUED if run.state == State.SPEECH else State.NLU_QUEUED
    message = N_("The worker that was %(step)s this call went silent.") % {"step": step}
    fail(run, code="worker_lost", message=message, permanent=False, back_to=back_to)
    return "failed"


def _send_to_speech(run: Run) -> None:
    send(
        "asr_worker.transcribe",
        queue="speech",
        run_id=str(run.pk),
        attempt=run.attempt,
        audio_key=run.call.recording.storage_key,
        spec=_wire(run.spec),
    )


def _wire(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with the device of now: where it runs is not part of what was asked for."""
    return {**spec, "device": settings.ENV.SPEECH_DEVICE}


def _silence() -> timedelta:
    """Return how long a worker that has reported once may be silent; it reports every 15 s."""
    return timedelta(seconds=settings.ENV.RUN_SILENCE_SECONDS)


def _patience() -> timedelta:
    return timedelta(seconds=settings.ENV.RUN_DEADLINE_SECONDS)
