"""Addresses of dashboards, agents and queues."""

from __future__ import annotations

from django.urls import path

from callcenter.dashboards import changes, views

app_name = "dashboards"
urlpatterns = [
    path("", views.home, name="home"),
    path("dashboard/<slug:panel>.csv", views.panel_csv, name="csv"),
    path("views/", changes.view_save, name="view_save"),
    path("views/<int:view_id>/", changes.view_open, name="view"),
    path("views/<int:view_id>/delete", changes.view_delete, name="view_delete"),
    path("agents/", views.agents, name="agents"),
    path("agents/<int:agent_id>/", views.agent, name="agent"),
    path("agents/<int:agent_id>/notes", changes.note_write, name="note_write"),
    path("notes/", changes.notes, name="notes"),
    path("notes/<int:note_id>/delete", changes.note_delete, name="note_delete"),
    path("queues/", views.queues, name="queues"),
    path("queues/<int:queue_id>/", views.queue, name="queue"),
    path("account/time-zone", changes.time_zone, name="time_zone"),
]
