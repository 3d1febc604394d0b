"""Reads behind the learning pages; nothing here shows a word of a call to somebody who may not read that call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call, Transcript
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset, DatasetJob, Evaluation, Model, NightlyRun, Promotion, TrainingRun
from callcenter.learning.services import nightly, registry, training
from callcenter.learning.services.store_rows import rows_of
from callcenter.review.models import Correction

STAGE_NAMES = {
    "waiting": _("Waiting for a learning worker"),
    "materialise": _("Fetching the data"),
    "fit": _("Training"),
    "export": _("Converting"),
    "evaluate": _("Evaluating"),
    "gate": _("At the gate"),
}
DOING_NAMES = {
    "encode": _("hearing the clips"),
    "train": _("learning"),
    "validate": _("checking on held-out rows"),
    "average": _("mixing with the base model"),
    "save": _("saving"),
}
NIGHTS_SHOWN = 14
ROWS_SHOWN = 50
CURES = {
    "clip_gone": _(
        "A clip of the dataset is missing from the storage: restore it from a backup, or build a new dataset."
    ),
    "clip_changed": _("A clip in the storage is not what was stored: check the disk, then build a new dataset."),
    "dataset_gone": _("The manifest is missing from the storage: restore it from a backup, or build a new dataset."),
    "dataset_empty": _("Build a dataset with more reviewed segments."),
    "disk_full": _("Free some space on the learning worker's disk, then retry: it goes on where it was."),
    "model_missing": _("Install the base model where the learning worker runs, then retry."),
    "model_damaged": _("The stored model is damaged: restore it from a backup, or train anew."),
    "not_servable": _("Start a run with another method: prefix and prompt cannot be folded into the model."),
    "worker_lost": _("Look at the learning worker's log; a machine short of memory ends the largest process first."),
    "worker_error": _("Look at the learning worker's log, then retry."),
    "result_unreadable": _("Retry: the worker writes the result again from what it has kept."),
    "cancelled": _("Retry to go on where it was."),
}


def overview() -> dict[str, Any]:
    """Return what the learning page shows: the served model, the open run, the nights."""
    served = registry.served()
    nights = list(NightlyRun.objects.select_related("dataset", "run__candidate", "created_by")[:NIGHTS_SHOWN])
    return {
        "served": served,
        "served_figures": figures_of(served),
        "live_since": Promotion.objects.filter(model=served).first(),
        "may_go_back": registry.predecessor(served),
        "open_run": run_view(open_run()),
        "nights": nights,
        "last_night": nights[0] if nights else None,
        "next_night": nightly.next_at(),
        "building": next((n for n in nights if n.state == NightlyRun.State.WORKING and n.run is None), None),
        "promotions": list(Promotion.objects.select_related("model", "previous", "created_by")[:8]),
        "runs": list(TrainingRun.objects.select_related("dataset", "candidate").order_by("-created_at")[:8]),
        "checked_at": timezone.localtime(),
    }


def open_run() -> TrainingRun | None:
    """Return the run that waits or is being worked on."""
    return TrainingRun.objects.filter(state__in=TrainingRun.OPEN).select_related("dataset", "candidate").first()


def run_view(run: TrainingRun | None) -> dict[str, Any] | None:
    """Return a run with what is worked out from it: what it is doing, how long it takes, what to do if it failed."""
    if run is None:
        return None
    now = timezone.now()
    now_doing = run.progress.get("now", {})
    doing = {**now_doing, "doing": DOING_NAMES.get(now_doing.get("doing", ""), "")}
    left = None
    if run.state == TrainingRun.State.WORKING and run.started_at and run.fraction > 0.03:
        spent = (now - run.started_at).total_seconds()
        left = timedelta(seconds=spent * (1 - run.fraction) / run.fraction)
    log = run.progress.get("log", [])
    stage = (
        gettext("Waiting in line") if run.state == TrainingRun.State.QUEUED else STAGE_NAMES.get(run.stage, run.stage)
    )
    return {
        "run": run,
        "stage": stage,
        "doing": doing,
        "left": left,
        "curve": run.progress.get("curve", []),
        "log": [{"name": STAGE_NAMES.get(e["stage"], e["stage"]), "at": e["at"]} for e in log],
        "checks": run.verdict.get("checks", []),
        "gain": run.verdict.get("gain", {}),
        "fit": run.progress.get("fit", {}),
        "cure": CURES.get(run.error_code, gettext("Retry it; if it fails again, look at the learning worker's log.")),
        "silent": run.state == TrainingRun.State.WORKING
        and run.heard_at is not None
        and (now - run.heard_at).total_seconds() > 45,
    }


def figures_of(model: Model) -> dict[str, Any]:
    """Return the model's newest figures on the golden set and the old domain."""
    out: dict[str, Any] = {}
    for evaluation in model.evaluations.select_related("dataset").order_by("created_at"):
        out[evaluation.data_name] = {**evaluation.figures, "dataset": evaluation.dataset, "at": evaluation.created_at}
    return out


