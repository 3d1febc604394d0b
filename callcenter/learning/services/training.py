"""The state machine of a learning run. Every move is a conditional UPDATE; messages may be lost, doubled or late.

    queued -> working -> done | refused | failed
       ^________|  passing error, silent worker

A worker acknowledges its message before it begins, so a killed one leaves nothing behind in the broker: the sweep
finds the silent row and sends the job again, and the worker goes on from its own checkpoint.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from asr_worker.gate import GateBounds
from asr_worker.learn import cancel_key
from asr_worker.training.config import FitConfig
from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue, send
from callcenter.core.storage import store
from callcenter.learning.models import Dataset, Model, TrainingRun
from callcenter.learning.services import old_domain, registry
from callcenter.pipeline import broker

log = structlog.get_logger("callcenter.learning")
State = TrainingRun.State
BACKOFF_SECONDS = (5, 60, 300, 900)
EXPORTS = ("int8", "float16")
MAX_CURVE = 1000
#: So many silences on end are one whatever waits in the queue: signs of life expire within a minute.
PROVEN = 4
#: What a run does against forgetting unless LEARNING_CONFIG says otherwise: without it the gate often has to refuse.
AGAINST_FORGETTING = {"average_with_base": 0.35}
STAGES = ("materialise", "fit", "export", "evaluate", "gate")


def default_config(**changes: Any) -> FitConfig:
    """Return the training settings that LEARNING_METHOD and LEARNING_CONFIG name, with `changes` over them.

    Raises CallcenterError naming a setting that does not exist.
    """
    env = settings.ENV
    told = json.loads(env.LEARNING_CONFIG) if env.LEARNING_CONFIG else {}
    values = {"method": env.LEARNING_METHOD, **AGAINST_FORGETTING, **told}
    try:
        return FitConfig.from_json({**values, **changes})
    except (ValueError, TypeError) as error:
        raise CallcenterError(
            gettext("The training settings are not usable: {error}.").format(error=error), code="bad_config"
        ) from error


def default_bounds() -> dict[str, Any]:
    """Return the gate's bounds, those of LEARNING_GATE over the defaults. Raises CallcenterError for unknown ones."""
    env = settings.ENV
    try:
        return GateBounds.from_json(json.loads(env.LEARNING_GATE) if env.LEARNING_GATE else {}).to_json()
    except (ValueError, TypeError) as error:
        raise CallcenterError(
            gettext("LEARNING_GATE is not usable: {error}.").format(error=error), code="bad_bounds"
        ) from error


def start(
    *,
    dataset: Dataset,
    by: User | None,
    config: FitConfig | None = None,
    base: Model | None = None,
    golden: Dataset | None = None,
    old: Dataset | None = None,
    auto_promote: bool | None = None,
) -> TrainingRun:
    """Create the run of a dataset and send it on its way after the commit.

    Raises CallcenterError when another run is open, the dataset is no training data, or no golden set belongs to it.
    """
    if dataset.kind != Dataset.Kind.TRAIN:
        raise CallcenterError(
            gettext("“{name}” is no training data: nothing is ever trained on it.").format(name=dataset.name),
            code="bad_kind",
        )
    golden = golden or dataset.golden or _latest(Dataset.Kind.GOLDEN)
    if golden is None:
        raise CallcenterError(
            gettext("There is no golden set to judge a candidate on: build a dataset from corrections, or import one."),
            code="no_golden",
        )
    config = config or default_config()
    base = base or registry.base_for_training()
    job = {"kind": "fit", "dataset": dataset.manifest_key, "base": base.reference, "config": config.to_json()}
    return _open(
        job,
        kind=TrainingRun.Kind.FIT,
        dataset=dataset,
        base=base,
        method=config.method,
        parameters=config.to_json(),
        golden=golden,
        old=old or _known_old_domain(dataset),
        auto_promote=settings.ENV.LEARNING_AUTO_PROMOTE if auto_promote is None else auto_promote,
        by=by,
    )


