"""How learning's figures look on its pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

from callcenter.core.templatetags.cc import NOTHING, duration

register = template.Library()
_COLOURS = {
    "done": "green", "promoted": "green", "served": "green", "kept": "azure", "candidate": "azure", "working": "azure",
    "refused": "orange", "failed": "red", "skipped": "secondary", "queued": "secondary", "retired": "secondary",
}  # fmt: skip


@register.filter
def state_colour(key: str) -> str:
    """Return the colour of a state of a run, a night, a job or a model."""
    return _COLOURS.get(key, "secondary")


@register.filter
def figure(value: Any) -> str:
    """Write a figure of a check: whole numbers whole, others with up to two decimals."""
    if not isinstance(value, int | float):
        return NOTHING
    if float(value).is_integer():
        return f"{value:.0f}"
    text = f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.4f}"
    return text.replace("-", "\N{MINUS SIGN}")


@register.filter
def lasting(value: Any) -> str:
    """Write seconds as a length."""
    return duration(float(value) * 1000) if isinstance(value, int | float) else NOTHING


@register.filter
def moment(text: str) -> str:
    """Write an ISO time as the time of day here."""
    try:
        return f"{timezone.localtime(datetime.fromisoformat(text)):%H:%M:%S}"
    except (ValueError, TypeError):
        return NOTHING


@register.filter
def short(sha256: str) -> str:
    """Return the beginning of a hash."""
    return str(sha256)[:12]
