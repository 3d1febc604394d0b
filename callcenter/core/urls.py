"""Addresses of help, and for machines that watch the site."""

from __future__ import annotations

from django.urls import path

from callcenter.core import help, views

urlpatterns = [
    path("healthz", views.healthz, name="health"),
    path("help/", help.index, name="help"),
    path("help/<slug:slug>/", help.page, name="help_page"),
    path("metrics", views.metrics, name="metrics"),
]
