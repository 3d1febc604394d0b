"""Paging of the API: newest first by key, and a cursor that is not ours is refused."""

from __future__ import annotations

from typing import Any

from django.db import models

from callcenter.core.paging import Key, paginate, parse_id, parse_time


def page(queryset: models.QuerySet[Any], *, field: str, cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
    """Return up to `limit` rows by the time in `field` and the UUID, newest first, and the next cursor.

    Raises CallcenterError for a broken cursor.
    """
    keys = (Key(field, True, parse_time), Key("pk", True, parse_id))
    found = paginate(queryset, keys, after=cursor or "", size=limit, strict=True)
    return found.items, found.next or None
