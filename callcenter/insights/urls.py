"""Addresses of alerts."""

from __future__ import annotations

from django.urls import path

from callcenter.insights import views

app_name = "insights"
urlpatterns = [
    path("alerts/", views.alert_list, name="alerts"),
    path("alerts/<uuid:alert_id>/acknowledge", views.acknowledge, name="acknowledge"),
    path("alerts/<uuid:alert_id>/dismiss", views.dismiss, name="dismiss"),
]
