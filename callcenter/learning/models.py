"""Dataset, TrainingRun, Evaluation, Model, Promotion and the nightly loop: the rows of learning and their lineage."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User


class SplitAssignment(models.Model):
    """On which side of the split a voice stands. Never changed: once golden, always golden."""

    class Side(models.TextChoices):
        TRAIN = "train", _("Train")
        VALIDATION = "validation", _("Validation")
        GOLDEN = "golden", _("Golden")

    key = models.CharField(max_length=200, unique=True)
    side = models.CharField(max_length=10, choices=Side.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.key} {self.side}"


class Dataset(models.Model):
    """An immutable snapshot (manifest + SHA-256) built from corrections, or brought in from outside.

    Training data and golden sets come from reviewed segments; an old-domain set is what must not get worse, and a
    replay set is the part of that domain which may ride along in training.
    """

    class Kind(models.TextChoices):
        TRAIN = "train", _("Training data")
        GOLDEN = "golden", _("Golden set")
        OLD_DOMAIN = "old_domain", _("Old domain")
        REPLAY = "replay", _("Replay")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.TRAIN, db_index=True)
    sha256 = models.CharField(max_length=64)
    manifest_key = models.CharField(max_length=255)
    rows = models.PositiveIntegerField(default=0)
    audio_seconds = models.FloatField(default=0.0)
    imported = models.BooleanField(default=False)
    parameters: Any = models.JSONField(default=dict)
    counts: Any = models.JSONField(default=dict)
    problems: Any = models.JSONField(default=list)
    golden = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="held_out_for")
    corrections: Any = models.ManyToManyField("review.Correction", blank=True, related_name="datasets")
    calls: Any = models.ManyToManyField("calls.Call", blank=True, related_name="datasets")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("learning:dataset", args=[self.pk])


class DatasetJob(models.Model):
    """A build or an import that goes on behind the page; the row says how far it is and what came of it."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        WORKING = "working", _("Working")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    OPEN = (State.QUEUED, State.WORKING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=10)
    name = models.CharField(max_length=120)
    parameters: Any = models.JSONField(default=dict)
    staged_key = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, db_index=True)
    progress = models.FloatField(default=0.0)
    failures = models.PositiveSmallIntegerField(default=0)
    error_message = models.CharField(max_length=1000, blank=True)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs")
    model = models.ForeignKey("Model", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    heard_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.task} {self.name}"


class TrainingRun(models.Model):
    """One fine-tuning of a base model on a dataset, or the judging of a model trained elsewhere.

    `queued -> working -> done | refused | failed`. Done means: the gate let the candidate through.
    """

    class Kind(models.TextChoices):
        FIT = "fit", _("Training")
        EVALUATE = "evaluate", _("Evaluation")

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        WORKING = "working", _("Working")
        DONE = "done", _("Passed the gate")
        REFUSED = "refused", _("Refused by the gate")
        FAILED = "failed", _("Failed")

    OPEN = (State.QUEUED, State.WORKING)
    ENDED = (State.DONE, State.REFUSED, State.FAILED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.FIT)
    # One learning job at a time: the constraint below is on this column.
    lane = models.CharField(max_length=10, default="learning", editable=False)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="training_runs")
    golden = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    old_domain = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    base = models.ForeignKey("Model", null=True, blank=True, on_delete=models.PROTECT, related_name="fine_tunings")
    served = models.ForeignKey("Model", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    candidate = models.ForeignKey("Model", null=True, blank=True, on_delete=models.PROTECT, related_name="judged_by")
    method = models.CharField(max_length=30, blank=True)
    parameters: Any = models.JSONField(default=dict)
    job: Any = models.JSONField(default=dict)
    auto_promote = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, db_index=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    stage = models.CharField(max_length=20, blank=True)
    fraction = models.FloatField(default=0.0)
    progress: Any = models.JSONField(default=dict)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    deadline_at = models.DateTimeField(null=True, blank=True)
    heard_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=1000, blank=True)
    error_permanent = models.BooleanField(default=False)
    verdict: Any = models.JSONField(default=dict)
    outcome = models.CharField(max_length=1000, blank=True)
    result_key = models.CharField(max_length=255, blank=True)
    seconds: Any = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["lane"],
                condition=models.Q(state__in=["queued", "working"]),
                name="one_open_training_run",
            )
        ]

    def __str__(self) -> str:
        if self.kind == self.Kind.EVALUATE:
            return gettext("Evaluation of {model}").format(model=self.candidate)
        return gettext("{method} on {dataset}").format(
            method=self.method.replace("_", " ").capitalize(), dataset=self.dataset
        )

    def get_absolute_url(self) -> str:
        return reverse("learning:run", args=[self.pk])

    @property
    def ended(self) -> bool:
        return self.state in self.ENDED

    @property
    def cancelled(self) -> bool:
        return self.state == self.State.FAILED and self.error_code == "cancelled"


