"""Which model is served: promotion and rollback are one row flip, in one transaction, with their evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext

from asr_worker.types import PipelineSpec
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.learning.models import Model, Promotion, TrainingRun

log = structlog.get_logger("callcenter.learning")
Status = Model.Status


def served() -> Model:
    """Return the row of the model that new calls are transcribed with.

    Where no trained model is live that is the one the settings name; its row is made when it is first needed, so
    that one can go back to it, and follows the settings when they change.
    """
    row = Model.objects.filter(status=Status.SERVED).first()
    if row is not None and (not row.built_in or _is_configured(row)):
        return row
    try:
        with transaction.atomic():
            Model.objects.select_for_update().filter(status=Status.SERVED, built_in=True).update(status=Status.RETIRED)
            row = configured()
            Model.objects.filter(pk=row.pk).update(status=Status.SERVED)
            row.status = Status.SERVED
    except IntegrityError:  # somebody promoted a model in the meantime
        return Model.objects.get(status=Status.SERVED)
    return row


def configured() -> Model:
    """Return the row of the model that the settings name, making it when it is missing."""
    env = settings.ENV
    found = Model.objects.filter(built_in=True, reference=env.SPEECH_MODEL, engine=env.SPEECH_ENGINE).first()
    if found is not None:
        if found.compute_type != env.SPEECH_COMPUTE_TYPE:
            Model.objects.filter(pk=found.pk).update(compute_type=env.SPEECH_COMPUTE_TYPE)
            found.compute_type = env.SPEECH_COMPUTE_TYPE
        return found
    return Model.objects.create(
        name=free_name(env.SPEECH_MODEL.rstrip("/").rsplit("/", 1)[-1] or env.SPEECH_MODEL),
        reference=env.SPEECH_MODEL,
        engine=env.SPEECH_ENGINE,
        compute_type=env.SPEECH_COMPUTE_TYPE,
        status=Status.RETIRED,
        built_in=True,
        english_only=env.SPEECH_MODEL.endswith(".en"),
        card={"origin": "settings"},
    )


def _is_configured(row: Model) -> bool:
    env = settings.ENV
    return (row.reference, row.engine, row.compute_type) == (
        env.SPEECH_MODEL,
        env.SPEECH_ENGINE,
        env.SPEECH_COMPUTE_TYPE,
    )


def free_name(wanted: str) -> str:
    """Return a model name that is not taken: the wanted one, else with the first number that is free."""
    name, number = wanted[:110], 2
    while Model.objects.filter(name=name).exists():
        name, number = f"{wanted[:110]}-{number}", number + 1
    return name


def spec_of(model: Model) -> PipelineSpec:
    """Return how the model is served to English calls, as the gate must measure it."""
    env = settings.ENV
    return PipelineSpec(
        transcriber=model.engine,
        model=model.reference,
        compute_type=model.compute_type or env.SPEECH_COMPUTE_TYPE,
        device=env.SPEECH_DEVICE,
        language=env.SPEECH_LANGUAGE,
    )


def passed_gate(model: Model) -> TrainingRun | None:
    """Return the last run in which the gate let this model through, unless a later one refused it."""
    judged = (
        TrainingRun.objects.filter(Q(candidate=model) | Q(trained_models=model))
        .filter(state__in=[TrainingRun.State.DONE, TrainingRun.State.REFUSED])
        .order_by("-finished_at")
        .first()
    )
    return judged if judged is not None and judged.state == TrainingRun.State.DONE else None


def may_be_promoted(model: Model) -> str:
    """Return an empty string, or why this model needs a person's reason to go live."""
    if model.built_in or model.promotions.exists():
        return ""
    if passed_gate(model) is None:
        return gettext("It has not passed the gate.")
    if model.flagged_reason:
        return gettext("It is flagged: {reason}").format(reason=model.flagged_reason)
    return ""