def model_view(model: Model) -> dict[str, Any]:
    """Return a model with its last judgement, its figures beside those of what was served then, and its lineage."""
    judged = (
        TrainingRun.objects.filter(candidate=model)
        .exclude(verdict={})
        .select_related("served", "dataset", "golden", "old_domain")
        .order_by("-finished_at")
        .first()
    )
    pairs = []
    if judged is not None:
        found = {(e.role, e.data_name): e for e in judged.evaluations.select_related("dataset")}
        for name, label in (("golden", gettext("Golden set")), ("old", gettext("Old domain"))):
            if ("candidate", name) in found:
                pairs.append({"label": label, "after": found["candidate", name], "before": found.get(("served", name))})
    return {
        "model": model,
        "judged": judged,
        "checks": judged.verdict.get("checks", []) if judged else [],
        "gain": judged.verdict.get("gain", {}) if judged else {},
        "pairs": pairs,
        "trained": model.training_run,
        "promotions": list(model.promotions.select_related("previous", "created_by")[:10]),
        "obstacle": registry.may_be_promoted(model),
        "may_go_back": registry.predecessor(model) if model.status == Model.Status.SERVED else None,
        "children": list(Model.objects.filter(training_run__base=model)[:10]),
        "transcripts": Transcript.objects.filter(model=model.reference).count(),
        "card_facts": {k: v for k, v in model.card.items() if k != "text" and isinstance(v, str | int | float)},
    }


def may_read_rows(user: User, dataset: Dataset) -> bool:
    """Return whether the user may have all rows of a dataset, words and sound: only who may read each of its calls."""
    if not user.has_role(Role.SUPERVISOR, Role.OPERATOR):
        return False
    if dataset.imported or not dataset.calls.exists():
        # Outside corpora and the scripted demo hold no call of ours; what was built from calls since erased does.
        return dataset.imported or dataset.kind in (Dataset.Kind.OLD_DOMAIN, Dataset.Kind.REPLAY)
    if user.sees_all_teams:
        return True
    return dataset.calls.count() == Call.objects.visible_to(user).filter(datasets=dataset).count()


