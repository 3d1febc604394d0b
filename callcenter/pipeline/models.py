"""Run: one pass of one call through the pipeline; the row is the state machine and the outbox."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Transcript


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: User) -> RunQuerySet:
        """Return the runs of visible calls; a model operator sees every run, though not what was said."""
        from callcenter.accounts.models import Role

        if user.is_authenticated and user.is_active and user.role == Role.OPERATOR:
            return self
        return self.filter(call__in=Call.objects.visible_to(user))

    def due(self) -> RunQuerySet:
        """Return the runs that nobody works on although somebody should: past their deadline or their retry time."""
        now = timezone.now()
        return self.filter(
            models.Q(state__in=Run.WAITING, next_attempt_at__lte=now, held=False)
            | models.Q(state__in=Run.WORKING, deadline_at__lte=now)
        )


class Run(models.Model):
    """One pass. `step` moves speech -> nlu -> warehouse -> done; `state` says whether somebody works on it."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SPEECH = "speech", _("Transcribing")
        NLU_QUEUED = "nlu_queued", _("Waiting for understanding")
        NLU = "nlu", _("Understanding")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    WAITING = (State.QUEUED, State.NLU_QUEUED)
    WORKING = (State.SPEECH, State.NLU)
    ENDED = (State.DONE, State.FAILED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED, db_index=True)
    spec: Any = models.JSONField(default=dict)
    attempt = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    stage = models.CharField(max_length=20, blank=True)
    progress = models.FloatField(default=0.0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    deadline_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_permanent = models.BooleanField(default=False)
    transcript = models.ForeignKey(Transcript, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs")
    seconds: Any = models.JSONField(default=dict)
    #: Of a back-load: waits until the line is short, so that new calls are not starved.
    held = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            # A call is worked on by one run at a time, whoever asks and however often.
            models.UniqueConstraint(
                fields=["call"],
                condition=models.Q(state__in=["queued", "speech", "nlu_queued", "nlu"]),
                name="one_open_run_per_call",
            )
        ]
        indexes = [
            models.Index(fields=["state", "next_attempt_at"]),
            models.Index(fields=["state", "deadline_at"]),
            models.Index(fields=["created_at"], condition=models.Q(held=True), name="run_held"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"

    @property
    def ended(self) -> bool:
        return self.state in self.ENDED
