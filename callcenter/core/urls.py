"""Addresses for machines that watch the site."""

from __future__ import annotations

from django.urls import path

from callcenter.core import views

urlpatterns = [
    path("healthz", views.healthz, name="health"),
    path("metrics", views.metrics, name="metrics"),
]
