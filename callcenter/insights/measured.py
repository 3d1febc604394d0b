"""Columns of what is measured of a call: the database takes them out of the document itself; the two cannot differ."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, NullIf


def metric(name: str) -> Any:
    """Return a figure of the document's talk metrics; none where it could not be measured."""
    return Cast(KT(f"document__metrics__{name}"), models.FloatField())


def share(part: str, *, of: str) -> Any:
    """Return what part of another figure one is."""
    return metric(part) / NullIf(metric(of), models.Value(0.0))


def column(expression: Any) -> Any:
    """Return a column that the database keeps."""
    return models.GeneratedField(expression=expression, output_field=models.FloatField(null=True), db_persist=True)
