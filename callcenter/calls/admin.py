"""Administration of queues; a look at calls, recordings and batches without a word of what was said."""

from __future__ import annotations

from django.contrib import admin

from callcenter.calls.models import Batch, BatchRow, Call, Queue, Recording, Transcript
from callcenter.core.admin import ReadOnlyAdmin


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):
    search_fields = ("name",)


@admin.register(Recording)
class RecordingAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "codec", "sample_rate", "channels", "layout", "duration_ms", "size", "created_at")
    list_filter = ("codec", "layout", "channels")
    search_fields = ("sha256",)
    exclude = ("info",)


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    list_display = ("id", "started_at", "team", "agent", "queue", "direction", "source", "external_id")
    list_filter = ("team", "queue", "direction", "source")
    search_fields = ("id", "external_id", "customer_ref", "filename")
    list_select_related = ("team", "agent", "queue")


@admin.register(Transcript)
class TranscriptAdmin(ReadOnlyAdmin):
    list_display = ("id", "call", "model", "engine", "diarizer", "word_count", "mean_probability", "created_at")
    list_filter = ("model", "engine", "diarizer")
    list_select_related = ("call",)


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("name", "team", "source", "created_by", "created_at", "closed_at")
    list_filter = ("source", "team")
    exclude = ("manifest",)


@admin.register(BatchRow)
class BatchRowAdmin(ReadOnlyAdmin):
    list_display = ("filename", "batch", "state", "code", "reason", "created_at", "ended_at")
    list_filter = ("state", "code")
    search_fields = ("filename",)
    list_select_related = ("batch",)
