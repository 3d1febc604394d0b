"""The audit log, to be read and never changed; and the base of every list that only shows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from callcenter.core.models import AuditEvent


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows. What changes them goes through the services, which check and write the audit log."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "user", "action", "object_type", "object_id", "ip")
    list_filter = ("action", "object_type")
    search_fields = ("object_id", "user__username")
    date_hierarchy = "at"
    list_select_related = ("user",)
