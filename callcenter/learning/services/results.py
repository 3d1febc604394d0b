"""What a learning worker found becomes rows, exactly once: a model, its evaluations and, if it may, a promotion."""

from __future__ import annotations

import json
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from asr_worker.gate import Verdict
from asr_worker.normalise import NORMALISER_VERSION
from callcenter.core import audit
from callcenter.core.queue import enqueue
from callcenter.core.storage import store
from callcenter.learning.models import Evaluation, Model, TrainingRun
from callcenter.learning.services import registry, training

log = structlog.get_logger("callcenter.learning")
State = TrainingRun.State


class Unusable(ValueError):
    """A result document is not one of this run."""


def finished(*, run_id: str, attempt: int, result_key: str) -> bool:
    """Take the result of an open run; return whether this caller did. Any attempt's answer serves, and only one.

    A result that cannot be read is a failure of the run, shown with its reason.
    """
    try:
        return _take(run_id, result_key)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.error("result_not_taken", run=run_id, attempt=attempt, error=type(error).__name__)
        why = str(error) if isinstance(error, Unusable) else type(error).__name__
        message = f"The result that the learning worker wrote could not be read ({why})."
        training.failed(run_id=run_id, attempt=attempt, code="result_unreadable", message=message, permanent=False)
        return False


def _take(run_id: str, result_key: str) -> bool:
    with transaction.atomic():
        run = (
            TrainingRun.objects.select_for_update(of=("self",))
            .select_related("base", "candidate", "served", "golden", "old_domain", "dataset")
            .filter(pk=run_id, state__in=TrainingRun.OPEN)
            .first()
        )
        if run is None:
            return False
        result = _read(run_id, result_key)
        verdict = Verdict.from_json(result["verdict"])
        model = _candidate(run, result)
        _file_evaluations(run, model, result)
        now = timezone.now()
        fit = result.get("fit") or {}
        run.progress = {
            **run.progress,
            "curve": _curve(fit) or run.progress.get("curve", []),
            "fit": {k: v for k, v in fit.items() if k not in ("curve", "checkpoint")},
        }
        run.state = State.DONE if verdict.passed else State.REFUSED
        run.candidate = model
        run.verdict = result["verdict"]
        run.result_key = result_key
        run.seconds = {k: v for k, v in (result.get("seconds") or {}).items() if isinstance(v, int | float)}
        run.stage, run.fraction = "", 1.0
        run.finished_at, run.deadline_at, run.next_attempt_at = now, None, None
        run.started_at = run.started_at or now
        run.error_code = run.error_message = ""
        run.error_permanent = False
        run.outcome = verdict.summary[:1000]
        run.save()
        _settle(run, model, verdict)
        audit.record("training.result", run, passed=verdict.passed, model=str(model.pk))
        enqueue("learning.sweep", queue="default")  # the night behind it goes on
    log.info("learning_run_ended", run=run_id, passed=verdict.passed)
    return True


def _read(run_id: str, key: str) -> dict[str, Any]:
    result = json.loads(store().get_bytes(key))
    if not isinstance(result, dict) or result.get("schema") != 1:
        raise Unusable("it is of an unknown schema")
    if str(result.get("run_id")) != str(run_id):
        raise Unusable("it is the result of another run")
    for name in ("candidate", "evaluations", "verdict"):
        if not isinstance(result.get(name), dict):
            raise Unusable(f"it has no {name}")
    if not result["candidate"].get("reference") or not result["evaluations"].get("candidate", {}).get("golden"):
        raise Unusable("it names no candidate with an evaluation")
    return result


def _candidate(run: TrainingRun, result: dict[str, Any]) -> Model:
    found = result["candidate"]
    card = found.get("card") or {}
    values = {
        "reference": found["reference"],
        "engine": found["engine"],
        "compute_type": found.get("compute_type") or "",
        "sha256": found.get("sha256") or "",
        "size": int(found.get("bytes") or 0),
        "variants": found.get("variants") or [],
    }
    if run.kind == TrainingRun.Kind.EVALUATE:
        assert run.candidate is not None
        model = Model.objects.select_for_update().get(pk=run.candidate.pk)
        for name, value in values.items():
            if value not in ("", 0, []):  # what this evaluation did not find out stays as it was
                setattr(model, name, value)
        model.card = {**card, **model.card}
        model.save()
        return model
    root = registry.root_of(run.base) if run.base else None
    english_only = bool(run.base and run.base.english_only)
    return Model.objects.create(
        name=registry.free_name(f"{root.name if root else 'model'}-{timezone.localtime():%Y-%m-%d}"),
        status=Model.Status.CANDIDATE,
        training_run=run,
        english_only=english_only,
        card=card,
        created_by=run.created_by,
        **values,
    )


def _file_evaluations(run: TrainingRun, candidate: Model, result: dict[str, Any]) -> None:
    served = run.served or registry.served()
    for role, model in (("candidate", candidate), ("served", served)):
        for which, dataset in (("golden", run.golden), ("old", run.old_domain)):
            found = (result["evaluations"].get(role) or {}).get(which)
            if found is None:
                continue
            Evaluation.objects.get_or_create(
                run=run,
                role=role,
                data_name=which,
                defaults={
                    "model": model,
                    "dataset": dataset,
                    "normaliser": str((found.get("pooled") or {}).get("normaliser") or NORMALISER_VERSION),
                    "figures": {**found["pooled"], "real_time_factor": found.get("real_time_factor")},
                    "document_key": found.get("key") or "",
                },
            )


def _settle(run: TrainingRun, model: Model, verdict: Verdict) -> None:
    """Promote once, or keep the candidate and say why."""
    if not verdict.passed:
        if model.status == Model.Status.CANDIDATE:
            Model.objects.filter(pk=model.pk).update(status=Model.Status.REFUSED)
        return
    if model.status == Model.Status.REFUSED:
        Model.objects.filter(pk=model.pk).update(status=Model.Status.CANDIDATE)
    if not run.auto_promote:
        run.outcome = f"{verdict.summary} It waits for somebody to promote it."[:1000]
    elif run.served_id and registry.served().pk != run.served_id:
        run.outcome = (
            f"{verdict.summary} Another model went live while it was trained, so it was not promoted: "
            "evaluate it against the present one."
        )[:1000]
    else:
        checks = [check.to_json() for check in verdict.checks]
        registry.promote(model=model, by=run.created_by, checks=checks, run=run)
        run.outcome = f"{verdict.summary} It is live."[:1000]
    run.save(update_fields=["outcome"])


def _curve(fit: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in point.items() if k in ("step", "epoch", "loss", "wer") and v is not None}
        for point in fit.get("curve") or []
        if isinstance(point, dict) and "step" in point
    ]
