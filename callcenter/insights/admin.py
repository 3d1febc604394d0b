"""Administration of intents and rules; a look at alerts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from callcenter.core import audit
from callcenter.core.admin import ReadOnlyAdmin
from callcenter.insights.models import Alert, Intent, Rule


@admin.register(Intent)
class IntentAdmin(ReadOnlyAdmin):
    """A look at the taxonomy; it is changed on its own page, which shows what would move and keeps versions."""

    list_display = ("name", "label", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name", "label")


@admin.register(Rule)
class RuleAdmin(admin.ModelAdmin):
    """Rules. A changed definition, severity or category gets a new version, so that old alerts stay explainable."""

    list_display = ("key", "version", "category", "severity", "title", "enabled")
    list_filter = ("category", "severity", "enabled")
    search_fields = ("key", "title")
    readonly_fields = ("version",)

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        if change and {"definition", "severity", "category"} & set(form.changed_data):
            obj.version += 1
        super().save_model(request, obj, form, change)
        audit.record("rule.change" if change else "rule.create", obj, request=request, version=obj.version)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("id", "category", "severity", "rule_key", "rule_version", "status", "handled_by", "created_at")
    list_filter = ("category", "severity", "status")
    exclude = ("quote",)
    list_select_related = ("handled_by",)
