"""Dataset, TrainingRun, Evaluation, Model, Promotion: the rows of the learning loop and their lineage."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from callcenter.accounts.models import User


class Dataset(models.Model):
    """An immutable snapshot (manifest + SHA-256) built from corrections."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    sha256 = models.CharField(max_length=64)
    manifest_key = models.CharField(max_length=255)
    rows = models.PositiveIntegerField(default=0)
    audio_seconds = models.FloatField(default=0.0)
    parameters: Any = models.JSONField(default=dict)
    corrections: Any = models.ManyToManyField("review.Correction", blank=True, related_name="datasets")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class TrainingRun(models.Model):
    """One fine-tuning of a base model on a dataset."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        TRAINING = "training", "Training"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="training_runs")
    base = models.ForeignKey("Model", null=True, on_delete=models.PROTECT, related_name="fine_tunings")
    method = models.CharField(max_length=30)
    parameters: Any = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    progress: Any = models.JSONField(default=dict)
    error_message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.method} on {self.dataset}"


class Model(models.Model):
    """A registry row: an artefact that could be or is served, with its lineage."""

    class Status(models.TextChoices):
        CANDIDATE = "candidate", "Candidate"
        SERVED = "served", "Served"
        RETIRED = "retired", "Retired"
        REFUSED = "refused", "Refused by the gate"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    reference = models.CharField(max_length=255)
    engine = models.CharField(max_length=40)
    compute_type = models.CharField(max_length=20, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CANDIDATE)
    training_run = models.ForeignKey(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="trained_models"
    )
    card: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=models.Q(status="served"), name="one_served_model")
        ]

    def __str__(self) -> str:
        return self.name


class Evaluation(models.Model):
    """Figures of one model on one named set, with the normaliser that made them comparable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="evaluations")
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="evaluations")
    data_name = models.CharField(max_length=120)
    normaliser = models.CharField(max_length=40)
    figures: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.model} on {self.data_name}"


class Promotion(models.Model):
    """A model went live, or back: from which, to which, by whom and on what evidence."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(Model, null=True, on_delete=models.PROTECT, related_name="+")
    rollback = models.BooleanField(default=False)
    checks: Any = models.JSONField(default=list)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.model} live"
