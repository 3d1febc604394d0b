"""Insight, Alert, Rule, Intent, and what people do with alerts and rules: events, jobs, audit samples, surges."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Call, Transcript
from callcenter.insights import measured


class Category(models.TextChoices):
    CHURN = "churn", _("Churn")
    COMPLAINT = "complaint", _("Complaint")
    LEGAL = "legal", _("Legal or regulator")
    FRAUD = "fraud", _("Fraud or account takeover")
    DATA_LEAK = "data_leak", _("Agent-side data leak")
    ABUSE = "abuse", _("Abuse")
    SCRIPT_MISS = "script_miss", _("Script miss")
    PAYMENT_DATA = "payment_data", _("Payment data spoken")
    VULNERABLE = "vulnerable", _("Vulnerable customer")
    SELF_HARM = "self_harm", _("Self-harm or threat")
    PROCESS = "process", _("Process quality")
    SUSPECT_TRANSCRIPT = "suspect_transcript", _("Suspect transcript")


#: Below these an alert says no more than "unknown": how sure the rule is, how sure the recogniser was of the words.
THIN_SCORE, THIN_HEARING = 0.4, 0.45

#: Alerts on these are seen only by people who were given that right, come first, and are decided one by one.
RESTRICTED = frozenset({Category.SELF_HARM.value})


class Severity(models.TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")
    CRITICAL = "critical", _("Critical")


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

    def get_absolute_url(self) -> str:
        return reverse("insights:rule", args=[self.pk])


class RuleVersion(models.Model):
    """What a rule said at one version; never changed, so that every old alert stays explainable.

    `source` is the text as its author wrote it, comments included.
    """

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    source = models.TextField(blank=True)
    definition: Any = models.JSONField(default=dict)
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["rule", "version"], name="one_row_per_rule_version")]

    def __str__(self) -> str:
        return f"{self.rule.key} v{self.version}"


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
    # What lists are filtered by stands outside the document too, which is too large to be read for each call.
    silence_ratio = measured.column(measured.metric("silence_ratio"))
    talk_ratio_agent = measured.column(measured.metric("talk_ratio_agent"))
    overtalk_ratio = measured.column(measured.share("overtalk_ms", of="duration_ms"))
    wpm_agent = measured.column(measured.metric("wpm_agent"))
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["silence_ratio"], name="insight_by_silence"),
            models.Index(fields=["talk_ratio_agent"], name="insight_by_talk"),
            models.Index(fields=["overtalk_ratio"], name="insight_by_overtalk"),
            models.Index(fields=["wpm_agent"], name="insight_by_pace"),
        ]

    def __str__(self) -> str:
        return f"{self.intent} on {self.call_id}"


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> AlertQuerySet:
        """Return the alerts of visible calls; those on self-harm and threats only to people with that right."""
        return self.filter(call__in=Call.objects.visible_to(user)).permitted_to(user)

    def permitted_to(self, user: User) -> AlertQuerySet:
        """Leave out the categories that this user may not see. For alerts whose calls have been checked already."""
        return self if user.sees_restricted_alerts else self.exclude(category__in=RESTRICTED)

    def open(self) -> AlertQuerySet:
        return self.filter(status=Alert.Status.OPEN)


class Alert(models.Model):
    """One risk with its evidence. Re-understanding keeps the triage of an alert whose identity is unchanged."""

    class Status(models.TextChoices):
        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        DISMISSED = "dismissed", _("Dismissed")

    class DismissKind(models.TextChoices):
        """Why an alert was set aside. Only the first says that the rule was wrong."""

        WRONG = "wrong", _("False alarm: this is not what the rule means")
        HANDLED = "handled", _("True, and already dealt with")
        IRRELEVANT = "irrelevant", _("True, but of no consequence")
        DUPLICATE = "duplicate", _("The same as another alert")
        TEST = "test", _("A test or training call")

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
    dismiss_kind = models.CharField(max_length=10, choices=DismissKind.choices, blank=True)
    dismiss_reason = models.CharField(max_length=300, blank=True)
    #: When a person first acknowledged or dismissed it; never moved again, it measures how long people waited.
    first_handled_at = models.DateTimeField(null=True, blank=True)
    #: A person has done something with it (comment, assignment, decision): no re-understanding may delete it.
    touched = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["call", "start_ms"]
        constraints = [models.UniqueConstraint(fields=["call", "identity"], name="one_alert_per_identity")]
        indexes = [
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["rule_key", "-created_at"], name="alert_of_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.start_ms}"

    def get_absolute_url(self) -> str:
        return reverse("insights:alert", args=[self.pk])

    @property
    def restricted(self) -> bool:
        return self.category in RESTRICTED

    @property
    def thin(self) -> bool:
        """Return whether the evidence is too thin to say anything: the alert is `unknown` until somebody listens."""
        heard = self.transcription_confidence
        return self.score < THIN_SCORE or (heard is not None and heard < THIN_HEARING)


class AlertEvent(models.Model):
    """One thing that happened to an alert: its history and its comments. Never changed."""

    class Kind(models.TextChoices):
        ACKNOWLEDGED = "acknowledged", _("acknowledged it")
        DISMISSED = "dismissed", _("dismissed it")
        REOPENED = "reopened", _("opened it again")
        ASSIGNED = "assigned", _("assigned it")
        UNASSIGNED = "unassigned", _("took the assignment away")
        COMMENT = "comment", _("commented")

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    text = models.TextField(blank=True)
    person = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.alert_id}"


class RuleJob(models.Model):
    """A rule tried on, or applied to, many stored calls behind the page: `queued -> working -> done | failed`.

    A try only counts; an application changes alerts. `cursor` is the last call that is done, so that another worker
    goes on where this one stopped.
    """

    class Kind(models.TextChoices):
        TRY = "try", _("Try")
        APPLY = "apply", _("Re-apply")

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        WORKING = "working", _("Working")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Stopped")

    OPEN = (State.QUEUED, State.WORKING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=6, choices=Kind.choices)
    rule = models.ForeignKey(Rule, null=True, blank=True, on_delete=models.CASCADE, related_name="jobs")
    #: For a try: the definition that is tried, saved or not.
    definition: Any = models.JSONField(default=dict)
    #: Only calls that started at or after this moment; empty: all.
    since = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, db_index=True)
    token = models.UUIDField(null=True, blank=True)
    cursor = models.UUIDField(null=True, blank=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    hit_calls = models.PositiveIntegerField(default=0)
    hits = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    kept = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0.0)
    #: Where hits stand (call, turn, times), no words: the page reads them for whoever looks.
    examples: Any = models.JSONField(default=list)
    notes: Any = models.JSONField(default=list)
    failures = models.PositiveSmallIntegerField(default=0)
    error_message = models.CharField(max_length=1000, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    heard_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    def get_absolute_url(self) -> str:
        return reverse("insights:rule_job", args=[self.pk])

    @property
    def ended(self) -> bool:
        return self.state not in self.OPEN

    @property
    def fraction(self) -> float:
        return 1.0 if self.state == self.State.DONE else min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def rate(self) -> float | None:
        """Return calls a second of work, or None while there is nothing to divide."""
        return self.done / self.seconds if self.seconds > 0 and self.done else None


class AuditSample(models.Model):
    """Calls without alerts, drawn at random to be listened to: what the rules miss is not seen anywhere else."""

    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()
    until = models.DateTimeField()
    #: How many calls the sample stands for, and how many calls of that time have an alert that nobody called wrong.
    population = models.PositiveIntegerField()
    alerted = models.PositiveIntegerField()
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Audit sample {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("insights:audit", args=[self.pk])


class AuditItem(models.Model):
    """One call of a sample and what the reviewer found in it."""

    class Verdict(models.TextChoices):
        NOTHING = "nothing", _("Nothing was missed")
        MISSED = "missed", _("Something was missed")

    sample = models.ForeignKey(AuditSample, on_delete=models.CASCADE, related_name="items")
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="+")
    verdict = models.CharField(max_length=8, choices=Verdict.choices, blank=True)
    categories: Any = models.JSONField(default=list)
    note = models.CharField(max_length=300, blank=True)
    reviewed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["sample", "call"], name="one_audit_item_per_call")]

    def __str__(self) -> str:
        return f"{self.sample_id} {self.verdict}"


class SurgeQuerySet(models.QuerySet["Surge"]):
    def visible_to(self, user: User) -> SurgeQuerySet:
        """Return the surges of the teams whose calls this user supervises; agents and model operators see none."""
        if not user.is_authenticated or not user.has_role(Role.SUPERVISOR, Role.COMPLIANCE):
            return self.none()
        found = self if user.sees_all_teams else self.filter(team__in=user.teams.all())
        if not user.sees_restricted_alerts:
            found = found.exclude(kind=Surge.Kind.ALERT, key__in=RESTRICTED)
        return found


class Surge(models.Model):
    """A rate that left its usual band in one hour of one team: negative calls, an intent, or an alert category."""

    class Kind(models.TextChoices):
        NEGATIVE = "negative", _("Negative calls")
        INTENT = "intent", _("Intent")
        ALERT = "alert", _("Alerts")

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    key = models.CharField(max_length=60, blank=True)
    hour_at = models.DateTimeField()
    count = models.PositiveIntegerField()
    calls = models.PositiveIntegerField()
    #: How many of the hour's calls are usual (the expectation) and the end of the usual band.
    expected = models.FloatField()
    upper = models.PositiveIntegerField()
    probability = models.FloatField()
    weeks = models.PositiveSmallIntegerField()
    acknowledged_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    #: The words for what surged; who shows it fills them in.
    label = ""

    objects = SurgeQuerySet.as_manager()

    class Meta:
        ordering = ["-hour_at", "team"]
        constraints = [
            models.UniqueConstraint(fields=["team", "kind", "key", "hour_at"], name="one_surge_per_team_rate_hour")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.hour_at:%Y-%m-%d %H}"