def evaluate(
    *, model: Model, by: User | None, golden: Dataset | None = None, old: Dataset | None = None
) -> TrainingRun:
    """Create a run that puts an existing model through the gate against what is served. It never promotes by itself.

    Raises CallcenterError when another run is open, the model is the served one, or there is no golden set.
    """
    if model.pk == registry.served().pk:
        raise CallcenterError(gettext("This model is served now; there is nothing to compare it with."), code="served")
    golden = golden or _latest(Dataset.Kind.GOLDEN)
    if golden is None:
        raise CallcenterError(
            gettext("There is no golden set to judge on: build or import one first."), code="no_golden"
        )
    job = {"kind": "evaluate", "dataset": "", "base": "", "config": {}, "candidate": model.reference}
    return _open(
        job,
        kind=TrainingRun.Kind.EVALUATE,
        candidate=model,
        golden=golden,
        old=old or _known_old_domain(None),
        auto_promote=False,
        by=by,
    )


def _open(job: dict[str, Any], *, golden: Dataset, old: Dataset | None, by: User | None, **values: Any) -> TrainingRun:
    present = registry.served()
    job |= {
        "served": registry.spec_of(present).to_json(),
        "compute_type": settings.ENV.SPEECH_COMPUTE_TYPE,
        "golden": {"name": golden.name, "manifest_key": golden.manifest_key},
        "old": _set_of(old),
        # Cutting the built-in one takes seconds: a worker does it before the run sets out, not whoever asked.
        "old_pending": old is None,
        "vocabulary": _vocabulary(),
        "bounds": default_bounds(),
        "exports": list(EXPORTS),
        "variants": settings.ENV.LEARNING_VARIANTS and values["kind"] == TrainingRun.Kind.FIT,
    }
    try:
        with transaction.atomic():
            run = TrainingRun.objects.create(
                job=job, golden=golden, old_domain=old, served=present, created_by=by, **values
            )
            audit.record("training.start", run, user=by, kind=run.kind, method=run.method)
    except IntegrityError as error:
        raise CallcenterError(
            gettext("Another learning run is at work; one runs at a time. Wait for it, or cancel it."), code="busy"
        ) from error
    enqueue("learning.advance", queue="default", run_id=str(run.pk))
    return run


def _latest(kind: str) -> Dataset | None:
    return Dataset.objects.filter(kind=kind).first()


def _known_old_domain(dataset: Dataset | None) -> Dataset | None:
    """Return the old domain that the dataset was built against, else an imported one; None where it must be cut."""
    known = dataset.parameters.get("old_domain") if dataset is not None else None
    found = Dataset.objects.filter(pk=known).first() if known else None
    return found or Dataset.objects.filter(kind=Dataset.Kind.OLD_DOMAIN, imported=True).first()


def _set_of(old: Dataset | None) -> dict[str, str] | None:
    return {"name": old.name, "manifest_key": old.manifest_key} if old else None


def _settle_old_domain(run: TrainingRun) -> bool:
    """Cut the old domain of a run that still lacks one; return whether the run may set out."""
    try:
        old = old_domain.current(by=run.created_by).gate
    except Exception as error:
        log.exception("old_domain_failed", run=str(run.pk), error=type(error).__name__)
        message = f"The old domain could not be put together ({type(error).__name__}); see the logs."
        fail(run, code="old_domain", message=message, permanent=False)
        return False
    job = {**run.job, "old": _set_of(old), "old_pending": False}
    if old is None:  # nothing to hold it to; the verdict says so, as it judged without
        job["bounds"] = {**job["bounds"], "require_old": False}
    return TrainingRun.objects.filter(pk=run.pk, state=State.QUEUED).update(job=job, old_domain=old) == 1


def _vocabulary() -> list[str]:
    """Return all terms of all teams: recall is counted on every one of them."""
    from callcenter.review.models import Term

    return sorted(set(Term.objects.values_list("text", flat=True)))[:2000]


# --- moves -----------------------------------------------------------------------------------------------------


