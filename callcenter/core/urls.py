"""Addresses of help, for the language of pages, and for machines that watch the site."""

from __future__ import annotations

from django.urls import path

from callcenter.core import help, languages, views

urlpatterns = [
    path("healthz", views.healthz, name="health"),
    path("help/", help.index, name="help"),
    path("help/<slug:slug>/", help.page, name="help_page"),
    path("metrics", views.metrics, name="metrics"),
    path("language", languages.choose, name="language"),
    path("words/<slug:language>/<slug:name>.js", languages.words, name="words"),
]
