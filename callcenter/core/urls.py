"""Addresses for machines that watch the site, and for the language of pages."""

from __future__ import annotations

from django.urls import path

from callcenter.core import languages, views

urlpatterns = [
    path("healthz", views.healthz, name="health"),
    path("metrics", views.metrics, name="metrics"),
    path("language", languages.choose, name="language"),
    path("words/<slug:language>/<slug:name>.js", languages.words, name="words"),
]
