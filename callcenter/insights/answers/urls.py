"""Addresses of the knowledge base."""

from __future__ import annotations

from django.urls import path

from callcenter.insights.answers import views

app_name = "answers"
urlpatterns = [
    path("alerts/answers/", views.article_list, name="list"),
    path("alerts/answers/new", views.article_edit, name="new"),
    path("alerts/answers/actions", views.actions, name="actions"),
    path("alerts/answers/<uuid:article_id>/", views.article, name="article"),
    path("alerts/answers/<uuid:article_id>/edit", views.article_edit, name="edit"),
    path("alerts/answers/<uuid:article_id>/versions/<int:number>/restore", views.article_restore, name="restore"),
    path("alerts/answers/<uuid:article_id>/delete", views.article_delete, name="delete"),
]
