"""Addresses of notifications and of the inbox."""

from __future__ import annotations

from django.urls import path

from callcenter.insights.notifications import inbox_views, views

app_name = "notifications"
urlpatterns = [
    path("alerts/notifications/", views.route_list, name="list"),
    path("alerts/notifications/new", views.route_new, name="new"),
    path("alerts/notifications/<uuid:route_id>/", views.route, name="route"),
    path("alerts/notifications/<uuid:route_id>/log", views.log, name="log"),
    path("alerts/notifications/<uuid:route_id>/test", views.test, name="test"),
    path("alerts/notifications/<uuid:route_id>/secret", views.rotate, name="rotate"),
    path("alerts/notifications/<uuid:route_id>/delete", views.delete, name="delete"),
    path("alerts/notifications/deliveries/<uuid:delivery_id>/retry", views.retry, name="retry"),
    path("inbox/", inbox_views.inbox, name="inbox"),
    path("inbox/bell", inbox_views.bell, name="bell"),
    path("inbox/read", inbox_views.read_all, name="read_all"),
    path("inbox/<int:notice_id>/open", inbox_views.open_notice, name="open"),
    path("inbox/<int:notice_id>/read", inbox_views.read, name="read"),
]
