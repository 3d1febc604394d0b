"""Addresses of the learning pages."""

from __future__ import annotations

from django.urls import path

from callcenter.learning.views import datasets, models, runs

app_name = "learning"
urlpatterns = [
    path("learning/", runs.overview, name="overview"),
    path("learning/night", runs.night, name="night"),
    path("learning/yours/", runs.yours, name="yours"),
    path("learning/datasets/", datasets.index, name="datasets"),
    path("learning/datasets/new", datasets.build, name="dataset_new"),
    path("learning/datasets/import", datasets.bring_in, name="dataset_import"),
    path("learning/datasets/<uuid:dataset_id>/", datasets.detail, name="dataset"),
    path("learning/datasets/<uuid:dataset_id>/train", datasets.train, name="train"),
    path("learning/datasets/<uuid:dataset_id>/download", datasets.download, name="dataset_download"),
    path("learning/jobs/<uuid:job_id>/", datasets.job, name="job"),
    path("learning/runs/<uuid:run_id>/", runs.run, name="run"),
    path("learning/runs/<uuid:run_id>/cancel", runs.cancel, name="run_cancel"),
    path("learning/runs/<uuid:run_id>/retry", runs.retry, name="run_retry"),
    path("learning/models/", models.index, name="models"),
    path("learning/models/upload", models.upload, name="upload"),
    path("learning/models/<uuid:model_id>/", models.detail, name="model"),
    path("learning/models/<uuid:model_id>/promote", models.promote, name="promote"),
    path("learning/models/<uuid:model_id>/rollback", models.rollback, name="rollback"),
    path("learning/models/<uuid:model_id>/evaluate", models.evaluate, name="evaluate"),
]
