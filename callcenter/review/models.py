"""Correction, Review, Term: what people changed, what they looked at, and the words they want heard."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, Transcript


class CorrectionQuerySet(models.QuerySet["Correction"]):
    def visible_to(self, user: User) -> CorrectionQuerySet:
        """Return the corrections of visible calls."""
        return self.filter(call__in=Call.objects.visible_to(user))

    def live(self) -> CorrectionQuerySet:
        """Return the corrections that count or may yet count: approved and pending ones."""
        return self.filter(status__in=[Correction.Status.APPROVED, Correction.Status.PENDING])


class Correction(models.Model):
    """Word-keyed: which words of which immutable transcript, before and after, by whom. Only its decision changes.

    `turn_index`, `first_word` and `last_word` name words of the stored artefact, never of the text as it reads now;
    `position` is a place inside words that an earlier correction put in their stead. What `before` and `after` hold
    depends on `kind`; see `callcenter.review.replay.Change`. `order` is the place in the replay of the transcript.
    """

    class Kind(models.TextChoices):
        TEXT = "text", _("Words")
        PARTY = "party", _("Party")
        SPLIT = "split", _("Split")
        MERGE = "merge", _("Merge")
        TIMES = "times", _("Times")

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting for approval")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        SETTLED = "settled", _("Already right")
        STRANDED = "stranded", _("No longer applies")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="corrections")
    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="corrections")
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.TEXT)
    order = models.PositiveIntegerField(default=0)
    #: What belongs together and is undone together: one editing of a turn, or one fix-all over many calls.
    group = models.UUIDField(default=uuid.uuid4, db_index=True)
    #: The correction that this one carries over to the transcript of another model; empty for what a person wrote.
    root = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="carried")
    model = models.CharField(max_length=200, blank=True)
    turn_index = models.PositiveIntegerField()
    first_word = models.PositiveIntegerField()
    last_word = models.PositiveIntegerField()
    position = models.PositiveIntegerField(default=0)
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
        ordering = ["created_at", "order"]
        indexes = [
            models.Index(fields=["transcript", "order"]),
            models.Index(fields=["author", "-created_at"]),
        ]

    def __str__(self) -> str:
        return f"correction of turn {self.turn_index} on {self.call_id}"


class ReviewQuerySet(models.QuerySet["Review"]):
    def visible_to(self, user: User) -> ReviewQuerySet:
        """Return the reviews of visible calls."""
        return self.filter(call__in=Call.objects.visible_to(user))


class Review(models.Model):
    """A person looked at a segment and it now reads as it should; `words` and `wrong` count what the model had heard.

    A segment is a turn, named by the first word of the stored transcript in it. One row for each segment: who looks
    again replaces what was noted. `sampled` says that the spot checks led there, so that its words count towards
    the estimated error rate. `text` is how it read then, so that a later transcript can be held against it.
    """

    class Outcome(models.TextChoices):
        CORRECTED = "corrected", _("Corrected")
        CONFIRMED = "confirmed", _("Confirmed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="reviews")
    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="reviews")
    turn_index = models.PositiveIntegerField()
    first_word = models.PositiveIntegerField()
    start_ms = models.PositiveIntegerField()
    end_ms = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    reviewer = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="reviews")
    sampled = models.BooleanField(default=False)
    expected_errors = models.FloatField(default=0.0)
    words = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    reviewed_at = models.DateTimeField()

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-reviewed_at"]
        constraints = [
            models.UniqueConstraint(fields=["transcript", "turn_index", "first_word"], name="one_review_per_segment")
        ]
        indexes = [models.Index(fields=["sampled", "-reviewed_at"]), models.Index(fields=["reviewer", "-reviewed_at"])]

    def __str__(self) -> str:
        return f"{self.outcome} turn {self.turn_index} on {self.call_id}"


class Term(models.Model):
    """A name or product that the house says and models mishear. Without a team it is for all teams."""

    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="terms")
    text = models.CharField(max_length=80)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    #: When a correction last put this term into a text; when added, the moment of adding.
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-used_at", "-pk"]
        constraints = [
            models.UniqueConstraint(Lower("text"), "team", name="one_term_per_team"),
            models.UniqueConstraint(Lower("text"), condition=models.Q(team=None), name="one_term_for_all_teams"),
        ]

    def __str__(self) -> str:
        return self.text


class HeardWord(models.Model):
    """In how many transcripts a word stands, by the word's hash: what is rare is doubtful. Holds no words."""

    word = models.BigIntegerField(primary_key=True)
    transcripts = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.word:x}"
