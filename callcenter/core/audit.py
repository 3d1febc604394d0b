"""Writing the audit log."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest

from callcenter.core.models import AuditEvent


def record(
    action: str, obj: models.Model, *, user: Any = None, request: HttpRequest | None = None, **detail: Any
) -> AuditEvent:
    """Add one event in the current transaction, so that a change and its record stand or fall together."""
    if user is None and request is not None and request.user.is_authenticated:
        user = request.user
    return AuditEvent.objects.create(
        user=user if user is not None and user.pk else None,
        action=action,
        object_type=obj._meta.label_lower,
        object_id=str(obj.pk),
        ip=request.META.get("REMOTE_ADDR") if request is not None else None,
        detail=detail,
    )
