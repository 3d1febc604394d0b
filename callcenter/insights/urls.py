"""Addresses of alerts and rules."""

from __future__ import annotations

from django.urls import path

from callcenter.insights import quality_views, rule_views, views

app_name = "insights"
urlpatterns = [
    path("alerts/", views.alert_list, name="alerts"),
    path("alerts/bulk", views.bulk, name="bulk"),
    path("alerts/quality/", quality_views.quality, name="quality"),
    path("alerts/audits", quality_views.draw, name="audit_draw"),
    path("alerts/audits/<int:sample_id>/", quality_views.audit, name="audit"),
    path("alerts/audits/<int:sample_id>/<int:item_id>", quality_views.judge, name="audit_judge"),
    path("alerts/surges/<int:surge_id>/acknowledge", views.acknowledge_surge, name="surge_acknowledge"),
    path("alerts/<uuid:alert_id>/", views.alert_page, name="alert"),
    path("alerts/<uuid:alert_id>/acknowledge", views.acknowledge, name="acknowledge"),
    path("alerts/<uuid:alert_id>/dismiss", views.dismiss, name="dismiss"),
    path("alerts/<uuid:alert_id>/reopen", views.reopen, name="reopen"),
    path("alerts/<uuid:alert_id>/assign", views.assign, name="assign"),
    path("alerts/<uuid:alert_id>/comment", views.comment, name="comment"),
    path("rules/", rule_views.rules, name="rules"),
    path("rules/new", rule_views.new, name="rule_new"),
    path("rules/preview", rule_views.preview, name="rule_preview"),
    path("rules/try", rule_views.try_out, name="rule_try"),
    path("rules/jobs/<uuid:job_id>/", rule_views.job, name="rule_job"),
    path("rules/jobs/<uuid:job_id>/cancel", rule_views.job_cancel, name="rule_job_cancel"),
    path("rules/<int:rule_id>/", rule_views.rule, name="rule"),
    path("rules/<int:rule_id>/enable", rule_views.enable, name="rule_enable"),
    path("rules/<int:rule_id>/apply", rule_views.apply, name="rule_apply"),
    path("rules/<int:rule_id>/versions/<int:version>/", rule_views.version, name="rule_version"),
    path("rules/<int:rule_id>/versions/<int:version>/restore", rule_views.restore, name="rule_restore"),
]
