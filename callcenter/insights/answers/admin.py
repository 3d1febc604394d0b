"""A look at articles and actions; they are changed on their pages, which keep versions."""

from __future__ import annotations

from django.contrib import admin

from callcenter.core.admin import ReadOnlyAdmin
from callcenter.insights.answers.models import Article, NextAction


@admin.register(Article)
class ArticleAdmin(ReadOnlyAdmin):
    list_display = ("title", "key", "version", "enabled", "updated_by", "updated_at")
    list_filter = ("enabled",)
    list_select_related = ("updated_by",)
    search_fields = ("title", "key")


@admin.register(NextAction)
class NextActionAdmin(ReadOnlyAdmin):
    list_display = ("kind", "key", "text", "enabled", "updated_at")
