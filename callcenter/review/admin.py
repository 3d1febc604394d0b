"""A look at corrections, without their words."""

from __future__ import annotations

from django.contrib import admin

from callcenter.core.admin import ReadOnlyAdmin
from callcenter.review.models import Correction


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = ("id", "call", "turn_index", "author", "status", "created_at")
    list_filter = ("status",)
    exclude = ("before", "after")
    list_select_related = ("call", "author")
