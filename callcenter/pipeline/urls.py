"""Addresses of the operations page."""

from __future__ import annotations

from django.urls import path

from callcenter.pipeline import views

app_name = "pipeline"
urlpatterns = [
    path("operations/", views.operations, name="operations"),
    path("operations/panel", views.operations_panel, name="operations_panel"),
    path("operations/retry", views.retry_cause, name="retry_cause"),
    path("operations/runs/<uuid:run_id>/retry", views.retry, name="retry"),
]
