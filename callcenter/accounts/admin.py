"""Administration of people, teams and tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from callcenter.accounts.models import ApiToken, Team, User
from callcenter.core import audit


@admin.register(User)
class PersonAdmin(UserAdmin):
    """A user with role and teams."""

    list_display = ("username", "name", "role", "is_active", "last_login")
    list_filter = ("role", "teams", "is_active")
    filter_horizontal = ("teams", "groups", "user_permissions")
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        ("In the call centre", {"fields": ("display_name", "role", "teams", "restricted_alerts")}),
    )
    add_fieldsets = (*UserAdmin.add_fieldsets, ("In the call centre", {"fields": ("display_name", "role", "teams")}))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record("user.change" if change else "user.create", obj, request=request, fields=form.changed_data)


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ("name", "slug", "correction_approval", "training_consent")
    prepopulated_fields = {"slug": ("name",)}

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record("team.change" if change else "team.create", obj, request=request, fields=form.changed_data)


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Tokens are made by their owners; here they can be ended."""

    list_display = ("name", "user", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at")
    fields = ("name", "user", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at")
    readonly_fields = ("name", "user", "prefix", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
