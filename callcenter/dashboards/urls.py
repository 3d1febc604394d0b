"""Address of the dashboard."""

from __future__ import annotations

from django.urls import path

from callcenter.dashboards import views

app_name = "dashboards"
urlpatterns = [path("", views.home, name="home")]
