"""Addresses of exports."""

from __future__ import annotations

from django.urls import path

from callcenter.calls.exports import views

app_name = "exports"
urlpatterns = [
    path("exports/", views.exports, name="list"),
    path("exports/rows", views.panel, name="panel"),
    path("exports/<uuid:export_id>/file", views.download, name="download"),
    path("exports/<uuid:export_id>/remove", views.remove, name="remove"),
]