def dataset_rows(user: User, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the first rows with their words, of those calls alone that the user may read."""
    try:
        rows = rows_of(dataset)
    except CallcenterError:
        return []
    if may_read_rows(user, dataset):
        return rows[:ROWS_SHOWN]
    mine = {str(pk) for pk in Call.objects.visible_to(user).filter(datasets=dataset).values_list("pk", flat=True)}
    return [row for row in rows if row.get("call") in mine][:ROWS_SHOWN]


def dataset_view(user: User, dataset: Dataset) -> dict[str, Any]:
    """Return a dataset with its counts and lineage; words only for who may read the calls."""
    calls = Call.objects.visible_to(user).filter(datasets=dataset)
    shown = dataset_rows(user, dataset) if user.role != Role.OPERATOR or user.is_superuser or dataset.imported else []
    runs = dataset.training_runs.select_related("candidate")
    return {
        "dataset": dataset,
        "tables": [
            {"title": title, "rows": [(key or gettext("not said"), *count.values()) for key, count in table.items()]}
            for key_, title in (("split", gettext("Split")), ("source", gettext("Source")), ("team", gettext("Team")))
            if (table := dataset.counts.get(key_))
        ],
        "speakers": sorted(
            (
                (key or gettext("not said"), c["rows"], c["seconds"])
                for key, c in dataset.counts.get("speaker", {}).items()
            ),
            key=lambda row: -row[1],
        ),
        "rows": shown,
        "calls": list(calls.order_by("-started_at")[:30]),
        "calls_total": dataset.calls.count(),
        "corrections_total": dataset.corrections.count(),
        "runs": list(runs[:10]),
        "may_download": may_read_rows(user, dataset),
        "may_train": dataset.kind == Dataset.Kind.TRAIN,
        "open_run": open_run(),
        "left_out": dataset.counts.get("left_out", {}),
    }


def open_jobs() -> list[DatasetJob]:
    """Return the builds and imports of the last day that are open or failed."""
    recent = timezone.now() - timedelta(days=1)
    return list(
        DatasetJob.objects.filter(created_at__gte=recent)
        .exclude(state=DatasetJob.State.DONE)
        .select_related("created_by")[:10]
    )


def model_of(transcript: Transcript | None) -> Model | None:
    """Return the registry row of the model that wrote a transcript, if it is one of ours."""
    if transcript is None:
        return None
    return Model.objects.filter(reference=transcript.model).order_by("-created_at").first()


def training_defaults() -> dict[str, Any]:
    """Return what a training is started with unless somebody chooses otherwise."""
    config = training.default_config()
    return {"method": config.method, "epochs": config.epochs, "learning_rate": config.learning_rate}


# --- what somebody's corrections changed -------------------------------------------------------------------------


@dataclass
class Effect:
    """What one promoted model did with a person's corrections: words wrong before and after, on those segments
    of the golden set that this person corrected and on the whole set. `learned` counts corrections trained on."""

    model: Model
    promotion: Promotion
    learned: int
    own_words: int = 0
    own_before: int = 0
    own_after: int = 0
    words: int = 0
    before: int = 0
    after: int = 0
    calls: list[Call] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Return the share of the wrong words that are gone; negative when there are more."""
        return (self.before - self.after) / self.before if self.before else None

    @property
    def own_share(self) -> float | None:
        return (self.own_before - self.own_after) / self.own_before if self.own_before else None


def effect_of(user: User) -> list[Effect]:
    """Return what the user's corrections changed, model by model, the newest first."""
    out = []
    promotions = (
        Promotion.objects.filter(rollback=False, run__isnull=False)
        .select_related("model", "run__dataset", "run__golden")
        .order_by("-created_at")
    )
    for promotion in promotions[:50]:
        run = promotion.run
        assert run is not None
        learned = run.dataset.corrections.filter(author=user) if run.dataset else Correction.objects.none()
        tested = run.golden.corrections.filter(author=user) if run.golden else Correction.objects.none()
        count = learned.count()
        if not count and not tested.exists():
            continue
        effect = Effect(promotion.model, promotion, count)
        _count_words(effect, run, {str(pk) for pk in tested.values_list("pk", flat=True)})
        touched = Call.objects.visible_to(user).filter(corrections__in=[*learned, *tested])
        effect.calls = list(touched.distinct().order_by("-started_at")[:12])
        out.append(effect)
    return out


def _count_words(effect: Effect, run: TrainingRun, own: set[str]) -> None:
    """Fill in the words wrong before and after, from the evaluations that the gate judged by."""
    found = {e.role: e for e in Evaluation.objects.filter(run=run, data_name="golden")}
    if "candidate" not in found or "served" not in found or run.golden is None:
        return
    effect.words = int(found["candidate"].figures.get("words") or 0)
    effect.before = int(found["served"].figures.get("errors") or 0)
    effect.after = int(found["candidate"].figures.get("errors") or 0)
    if not own:
        return
    try:
        mine = {str(row["id"]) for row in rows_of(run.golden) if own & set(row.get("corrections") or ())}
    except CallcenterError:
        return
    for role, name in (("served", "own_before"), ("candidate", "own_after")):
        errors = _errors_by_row(found[role])
        setattr(effect, name, sum(errors[row][0] for row in mine if row in errors))
        if role == "candidate":
            effect.own_words = sum(errors[row][1] for row in mine if row in errors)


def _errors_by_row(evaluation: Evaluation) -> dict[str, tuple[int, int]]:
    """Return {row id: (words wrong, words)} of an evaluation's document; empty where it is gone."""
    key = f"learning:rows:{evaluation.pk}"
    found: dict[str, tuple[int, int]] | None = cache.get(key)
    if found is None:
        try:
            rows = json.loads(store().get_bytes(evaluation.document_key)).get("rows", [])
            found = {str(r["id"]): (int(r.get("errors") or 0), int(r.get("words") or 0)) for r in rows}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        cache.set(key, found, 3600)
    return found
