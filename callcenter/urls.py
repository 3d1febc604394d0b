"""Every address of the site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import include, path

from callcenter.api.app import api

urlpatterns: list[Any] = [
    path("", include("callcenter.core.urls")),
    path("", include("callcenter.dashboards.urls")),
    path("", include("callcenter.calls.urls")),
    path("", include("callcenter.calls.exports.urls")),
    path("", include("callcenter.insights.urls")),
    path("", include("callcenter.insights.intents.urls")),
    path("", include("callcenter.insights.notifications.urls")),
    path("", include("callcenter.insights.answers.urls")),
    path("", include("callcenter.pipeline.urls")),
    path("", include("callcenter.review.urls")),
    path("", include("callcenter.privacy.urls")),
    path("", include("callcenter.learning.urls")),
    path("", include("callcenter.accounts.urls")),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
]

handler400 = "callcenter.core.views.bad_request"
handler403 = "callcenter.core.views.not_allowed"
handler404 = "callcenter.core.views.not_found"
handler500 = "callcenter.core.views.broke"