def promote(
    *,
    model: Model,
    by: User | None,
    checks: Iterable[dict[str, Any]] | None = None,
    run: TrainingRun | None = None,
    forced_reason: str = "",
) -> Promotion | None:
    """Make the model the served one; running workers have it with their next call. None if it was served already.

    Raises CallcenterError for a model that has not passed the gate, unless a reason is given, which is kept.
    """
    present = served()
    with transaction.atomic():
        rows = {m.pk: m for m in Model.objects.select_for_update().filter(Q(status=Status.SERVED) | Q(pk=model.pk))}
        model = rows[model.pk]
        if model.status == Status.SERVED:
            return None
        problem = may_be_promoted(model)
        if problem and not forced_reason.strip():
            raise CallcenterError(
                gettext(
                    "“{name}” cannot go live. {problem} Evaluate it, or give a reason to do it all the same."
                ).format(name=model.name, problem=problem),
                code="not_passed",
            )
        present = next((m for m in rows.values() if m.status == Status.SERVED), present)
        judged = run or passed_gate(model)
        promotion = _flip(
            present,
            model,
            by=by,
            run=judged,
            checks=list(checks) if checks is not None else list((judged.verdict if judged else {}).get("checks", [])),
            forced_reason=forced_reason.strip()[:300] if problem else "",
        )
        audit.record(
            "model.promote", model, user=by, previous=str(present.pk), forced=promotion.forced_reason or None,
            run=str(judged.pk) if judged else None,
        )  # fmt: skip
    log.info("model_promoted", model=str(model.pk), previous=str(present.pk))
    return promotion


def rollback(*, by: User | None, model: Model | None = None, reason: str = "") -> Promotion | None:
    """Serve again what was served before `model` (default: the present one). None if `model` is no longer served.

    Pressing the button twice therefore goes back once. Raises CallcenterError when there is nothing to go back to.
    """
    served()
    with transaction.atomic():
        present = Model.objects.select_for_update().get(status=Status.SERVED)
        if model is not None and present.pk != model.pk:
            return None
        back = predecessor(present)
        if back is None:
            raise CallcenterError(gettext("There is no earlier model to go back to."), code="no_predecessor")
        back = Model.objects.select_for_update().get(pk=back.pk)
        promotion = _flip(present, back, by=by, run=None, checks=[], forced_reason=reason.strip()[:300], rollback=True)
        audit.record("model.rollback", back, user=by, previous=str(present.pk), reason=promotion.forced_reason or None)
    log.info("model_rolled_back", model=str(back.pk), previous=str(present.pk))
    return promotion


def predecessor(model: Model) -> Model | None:
    """Return what was served when this model was last promoted; a rollback does not count as a promotion."""
    last = Promotion.objects.filter(model=model, rollback=False).select_related("previous").first()
    back = last.previous if last is not None else None
    return None if back is None or back.pk == model.pk else back


def _flip(
    present: Model,
    model: Model,
    *,
    by: User | None,
    run: TrainingRun | None,
    checks: list[dict[str, Any]],
    forced_reason: str,
    rollback: bool = False,
) -> Promotion:
    Model.objects.filter(pk=present.pk).update(status=Status.RETIRED)
    Model.objects.filter(pk=model.pk).update(status=Status.SERVED)
    model.status = Status.SERVED
    return Promotion.objects.create(
        model=model,
        previous=present,
        rollback=rollback,
        run=run,
        checks=checks,
        forced_reason=forced_reason,
        created_by=by,
    )


def flag_models_of(calls: Iterable[Call], *, reason: str, by: User | None = None) -> list[Model]:
    """Flag every model that learned from one of the calls, or from a model that did; return those newly flagged.

    To be called before the calls are erased: afterwards nobody could tell.
    """
    found = set(
        Model.objects.filter(training_run__dataset__calls__in=list(calls)).values_list("pk", flat=True).distinct()
    )
    reached = set(found)
    while reached:
        reached = set(Model.objects.filter(training_run__base__in=reached).values_list("pk", flat=True)) - found
        found |= reached
    flagged = []
    with transaction.atomic():
        for model in Model.objects.select_for_update().filter(pk__in=found, flagged_reason=""):
            model.flagged_reason = reason[:300]
            model.save(update_fields=["flagged_reason"])
            audit.record("model.flag", model, user=by, reason=model.flagged_reason)
            flagged.append(model)
    return flagged


def base_for_training() -> Model:
    """Return what a training starts from: by LEARNING_BASE the served model, or the one at the root of its line."""
    model = served()
    if settings.ENV.LEARNING_BASE == "served":
        return model
    return root_of(model)


def root_of(model: Model) -> Model:
    """Return the model at the beginning of the line of trainings that led to this one."""
    seen = {model.pk}
    while model.training_run is not None and model.training_run.base is not None:
        model = model.training_run.base
        if model.pk in seen:
            break
        seen.add(model.pk)
    return model
