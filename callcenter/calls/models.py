"""Recording, Call, Batch and what was said: Transcript, Turn."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, Team, User


class Queue(models.Model):
    """Where callers wait; for example billing or technical support."""

    name = models.CharField(max_length=120, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Recording(models.Model):
    """One audio file, stored once, named by its SHA-256."""

    sha256 = models.CharField(max_length=64, unique=True)
    storage_key = models.CharField(max_length=200)
    size = models.BigIntegerField()
    content_type = models.CharField(max_length=80)
    container = models.CharField(max_length=80, blank=True)
    codec = models.CharField(max_length=40, blank=True)
    sample_rate = models.PositiveIntegerField()
    channels = models.PositiveSmallIntegerField()
    duration_ms = models.PositiveIntegerField()
    layout = models.CharField(max_length=16)
    info: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["duration_ms"], name="recording_by_length")]

    def __str__(self) -> str:
        return self.sha256[:12]


class CallQuerySet(models.QuerySet["Call"]):
    def visible_to(self, user: User) -> CallQuerySet:
        """Return only the calls that this user may see: all, the own teams', or an agent's own.

        A model operator keeps the machinery running and needs no words for it, whatever team that person is in.
        """
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.sees_all_teams:
            return self
        if user.role == Role.OPERATOR:
            return self.none()
        scoped = self.filter(team__in=user.teams.all())
        return scoped.filter(agent=user) if user.is_agent else scoped


class Call(models.Model):
    """The business record around a recording."""

    class Direction(models.TextChoices):
        INBOUND = "inbound", _("Inbound")
        OUTBOUND = "outbound", _("Outbound")
        UNKNOWN = "unknown", _("Unknown")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="calls")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="calls")
    agent = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="calls")
    queue = models.ForeignKey(Queue, null=True, blank=True, on_delete=models.SET_NULL, related_name="calls")
    direction = models.CharField(max_length=8, choices=Direction.choices, default=Direction.UNKNOWN)
    started_at = models.DateTimeField(db_index=True)
    customer_ref = models.CharField(max_length=120, blank=True, db_index=True)
    external_id = models.CharField(max_length=120, blank=True)
    language = models.CharField(max_length=12, default="en")
    num_speakers = models.PositiveSmallIntegerField(default=0)
    agent_channel = models.PositiveSmallIntegerField(default=0)
    source = models.CharField(max_length=12, default="web")
    filename = models.CharField(max_length=255, blank=True)
    parties_swapped = models.BooleanField(default=False)
    #: Whether models may learn from this call; empty: as its team has it.
    training_consent = models.BooleanField(null=True, blank=True)
    #: When the text last changed without having been understood since; empty when understanding is up to date.
    corrected_at = models.DateTimeField(null=True, blank=True)
    transcript = models.ForeignKey("Transcript", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_call_per_external_id",
            ),
            # Two uploads of the same file racing each other must end as one call; the database is the referee.
            models.UniqueConstraint(
                fields=["team", "recording"],
                condition=models.Q(external_id=""),
                name="one_call_per_recording",
            ),
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id"]),
            models.Index(fields=["team", "-started_at"]),
            models.Index(fields=["agent", "-started_at"]),
            # The search field takes ids in any case.
            models.Index(Upper("external_id"), name="call_by_external_id"),
            models.Index(Upper("customer_ref"), name="call_by_customer"),
            models.Index(
                fields=["corrected_at"], condition=models.Q(corrected_at__isnull=False), name="call_to_understand_again"
            ),
        ]

    def __str__(self) -> str:
        return self.external_id or self.filename or str(self.id)

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("calls:detail", args=[self.pk])


class Transcript(models.Model):
    """What one model said about one call. Never changed after it is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="transcripts")
    artefact_key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=32)
    engine = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    language = models.CharField(max_length=12)
    layout = models.CharField(max_length=16)
    diarizer = models.CharField(max_length=40)
    mapping: Any = models.JSONField(default=dict)
    degraded = models.CharField(max_length=300, blank=True)
    warnings: Any = models.JSONField(default=list)
    word_count = models.PositiveIntegerField(default=0)
    mean_probability = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["call", "artefact_key"], name="one_transcript_per_artefact"),
        ]
        indexes = [models.Index(fields=["mean_probability"], name="transcript_by_certainty")]

    def __str__(self) -> str:
        return f"{self.model} on {self.call_id}"


