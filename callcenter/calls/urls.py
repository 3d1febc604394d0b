"""Addresses of calls and batches."""

from __future__ import annotations

from django.urls import path

from callcenter.calls.views import audio, batch, call, comments, compare, manifest, tus

app_name = "calls"
urlpatterns = [
    path("calls/", call.call_list, name="list"),
    path("calls/facets", call.call_facets, name="facets"),
    path("calls/<uuid:call_id>/", call.call_detail, name="detail"),
    path("calls/<uuid:call_id>/audio", audio.audio, name="audio"),
    path("calls/<uuid:call_id>/peaks", audio.peaks, name="peaks"),
    path("calls/<uuid:call_id>/progress", call.progress, name="progress"),
    path("calls/<uuid:call_id>/swap", call.swap, name="swap"),
    path("calls/<uuid:call_id>/reprocess", call.reprocess, name="reprocess"),
    path("calls/<uuid:call_id>/comments", comments.comments, name="comments"),
    path("calls/<uuid:call_id>/comments/<int:comment_id>/remove", comments.remove, name="comment_remove"),
    path("calls/<uuid:call_id>/compare", compare.compare, name="compare"),
    path("batches/", batch.batch_list, name="batches"),
    path("batches/new", batch.batch_new, name="batch_new"),
    path("batches/manifest", manifest.preview, name="manifest_preview"),
    path("batches/<uuid:batch_id>/", batch.batch_detail, name="batch"),
    path("batches/<uuid:batch_id>/rows", batch.batch_rows, name="batch_rows"),
    path("batches/<uuid:batch_id>/file", batch.batch_file, name="batch_file"),
    path("batches/<uuid:batch_id>/uploads", tus.create, name="uploads"),
    path("uploads/<uuid:upload_id>", tus.upload, name="upload"),
    path("batches/<uuid:batch_id>/close", batch.batch_close, name="batch_close"),
]