class Model(models.Model):
    """A registry row: an artefact that could be or is served, with its lineage."""

    class Status(models.TextChoices):
        CANDIDATE = "candidate", _("Candidate")
        SERVED = "served", _("Served")
        RETIRED = "retired", _("Retired")
        REFUSED = "refused", _("Refused by the gate")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    reference = models.CharField(max_length=255)
    engine = models.CharField(max_length=40)
    compute_type = models.CharField(max_length=20, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CANDIDATE)
    #: The model that the settings name; it stands here so that one can go back to it.
    built_in = models.BooleanField(default=False)
    english_only = models.BooleanField(default=False)
    training_run = models.ForeignKey(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="trained_models"
    )
    card: Any = models.JSONField(default=dict)
    variants: Any = models.JSONField(default=list)
    flagged_reason = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=models.Q(status="served"), name="one_served_model")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("learning:model", args=[self.pk])


class Evaluation(models.Model):
    """Figures of one model on one named set, with the normaliser that made them comparable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="evaluations")
    run = models.ForeignKey(TrainingRun, null=True, blank=True, on_delete=models.CASCADE, related_name="evaluations")
    role = models.CharField(max_length=10, blank=True)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="evaluations")
    data_name = models.CharField(max_length=120)
    normaliser = models.CharField(max_length=40)
    figures: Any = models.JSONField(default=dict)
    document_key = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "role", "data_name"],
                condition=models.Q(run__isnull=False),
                name="one_evaluation_per_run_role_set",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.data_name}"


class Promotion(models.Model):
    """A model went live, or back: from which, to which, by whom and on what evidence."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(Model, null=True, on_delete=models.PROTECT, related_name="+")
    rollback = models.BooleanField(default=False)
    run = models.ForeignKey(TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="promotions")
    checks: Any = models.JSONField(default=list)
    forced_reason = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.model} live"


class NightlyRun(models.Model):
    """One night of learning: what was done, or why nothing was. Number 0 is the clock's; higher ones were asked for."""

    class State(models.TextChoices):
        WORKING = "working", _("Working")
        PROMOTED = "promoted", _("New model live")
        KEPT = "kept", _("Candidate kept")
        REFUSED = "refused", _("Refused by the gate")
        SKIPPED = "skipped", _("Nothing to do")
        FAILED = "failed", _("Failed")

    night = models.DateField()
    number = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WORKING, db_index=True)
    reason = models.CharField(max_length=1000, blank=True)
    segments = models.PositiveIntegerField(default=0)
    fresh = models.PositiveIntegerField(default=0)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="nights")
    run = models.OneToOneField(TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="night")
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    notified_at = models.DateTimeField(null=True, blank=True)
    retranscribed = models.PositiveIntegerField(default=0)
    retranscribe_after = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["night", "number"], name="one_row_per_night_and_number")]

    def __str__(self) -> str:
        return f"{self.night} {self.state}"
