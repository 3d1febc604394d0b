"""Where alerts are told (Route), and the outbox of what is told (Delivery, DeliveryItem). Addresses lie here sealed."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Team, User
from callcenter.insights.models import Alert, Category, Severity, Surge


class RouteQuerySet(models.QuerySet["Route"]):
    def visible_to(self, user: User) -> RouteQuerySet:
        """Return the routes that this user may see and change: an administrator all, a supervisor the own teams'."""
        if not user.is_authenticated or not user.has_role("supervisor"):
            return self.none()
        if user.sees_all_teams:
            return self
        return self.filter(team__in=user.teams.all())


class Route(models.Model):
    """Where alerts of a team (or of all) are told, which, and when. The secrets in it can be used and never read."""

    class Channel(models.TextChoices):
        WEBHOOK = "webhook", _("Signed webhook")
        APPRISE = "apprise", _("Message (mail, Slack, Teams, ntfy …)")

    class Digest(models.TextChoices):
        IMMEDIATELY = "immediately", _("Immediately")
        HOURLY = "hourly", _("Every hour")
        DAILY = "daily", _("Once a day")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.WEBHOOK)
    #: Empty: all teams; only an administrator may have it so.
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    #: Empty: every category. Self-harm and threats are told only where `tells_restricted` says so.
    categories: Any = models.JSONField(default=list, blank=True)
    minimum_severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.MEDIUM)
    tells_restricted = models.BooleanField(default=False)
    tells_surges = models.BooleanField(default=False)
    #: Whether quotes go along, as the privacy layer lets them out; those of restricted alerts never do.
    with_quotes = models.BooleanField(default=False)
    digest = models.CharField(max_length=12, choices=Digest.choices, default=Digest.IMMEDIATELY)
    daily_hour = models.PositiveSmallIntegerField(default=8)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    enabled = models.BooleanField(default=True)
    address_sealed = models.TextField()
    address_shown = models.CharField(max_length=200)
    secret_sealed = models.TextField(blank=True)
    previous_secret_sealed = models.TextField(blank=True)
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    #: How often in a row it could not be reached, and until when nothing but what is urgent is tried.
    failures = models.PositiveIntegerField(default=0)
    paused_until = models.DateTimeField(null=True, blank=True)
    #: One worker at a time sends to one place, so that a slow receiver never holds more than one.
    busy_until = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RouteQuerySet.as_manager()

    class Meta:
        ordering = ["name", "created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("notifications:route", args=[self.pk])

    @property
    def is_webhook(self) -> bool:
        return self.channel == self.Channel.WEBHOOK

    @property
    def category_labels(self) -> list[str]:
        """Return the chosen categories in words; empty where all are meant."""
        return [str(label) for key, label in Category.choices if key in (self.categories or [])]


class Delivery(models.Model):
    """One message to one route: the row is the outbox. `pending -> sending -> sent | pending again | failed`.

    Its id is the event id that a receiver sees; trying again never changes it.
    """

    class Kind(models.TextChoices):
        ALERTS = "alerts", _("Alerts")
        SURGE = "surge", _("Surge")
        TEST = "test", _("Test")

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting")
        SENDING = "sending", _("Being sent")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    OPEN = (State.PENDING, State.SENDING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.ALERTS)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING, db_index=True)
    #: Gathers what comes until it is due: a digest, or what quiet hours hold back.
    gathers = models.BooleanField(default=False)
    urgent = models.BooleanField(default=False)
    surge = models.ForeignKey(Surge, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True)
    next_at = models.DateTimeField()
    #: Since when it is tried; a person who tries it again begins anew.
    tried_since = models.DateTimeField(default=timezone.now)
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["route", "-created_at"]),
            models.Index(fields=["next_at"], condition=models.Q(state="pending"), name="delivery_due"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["route"],
                condition=models.Q(state="pending", gathers=True, attempts=0),
                name="one_gathering_delivery_per_route",
            ),
            models.UniqueConstraint(fields=["route", "surge"], name="one_delivery_per_route_and_surge"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def ended(self) -> bool:
        return self.state not in self.OPEN


class DeliveryItem(models.Model):
    """One alert in one delivery. The constraint holds that a route is told of an alert once."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="items")
    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["route", "alert"], name="one_item_per_route_and_alert")]

    def __str__(self) -> str:
        return f"{self.alert_id}"


class Mark(models.Model):
    """Up to when something was looked through: 1, that every alert is in the outbox; 2, the sources of the inbox."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.until:%Y-%m-%d %H:%M}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def visible_to(self, user: User) -> NoticeQuerySet:
        """Return what was written to this user; nobody reads another's."""
        return self.filter(user=user) if user.is_authenticated and user.is_active else self.none()

    def unread(self) -> NoticeQuerySet:
        return self.filter(read_at=None)


class Notice(models.Model):
    """One line in a person's inbox. It names things and leads to them; what they say is read where they stand."""

    class Kind(models.TextChoices):
        ASSIGNED = "assigned", _("Assigned to you")
        COMMENT = "comment", _("Comment")
        JOB = "job", _("Your job")
        NIGHT = "night", _("Learning night")
        NOTE = "note", _("Note")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    #: What it is about, so that it is said once.
    key = models.CharField(max_length=120)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=300, blank=True)
    url = models.CharField(max_length=300)
    #: Something went wrong or cannot wait.
    grave = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_notice_per_user_and_key")]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"]),
            models.Index(fields=["user"], condition=models.Q(read_at=None), name="notice_unread"),
        ]

    def __str__(self) -> str:
        return self.title
