"""RoleLevel, Reveal, Mask: who may read what, who looked behind it and why, and what is muted in a recording."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call, Recording


class RoleLevel(models.Model):
    """What the readers of one role do not see. A role without a row has the shipped level.

    Card numbers and security codes are hidden from everybody, whatever stands here: they are not stored.
    """

    role = models.CharField(max_length=12, choices=Role.choices, unique=True)
    hides: Any = models.JSONField(default=list)
    updated_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.role


class RevealQuerySet(models.QuerySet["Reveal"]):
    def live(self) -> RevealQuerySet:
        return self.filter(expires_at__gt=timezone.now())


class Reveal(models.Model):
    """One person looks behind the placeholders of one call for a while, and says why. Only ever added."""

    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="reveals")
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="reveals")
    kinds: Any = models.JSONField(default=list)
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = RevealQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["user", "call", "expires_at"])]

    def __str__(self) -> str:
        return f"{self.user_id} on {self.call_id}"


class MaskQuerySet(models.QuerySet["Mask"]):
    def open(self) -> MaskQuerySet:
        return self.filter(state__in=Mask.OPEN)


class Mask(models.Model):
    """What of a recording must not be heard, and whether that holds. While it does not, nobody hears the recording.

    waiting -> muting -> checking -> done
         ^___________|__________|____> failed -> (a person) resolved, or waiting again

    `spans` say kind, party, channel and times, never what was said; one without times has None for both. `released`
    of a resolved mask says whether the recording may be heard.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting to be muted")
        MUTING = "muting", _("Being muted")
        CHECKING = "checking", _("Being listened to again")
        DONE = "done", _("Muted and checked")
        FAILED = "failed", _("Failed")
        RESOLVED = "resolved", _("Decided by a person")

    OPEN = (State.WAITING, State.MUTING, State.CHECKING, State.FAILED)
    WORKING = (State.WAITING, State.MUTING, State.CHECKING)

    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, related_name="mask")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING, db_index=True)
    spans: Any = models.JSONField(default=list)
    #: What is muted in the stored file: per channel [start_ms, end_ms].
    muted: Any = models.JSONField(default=list)
    attempt = models.PositiveIntegerField(default=0)
    #: How often digits were heard through the mask and more was muted by itself.
    rounds = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    problem = models.CharField(max_length=500, blank=True)
    #: The excerpt that is transcribed again: its key, and its windows as [start in it, start in the recording, length].
    check_key = models.CharField(max_length=200, blank=True)
    windows: Any = models.JSONField(default=list)
    #: Keys that must disappear from the store; emptied once they have.
    doomed: Any = models.JSONField(default=list)
    original_key = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="masks")
    released = models.BooleanField(default=False)
    resolution = models.CharField(max_length=300, blank=True)
    resolved_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    resolved_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MaskQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["state", "due_at"])]

    def __str__(self) -> str:
        return f"{self.recording_id} {self.state}"

    @property
    def audible(self) -> bool:
        """Return whether the recording may be heard as it is stored now."""
        return self.state == self.State.DONE or (self.state == self.State.RESOLVED and self.released)

    @property
    def working(self) -> bool:
        """Return whether it is on its way."""
        return self.state in self.WORKING

    @property
    def untimed(self) -> int:
        """Return how many spans have no times."""
        return sum(span.get("start_ms") is None for span in self.spans)
