"""Insight, Alert, Rule, Intent."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Transcript


class Category(models.TextChoices):
    CHURN = "churn", "Churn"
    COMPLAINT = "complaint", "Complaint"
    LEGAL = "legal", "Legal or regulator"
    FRAUD = "fraud", "Fraud or account takeover"
    DATA_LEAK = "data_leak", "Agent-side data leak"
    ABUSE = "abuse", "Abuse"
    SCRIPT_MISS = "script_miss", "Script miss"
    PAYMENT_DATA = "payment_data", "Payment data spoken"
    VULNERABLE = "vulnerable", "Vulnerable customer"
    SELF_HARM = "self_harm", "Self-harm or threat"
    PROCESS = "process", "Process quality"
    SUSPECT_TRANSCRIPT = "suspect_transcript", "Suspect transcript"


class Severity(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    CRITICAL = "critical", "Critical"


class Intent(models.Model):
    """What a caller may want, defined by example phrases."""

    name = models.SlugField(max_length=60, unique=True)
    label = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    examples: Any = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name


class Rule(models.Model):
    """One risk rule as the rule engine reads it; every change raises the version."""

    key = models.SlugField(max_length=80, unique=True)
    version = models.PositiveIntegerField(default=1)
    category = models.CharField(max_length=20, choices=Category.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=200)
    definition: Any = models.JSONField(default=dict)
    enabled = models.BooleanField(default=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["category", "key"]

    def __str__(self) -> str:
        return f"{self.key} v{self.version}"


class Insight(models.Model):
    """What understanding says of a call: one row a call, always of its current transcript."""

    call = models.OneToOneField(Call, on_delete=models.CASCADE, related_name="insight")
    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="insights")
    nlu_version = models.CharField(max_length=60)
    intent = models.CharField(max_length=60, default="unknown", db_index=True)
    intent_probability = models.FloatField(default=0.0)
    sentiment = models.FloatField(null=True, db_index=True)
    sentiment_customer = models.FloatField(null=True)
    sentiment_agent = models.FloatField(null=True)
    document: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.intent} on {self.call_id}"


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> AlertQuerySet:
        """Return the alerts of visible calls."""
        return self.filter(call__in=Call.objects.visible_to(user))

    def open(self) -> AlertQuerySet:
        return self.filter(status=Alert.Status.OPEN)


class Alert(models.Model):
    """One risk with its evidence. Re-understanding keeps the triage of an alert whose identity is unchanged."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        DISMISSED = "dismissed", "Dismissed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="alerts")
    identity = models.CharField(max_length=64)
    category = models.CharField(max_length=20, choices=Category.choices, db_index=True)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    rule_key = models.CharField(max_length=80)
    rule_version = models.CharField(max_length=40)
    party = models.CharField(max_length=10)
    start_ms = models.PositiveIntegerField()
    end_ms = models.PositiveIntegerField()
    turn_index = models.IntegerField(null=True)
    quote = models.TextField(blank=True)
    word_ids: Any = models.JSONField(default=list)
    transcription_confidence = models.FloatField(null=True)
    components: Any = models.JSONField(default=list)
    score = models.FloatField(default=0.0)
    listen_first = models.BooleanField(default=False)
    status = models.CharField(max_length=14, choices=Status.choices, default=Status.OPEN, db_index=True)
    assigned_to = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    handled_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    handled_at = models.DateTimeField(null=True, blank=True)
    dismiss_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["call", "start_ms"]
        constraints = [models.UniqueConstraint(fields=["call", "identity"], name="one_alert_per_identity")]
        indexes = [models.Index(fields=["status", "-created_at"])]

    def __str__(self) -> str:
        return f"{self.category} {self.start_ms}"
