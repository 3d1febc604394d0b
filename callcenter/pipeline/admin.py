"""A look at runs."""

from __future__ import annotations

from django.contrib import admin

from callcenter.core.admin import ReadOnlyAdmin
from callcenter.pipeline.models import Run


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("id", "call", "state", "stage", "attempt", "failures", "error_code", "created_at", "finished_at")
    list_filter = ("state", "error_code")
    search_fields = ("id", "call__id")
    list_select_related = ("call",)
