"""The taxonomy's versions, what people said calls were about, and the work in the background that follows a change.

The rows of `insights.Intent` are the taxonomy that understanding works with; what is here tells how it came to be so.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.insights.models import Intent

UNKNOWN = "unknown"


class Placement(models.Model):
    """Under which other intent an intent stands; most stand alone and have no row."""

    intent = models.OneToOneField(Intent, on_delete=models.CASCADE, primary_key=True, related_name="placement")
    parent = models.ForeignKey(Intent, on_delete=models.CASCADE, related_name="children")

    def __str__(self) -> str:
        return f"{self.intent_id} under {self.parent_id}"


class TaxonomyVersion(models.Model):
    """The whole taxonomy after one saved change, with who changed what. Never changed after it is stored.

    `content` is a list of {name, label, description, examples, parent, enabled} in order of name; `changes` is what
    `diff.changes` finds between the version before and this one.
    """

    number = models.PositiveIntegerField(unique=True)
    content: Any = models.JSONField(default=list)
    changes: Any = models.JSONField(default=list)
    note = models.CharField(max_length=300, blank=True)
    author = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    restored_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"version {self.number}"


class CallLabel(models.Model):
    """What a person said a call was about. It wins over every model, and the named stretch is learned from.

    `start_ms` and `end_ms` name the turn that decided by its time, so that corrections and a new transcript keep it;
    its words are read where they stand and never copied here.
    """

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(max_length=60)
    before = models.CharField(max_length=60, blank=True)
    start_ms = models.PositiveIntegerField(null=True, blank=True)
    end_ms = models.PositiveIntegerField(null=True, blank=True)
    author = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["call"], condition=models.Q(withdrawn_at=None), name="one_standing_label_per_call"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.call_id}"


class Reading(models.Model):
    """With which version of the taxonomy a call's intent was read last, and when."""

    call = models.OneToOneField(Call, on_delete=models.CASCADE, primary_key=True, related_name="intent_reading")
    version = models.PositiveIntegerField(db_index=True)
    read_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.call_id} with version {self.version}"


class IntentJob(models.Model):
    """Work on many calls behind the page: its row is the state machine, the progress and the result.

    `preview` counts what a proposed change would move, `relabel` reads stored calls again with the taxonomy as it is
    saved, `tune` fits the sentence vectors to it. `attempt` is the token of the worker that holds the job: a worker
    whose token is old changes nothing.
    """

    class Task(models.TextChoices):
        PREVIEW = "preview", _("Preview")
        RELABEL = "relabel", _("Re-labelling")
        TUNE = "tune", _("Tuning")

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        WORKING = "working", _("Working")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    OPEN = (State.QUEUED, State.WORKING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=10, choices=Task.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, db_index=True)
    #: The version that a preview's proposal starts from, or that a re-labelling reads with.
    version = models.PositiveIntegerField()
    parameters: Any = models.JSONField(default=dict)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    #: Where a preview goes on after a pause: the last call it looked at.
    cursor = models.UUIDField(null=True, blank=True)
    result: Any = models.JSONField(default=dict)
    error_message = models.CharField(max_length=500, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    heard_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["task"],
                condition=models.Q(state__in=["queued", "working"], task__in=["relabel", "tune"]),
                name="one_open_intent_job_per_task",
            )
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.state}"

    @property
    def open(self) -> bool:
        return self.state in self.OPEN

    @property
    def share(self) -> float:
        """Return how much of the work is done, 0..1."""
        if self.state == self.State.DONE:
            return 1.0
        return min(1.0, (self.done + self.skipped) / self.total) if self.total else 0.0


class Move(models.Model):
    """One call whose intent a change would move, or has moved. `anyway`: it would also without the change."""

    job = models.ForeignKey(IntentJob, on_delete=models.CASCADE, related_name="moves")
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="+")
    before = models.CharField(max_length=60)
    after = models.CharField(max_length=60)
    probability = models.FloatField(default=0.0)
    anyway = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "call"], name="one_move_per_job_and_call")]

    def __str__(self) -> str:
        return f"{self.before} -> {self.after}"