def advance(run_id: str) -> bool:
    """Give a waiting run to the workers if its time has come; return whether this caller did."""
    now = timezone.now()
    due = TrainingRun.objects.filter(pk=run_id, state=State.QUEUED, next_attempt_at__lte=now)
    lacking = due.filter(job__old_pending=True).first()
    if lacking is not None and not _settle_old_domain(lacking):
        return False
    changed = due.update(
        state=State.WORKING,
        attempt=F("attempt") + 1,
        deadline_at=now + _patience(),
        next_attempt_at=None,
        heard_at=None,
        stage="waiting",
    )
    if changed != 1:
        return False
    _send(TrainingRun.objects.get(pk=run_id))
    return True


def _send(run: TrainingRun) -> None:
    # Where it runs is not part of what was asked for.
    job = {**run.job, "served": {**run.job["served"], "device": settings.ENV.SPEECH_DEVICE}}
    send("asr_worker.learn", queue="learning", run_id=str(run.pk), attempt=run.attempt, job=job)


def progress(*, run_id: str, attempt: int, stage: str, doc: dict[str, Any]) -> None:
    """Note how far the worker is, and that it lives. Whichever attempt speaks, the work is being done."""
    now = timezone.now()
    with transaction.atomic():
        run = TrainingRun.objects.select_for_update(of=("self",)).filter(pk=run_id, state=State.WORKING).first()
        if run is None:
            return
        run.started_at = run.started_at or now
        run.heard_at = now
        run.deadline_at = now + _silence()
        fraction = doc.get("fraction")
        if isinstance(fraction, int | float):
            run.fraction = min(1.0, max(0.0, float(fraction)))
        run.progress = _merged(run.progress, stage, doc, now.isoformat(timespec="seconds"))
        run.stage = stage[:20]
        run.save(update_fields=["started_at", "heard_at", "deadline_at", "fraction", "progress", "stage"])


def _merged(before: dict[str, Any], stage: str, doc: dict[str, Any], now: str) -> dict[str, Any]:
    """Return the progress with what is new: a point of the curve, the log of stages, what is left."""
    out = dict(before)
    entries = list(out.get("log", []))
    if not entries or entries[-1]["stage"] != stage:
        entries.append({"stage": stage, "at": now})
    out["log"] = entries[-50:]
    numbers = ("step", "steps", "epoch", "loss", "wer", "seconds_left")
    current = {key: doc[key] for key in numbers if isinstance(doc.get(key), int | float)}
    for key in ("model", "set", "stage"):
        if isinstance(doc.get(key), str):
            current["doing" if key == "stage" else key] = doc[key][:40]
    out["now"] = current
    curve = list(out.get("curve", []))
    if "step" in current and ("loss" in current or "wer" in current):
        point = {key: current[key] for key in ("step", "epoch", "loss", "wer") if key in current}
        if curve and curve[-1]["step"] == point["step"]:
            curve[-1] = {**curve[-1], **point}
        elif not curve or point["step"] > curve[-1]["step"]:
            curve.append(point)
        else:  # resumed: the worker is back at an earlier step
            curve = [p for p in curve if p["step"] < point["step"]] + [point]
    if len(curve) > MAX_CURVE:  # every second of the older points without a WER goes
        curve = [p for k, p in enumerate(curve) if "wer" in p or k % 2 or k > MAX_CURVE - 100]
    out["curve"] = curve
    return out


def failed(*, run_id: str, attempt: int, code: str, message: str, permanent: bool) -> None:
    """Take a worker's word that it failed. An older attempt's word no longer counts."""
    run = TrainingRun.objects.filter(pk=run_id, state=State.WORKING, attempt=attempt).first()
    if run is not None:
        fail(run, code=code, message=message, permanent=permanent)


