"""Correction: an immutable record of what a person changed."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Transcript


class CorrectionQuerySet(models.QuerySet["Correction"]):
    def visible_to(self, user: User) -> CorrectionQuerySet:
        """Return the corrections of visible calls."""
        return self.filter(call__in=Call.objects.visible_to(user))


class Correction(models.Model):
    """Word-keyed: which words of which transcript, before and after, by whom. Only `status` ever changes."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="corrections")
    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="corrections")
    turn_index = models.PositiveIntegerField()
    first_word = models.PositiveIntegerField()
    last_word = models.PositiveIntegerField()
    before: Any = models.JSONField(default=list)
    after: Any = models.JSONField(default=list)
    start_ms = models.PositiveIntegerField()
    end_ms = models.PositiveIntegerField()
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="corrections")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING, db_index=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CorrectionQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"correction of turn {self.turn_index} on {self.call_id}"
