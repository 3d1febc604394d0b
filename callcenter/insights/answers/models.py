"""Article, its versions, which article answers which call, and what to do next."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Transcript


class Article(models.Model):
    """One article of the knowledge base, as it stands now. `key` is its name for imports."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.SlugField(max_length=120, unique=True)
    title = models.CharField(max_length=200)
    body = models.TextField()
    #: What an agent may say or send; empty where the article has none.
    reply = models.TextField(blank=True)
    #: Ways in which customers ask for it; they count like the title.
    questions: Any = models.JSONField(default=list, blank=True)
    tags: Any = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1)
    #: The file it came from; empty once a person has written it here.
    source = models.CharField(max_length=255, blank=True)
    updated_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)
    created_at = models.DateTimeField(auto_now_add=True)
    search = models.GeneratedField(
        expression=SearchVector("title", weight="A", config="english")
        + SearchVector("body", "reply", weight="B", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["title", "id"]
        indexes = [GinIndex(fields=["search"])]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("answers:article", args=[self.pk])


class ArticleVersion(models.Model):
    """What an article said at one version. Never changed."""

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content: Any = models.JSONField(default=dict)
    author = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["article", "number"], name="one_row_per_article_version")]

    def __str__(self) -> str:
        return f"version {self.number}"


class Suggestion(models.Model):
    """An article for what a customer asked in a call, with how near it was and the turns that asked."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="suggestions")
    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="+")
    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="suggestions")
    version = models.PositiveIntegerField()
    score = models.FloatField()
    turns: Any = models.JSONField(default=list)
    start_ms = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-score", "id"]
        constraints = [models.UniqueConstraint(fields=["call", "article"], name="one_suggestion_per_call_and_article")]

    def __str__(self) -> str:
        return f"{self.article_id} for {self.call_id}"


class NextAction(models.Model):
    """What to do when a call is about an intent, or carries a risk."""

    class Kind(models.TextChoices):
        INTENT = "intent", _("Intent")
        RISK = "risk", _("Risk")

    kind = models.CharField(max_length=6, choices=Kind.choices)
    key = models.CharField(max_length=60)
    text = models.CharField(max_length=400)
    enabled = models.BooleanField(default=True)
    updated_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["kind", "key"]
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="one_action_per_intent_or_risk")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
