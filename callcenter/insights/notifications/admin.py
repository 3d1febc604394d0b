"""A look at routes and deliveries, without what is sealed."""

from __future__ import annotations

from django.contrib import admin

from callcenter.core.admin import ReadOnlyAdmin
from callcenter.insights.notifications.models import Delivery, Route


@admin.register(Route)
class RouteAdmin(ReadOnlyAdmin):
    list_display = ("name", "channel", "team", "enabled", "failures", "paused_until")
    list_filter = ("channel", "enabled")
    list_select_related = ("team",)
    exclude = ("address_sealed", "secret_sealed", "previous_secret_sealed")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "route", "kind", "state", "attempts", "next_at", "sent_at", "reason")
    list_filter = ("state", "kind")
    list_select_related = ("route",)
