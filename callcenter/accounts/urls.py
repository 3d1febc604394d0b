"""Addresses of a person's own account."""

from __future__ import annotations

from django.urls import path

from callcenter.accounts import views

app_name = "accounts"
urlpatterns = [
    path("account/", views.profile, name="profile"),
    path("account/tokens", views.token_create, name="token_create"),
    path("account/tokens/<int:token_id>/revoke", views.token_revoke, name="token_revoke"),
]
