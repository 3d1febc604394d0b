"""Reads behind the privacy pages."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When

from callcenter.accounts.models import Role, User
from callcenter.privacy.models import Mask, Reveal
from callcenter.privacy.services.masking import may_decide

SHOWN = 200


def failed_count(user: User) -> int:
    """Return how many recordings wait for this user's decision; 0 for who decides nothing."""
    return Mask.objects.filter(state=Mask.State.FAILED).count() if may_decide(user) else 0


def masks(show: str, user: User) -> QuerySet[Mask]:
    """Return masks: failed ones (`failed`), the user's own (`mine`), those being worked on (`working`), or `all`."""
    rank = Case(When(state=Mask.State.FAILED, then=Value(0)), default=Value(1), output_field=IntegerField())
    found = Mask.objects.annotate(rank=rank).select_related("recording", "owner", "resolved_by")
    if show == "failed":
        found = found.filter(state=Mask.State.FAILED)
    elif show == "mine":
        found = found.filter(owner=user)
    elif show == "working":
        found = found.filter(state__in=Mask.WORKING)
    return found.prefetch_related("recording__calls__team").order_by("rank", "-updated_at")


def counts(user: User) -> dict[str, int]:
    """Return how many masks each tab of the page has."""
    every = Mask.objects.all()
    return {
        "failed": every.filter(state=Mask.State.FAILED).count(),
        "mine": every.filter(owner=user).count(),
        "working": every.filter(state__in=Mask.WORKING).count(),
        "all": every.count(),
    }


def deciders() -> QuerySet[User]:
    """Return who may own a failed mask."""
    return User.objects.filter(is_active=True, role__in=[Role.COMPLIANCE, Role.ADMIN]).order_by("username")


def reveals() -> QuerySet[Reveal]:
    """Return who looked behind what lately, newest first."""
    return Reveal.objects.select_related("user", "call__team").order_by("-created_at")


def stretches(mask: Mask) -> list[dict[str, Any]]:
    """Return a mask's spans in the order of time; those without times come first, at the place where they were said."""
    return sorted(mask.spans, key=lambda s: (s["start_ms"] is not None, s["start_ms"] or s.get("near_ms") or 0))