class Turn(models.Model):
    """An uninterrupted stretch of one party: the projection of a transcript that pages read and search.

    It shows the transcript with the approved corrections in it. `words` is a list of [text, start_ms, end_ms,
    probability]. `party` already respects swapped parties. `source_turn` and `source_word` name the first word of the
    stored transcript in this turn: the turn's name in corrections and reviews, which survives splits elsewhere.
    """

    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="turns")
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="turns")
    index = models.PositiveIntegerField()
    party = models.CharField(max_length=10)
    speaker = models.CharField(max_length=40)
    channel = models.PositiveSmallIntegerField(default=0)
    start_ms = models.PositiveIntegerField()
    end_ms = models.PositiveIntegerField()
    text = models.TextField()
    #: The text without what agents and supervisors do not see: the index of words is made of it (callcenter.privacy).
    searchable = models.TextField(blank=True)
    words: Any = models.JSONField(default=list)
    mean_probability = models.FloatField(null=True)
    source_turn = models.PositiveIntegerField(default=0)
    source_word = models.PositiveIntegerField(default=0)
    #: What the model had heard here; empty where that is how it reads.
    heard = models.TextField(blank=True)
    #: The approved corrections that made this turn read as it does.
    corrections: Any = models.JSONField(default=list)
    #: "corrected" or "confirmed" once a person has looked at it.
    review = models.CharField(max_length=10, blank=True)
    #: How many of its words are likely wrong; empty until it was computed.
    expected_errors = models.FloatField(null=True)
    #: The turn's place among the spot checks; empty where it is none of them.
    spot_check = models.BigIntegerField(null=True)
    #: Stands in the review queue: of a current transcript, and nobody has looked at it yet.
    to_review = models.BooleanField(default=False)
    search = models.GeneratedField(
        expression=SearchVector("searchable", config="english"), output_field=SearchVectorField(), db_persist=True
    )

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["transcript", "index"], name="one_turn_per_index")]
        indexes = [
            GinIndex(fields=["search"]),
            models.Index(fields=["call", "index"]),
            models.Index(
                fields=["-expected_errors", "id"],
                condition=models.Q(to_review=True, spot_check=None),
                name="turn_review_queue",
            ),
            models.Index(
                fields=["spot_check"],
                condition=models.Q(to_review=True, spot_check__isnull=False),
                name="turn_spot_checks",
            ),
            models.Index(fields=["review"], condition=~models.Q(review=""), name="turn_reviewed"),
            models.Index(
                fields=["transcript"], condition=models.Q(expected_errors=None), name="turn_without_expectation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party} {self.start_ms}"


class Comment(models.Model):
    """What a person wrote beside a moment of a call, for everybody who may see it; never with a card number."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    at_ms = models.PositiveIntegerField()
    text = models.CharField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at_ms", "id"]

    def __str__(self) -> str:
        return f"{self.call_id} at {self.at_ms} ms"


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user: User) -> BatchQuerySet:
        """Return the batches of the user's teams and the own ones; agents upload nothing and see none."""
        if not user.is_authenticated or not user.is_active or user.is_agent:
            return self.none()
        if user.sees_all_teams:
            return self
        return self.filter(models.Q(team__in=user.teams.all()) | models.Q(created_by=user)).distinct()


class Batch(models.Model):
    """One upload of many recordings with a manifest."""

    class Source(models.TextChoices):
        WEB = "web", _("Web upload")
        COMMAND = "command", _("Command")
        API = "api", _("API")
        FOLDER = "folder", _("Watched folder")
        DEMO = "demo", _("Demo")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="batches")
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.WEB)
    defaults: Any = models.JSONField(default=dict, blank=True)
    manifest: Any = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="batches")
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("calls:batch", args=[self.pk])

    @property
    def is_backlog(self) -> bool:
        """Return whether its calls are processed only while no new ones wait."""
        return bool(self.defaults.get("_backlog"))


class BatchRow(models.Model):
    """One file of a batch. It ends as done, duplicate or refused, and a refusal says why.

    `done` means: the recording is stored and its call exists; how far the call is, its run says.
    """

    class State(models.TextChoices):
        RECEIVED = "received", _("Received")
        CHECKING = "checking", _("Checking")
        DONE = "done", _("Done")
        DUPLICATE = "duplicate", _("Duplicate")
        REFUSED = "refused", _("Refused")

    ENDED = (State.DONE, State.DUPLICATE, State.REFUSED)

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="rows")
    position = models.PositiveIntegerField()
    filename = models.CharField(max_length=255)
    kind = models.CharField(max_length=10, default="audio")
    size = models.BigIntegerField(default=0)
    staged_key = models.CharField(max_length=255, blank=True)
    metadata: Any = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED, db_index=True)
    reason = models.CharField(max_length=500, blank=True)
    code = models.CharField(max_length=40, blank=True)
    call = models.ForeignKey(Call, null=True, blank=True, on_delete=models.SET_NULL, related_name="batch_rows")
    claimed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="one_row_per_position")]

    def __str__(self) -> str:
        return f"{self.filename}: {self.state}"

    @property
    def ended(self) -> bool:
        return self.state in self.ENDED


class ManifestMapping(models.Model):
    """What the columns of a team's manifests mean, as somebody said the last time; "" is a column that is left out."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="manifest_mapping")
    columns: Any = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"manifests of {self.team_id}"


class Upload(models.Model):
    """A file on its way in pieces (tus): the pieces that have come stand in the store, so any web process can go on.

    `parts` lists [storage key, bytes] in order; together they are `offset` bytes. Once all `length` bytes are here the
    file becomes a row of its batch and the pieces go.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="uploads")
    filename = models.CharField(max_length=400)
    length = models.BigIntegerField()
    offset = models.BigIntegerField(default=0)
    parts: Any = models.JSONField(default=list)
    row = models.ForeignKey(BatchRow, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.offset} of {self.length}"


class IdempotencyKey(models.Model):
    """The answer already given to a request with this key, so that a repeated request changes nothing."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64)
    row = models.ForeignKey(BatchRow, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_idempotency_key")]

    def __str__(self) -> str:
        return self.key
