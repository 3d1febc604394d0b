"""Addresses of privacy."""

from __future__ import annotations

from django.urls import path

from callcenter.privacy import views

app_name = "privacy"
urlpatterns = [
    path("privacy/", views.masks, name="masks"),
    path("privacy/masks/<int:mask_id>/assign", views.mask_assign, name="mask_assign"),
    path("privacy/masks/<int:mask_id>/retry", views.mask_retry, name="mask_retry"),
    path("privacy/masks/<int:mask_id>/stretch", views.mask_stretch, name="mask_stretch"),
    path("privacy/masks/<int:mask_id>/resolve", views.mask_resolve, name="mask_resolve"),
    path("privacy/levels", views.level_page, name="levels"),
    path("privacy/levels/set", views.level_set, name="level_set"),
    path("calls/<uuid:call_id>/reveal", views.reveal, name="reveal"),
]
