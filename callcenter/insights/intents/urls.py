"""Addresses of the taxonomy."""

from __future__ import annotations

from django.urls import path

from callcenter.insights.intents import views

app_name = "intents"
urlpatterns = [
    path("intents/", views.index, name="list"),
    path("intents/new", views.new, name="new"),
    path("intents/of/<slug:name>/", views.edit, name="edit"),
    path("intents/of/<slug:name>/switch", views.switch, name="switch"),
    path("intents/changes/<uuid:job_id>/", views.change, name="change"),
    path("intents/changes/<uuid:job_id>/save", views.save, name="save"),
    path("intents/changes/<uuid:job_id>/again", views.again, name="again"),
    path("intents/history/", views.history, name="history"),
    path("intents/history/<int:number>/", views.version, name="version"),
    path("intents/history/<int:number>/restore", views.restore, name="restore"),
    path("intents/tune", views.tune, name="tune"),
    path("intents/relabel", views.relabel, name="relabel"),
    path("intents/jobs/<uuid:job_id>/", views.job, name="job"),
    path("intents/jobs/<uuid:job_id>/cancel", views.job_cancel, name="job_cancel"),
    path("intents/calls/<uuid:call_id>/label", views.label, name="label"),
    path("intents/calls/<uuid:call_id>/unlabel", views.unlabel, name="unlabel"),
]
