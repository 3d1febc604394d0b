"""Export: a list of calls written to a file, made behind the page."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User


class Export(models.Model):
    """One file that somebody asked for. The row is the state machine; the file goes after a week.

    `query` is the address's filter, `scope` whether each call comes as one row or each of its turns does.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        WORKING = "working", _("Being made")
        DONE = "done", _("Ready")
        FAILED = "failed", _("Failed")

    class Format(models.TextChoices):
        CSV = "csv", _("CSV")
        JSONL = "jsonl", _("JSON Lines")
        PARQUET = "parquet", _("Parquet")

    class Scope(models.TextChoices):
        CALLS = "calls", _("One row a call")
        TURNS = "turns", _("One row a turn, with what was said")

    OPEN = (State.QUEUED, State.WORKING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="exports")
    format = models.CharField(max_length=8, choices=Format.choices)
    scope = models.CharField(max_length=6, choices=Scope.choices, default=Scope.CALLS)
    query = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    progress = models.FloatField(default=0.0)
    calls = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    storage_key = models.CharField(max_length=200, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    error_message = models.CharField(max_length=300, blank=True)
    heard_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "heard_at"], name="export_open")]

    def __str__(self) -> str:
        return f"{self.scope} as {self.format}: {self.state}"

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("exports:list")

    @property
    def filename(self) -> str:
        """Return the name that the downloaded file has."""
        return f"{self.scope}-{self.created_at:%Y%m%d-%H%M}.{self.format}"

    @property
    def values_list(self) -> dict[str, Any]:
        """Return what the filter was, for people."""
        from django.http import QueryDict

        return {k: v for k, v in QueryDict(self.query).items() if v}
