"""Administration of intents and rules; a look at alerts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from callcenter.core.admin import ReadOnlyAdmin
from callcenter.insights.models import Alert, Intent, Rule


@admin.register(Intent)
class IntentAdmin(ReadOnlyAdmin):
    """A look at the taxonomy; it is changed on its own page, which shows what would move and keeps versions."""

    list_display = ("name", "label", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name", "label")


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    """A look at rules. They are changed on their own page, where every change is checked and becomes a version."""

    list_display = ("key", "version", "category", "severity", "title", "enabled")
    list_filter = ("category", "severity", "enabled")
    search_fields = ("key", "title")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("id", "category", "severity", "rule_key", "rule_version", "status", "handled_by", "created_at")
    list_filter = ("category", "severity", "status")
    exclude = ("quote",)
    list_select_related = ("handled_by",)

    def get_queryset(self, request: HttpRequest) -> Any:
        found: Any = super().get_queryset(request)
        return found.permitted_to(request.user)
