"""A look at the rows of the learning loop."""

from __future__ import annotations

from django.contrib import admin

from callcenter.core.admin import ReadOnlyAdmin
from callcenter.learning.models import Dataset, Evaluation, Model, NightlyRun, Promotion, SplitAssignment, TrainingRun


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ("name", "rows", "audio_seconds", "created_by", "created_at")
    exclude = ("corrections", "calls")


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "dataset", "method", "state", "created_at", "finished_at")
    list_filter = ("state", "method")


@admin.register(Model)
class ModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "engine", "compute_type", "status", "created_at")
    list_filter = ("status", "engine")


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ("model", "data_name", "normaliser", "created_at")


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    list_display = ("model", "previous", "rollback", "created_by", "created_at")


@admin.register(NightlyRun)
class NightlyRunAdmin(ReadOnlyAdmin):
    list_display = ("night", "number", "state", "reason", "created_at", "finished_at")
    list_filter = ("state",)


@admin.register(SplitAssignment)
class SplitAssignmentAdmin(ReadOnlyAdmin):
    list_display = ("key", "side", "created_at")
    list_filter = ("side",)