def fail(run: TrainingRun, *, code: str, message: str, permanent: bool) -> None:
    """Count one failure: back in line after a pause, or failed for good with the reason shown."""
    failures = run.failures + 1
    give_up = permanent or failures >= settings.ENV.LEARNING_MAX_ATTEMPTS
    now = timezone.now()
    pause = BACKOFF_SECONDS[min(failures - 1, len(BACKOFF_SECONDS) - 1)]
    changed = TrainingRun.objects.filter(pk=run.pk, state=run.state, attempt=run.attempt).update(
        state=State.FAILED if give_up else State.QUEUED,
        failures=failures,
        error_code=code[:60],
        error_message=message[:1000],
        error_permanent=permanent,
        next_attempt_at=None if give_up else now + timedelta(seconds=pause),
        finished_at=now if give_up else None,
        deadline_at=None,
    )
    log.warning("learning_failure", run=str(run.pk), code=code, permanent=permanent, failures=failures)
    if changed and give_up:
        enqueue("learning.sweep", queue="default")
    elif changed:
        enqueue("learning.advance", queue="default", countdown=pause + 0.5, run_id=str(run.pk))


def retry(*, run: TrainingRun, by: User | None) -> TrainingRun:
    """Put a failed run back in line with a fresh count of tries; the worker goes on where it had got to."""
    try:
        with transaction.atomic():
            changed = TrainingRun.objects.filter(pk=run.pk, state=State.FAILED).update(
                state=State.QUEUED,
                failures=0,
                next_attempt_at=timezone.now(),
                finished_at=None,
                error_code="",
                error_message="",
                error_permanent=False,
            )
    except IntegrityError as error:
        raise CallcenterError(gettext("Another learning run is at work; one runs at a time."), code="busy") from error
    if changed != 1:
        raise CallcenterError(gettext("Only a failed or cancelled run can be retried."), code="not_failed")
    store().delete(cancel_key(str(run.pk)))
    run.refresh_from_db()
    audit.record("training.retry", run, user=by)
    enqueue("learning.advance", queue="default", run_id=str(run.pk))
    return run


def cancel(*, run: TrainingRun, by: User | None) -> TrainingRun:
    """Call an open run off: the row ends at once, the worker stops within seconds and nothing of it is taken."""
    changed = TrainingRun.objects.filter(pk=run.pk, state__in=TrainingRun.OPEN).update(
        state=State.FAILED,
        error_code="cancelled",
        error_message=f"Cancelled by {by.name}." if by else "Cancelled.",
        error_permanent=True,
        next_attempt_at=None,
        deadline_at=None,
        finished_at=timezone.now(),
    )
    if changed != 1:
        raise CallcenterError(gettext("This run has ended already."), code="ended")
    store().put_bytes(cancel_key(str(run.pk)), b"cancelled\n")
    run.refresh_from_db()
    audit.record("training.cancel", run, user=by)
    enqueue("learning.sweep", queue="default")
    return run


def sweep() -> dict[str, int]:
    """Send again what got lost; return what was done to how many."""
    done = {"advanced": 0, "extended": 0, "resent": 0, "failed": 0}
    now = timezone.now()
    for run in TrainingRun.objects.filter(state=State.QUEUED, next_attempt_at__lte=now):
        done["advanced"] += advance(str(run.pk))
    for run in TrainingRun.objects.filter(state=State.WORKING, deadline_at__lte=now):
        done[_sweep_one(run)] += 1
    return done


def _sweep_one(run: TrainingRun) -> str:
    same = TrainingRun.objects.filter(pk=run.pk, state=State.WORKING, deadline_at=run.deadline_at)
    now = timezone.now()
    if run.heard_at is None:
        # Nobody has begun: the message waits behind another job or for a worker, or it got lost with the broker.
        if same.update(deadline_at=now + _patience()) != 1 or broker.queue_length("learning"):
            return "extended"
        _send(run)
        return "resent"
    if broker.queue_length("default") and now - run.heard_at < PROVEN * _silence():
        # The signs of life come by that queue: while it is long, silence proves nothing for a while.
        same.update(deadline_at=now + _silence())
        return "extended"
    message = "The worker that was training went silent; the run goes on where it was."
    fail(run, code="worker_lost", message=message, permanent=False)
    return "failed"


def _silence() -> timedelta:
    return timedelta(seconds=settings.ENV.LEARNING_SILENCE_SECONDS)


def _patience() -> timedelta:
    return timedelta(seconds=settings.ENV.RUN_DEADLINE_SECONDS)
