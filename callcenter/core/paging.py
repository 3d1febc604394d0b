"""Paging by key: the next page starts where this one ended, however many rows came or went meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_noop as N_

from callcenter.core.errors import CallcenterError

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Key:
    """What a list is ordered by: a field (or annotation), its direction, and how to read it from a cursor."""

    field: str
    descending: bool
    parse: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page. `next` and `previous` are cursors, empty where there is nothing more that way."""

    items: list[M]
    next: str
    previous: str


def parse_time(value: Any) -> datetime:
    """Read a time from a cursor. Raises ValueError, also for a time without a zone."""
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def parse_id(value: Any) -> uuid.UUID:
    """Read an id from a cursor. Raises ValueError."""
    return uuid.UUID(str(value))


def paginate(
    rows: QuerySet[M], keys: tuple[Key, ...], *, after: str = "", before: str = "", size: int = 25, strict: bool = False
) -> Page[M]:
    """Return the page after or before a cursor; an unreadable cursor means the first page.

    The last key must be unique, or rows with equal keys could be skipped. With `strict`, for machines, an unreadable
    cursor raises CallcenterError instead.
    """
    backwards = bool(before) and not after
    cursor = before if backwards else after
    place = _decode(cursor, keys)
    if strict and cursor and place is None:
        raise CallcenterError(N_("The cursor is not one of ours."), code="bad_cursor")
    backwards = backwards and place is not None
    ordered = rows.order_by(*[_order(key, backwards) for key in keys])
    if place is not None:
        ordered = ordered.filter(_beyond(keys, place, backwards))
    found = list(ordered[: size + 1])
    more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    has_next = bool(found) and (backwards or more)
    has_previous = bool(found) and (more if backwards else place is not None)
    return Page(
        items=found,
        next=_encode(found[-1], keys) if has_next else "",
        previous=_encode(found[0], keys) if has_previous else "",
    )


def _order(key: Key, backwards: bool) -> str:
    return f"-{key.field}" if key.descending != backwards else key.field


def _beyond(keys: tuple[Key, ...], position: tuple[Any, ...], backwards: bool) -> Q:
    condition = Q(pk__in=[])
    equal = Q()
    for key, value in zip(keys, position, strict=True):
        compare = "lt" if key.descending != backwards else "gt"
        condition |= equal & Q(**{f"{key.field}__{compare}": value})
        equal &= Q(**{key.field: value})
    # Said once more without an OR: an index can start here, however deep in the list the page lies.
    first = keys[0]
    compare = "lte" if first.descending != backwards else "gte"
    return condition & Q(**{f"{first.field}__{compare}": position[0]})


def _value(row: Any, field: str) -> Any:
    for part in field.split("__"):
        row = getattr(row, part)
    return row


def _encode(row: Any, keys: tuple[Key, ...]) -> str:
    values = [_value(row, key.field) for key in keys]
    plain = [v.isoformat() if isinstance(v, datetime) else str(v) if isinstance(v, uuid.UUID) else v for v in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def position(cursor: str, keys: tuple[Key, ...]) -> tuple[Any, ...] | None:
    """Return the values of the row that a cursor names; None for an empty or unreadable one."""
    return _decode(cursor, keys)


def _decode(cursor: str, keys: tuple[Key, ...]) -> tuple[Any, ...] | None:
    if not cursor:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(keys):
            return None
        return tuple(key.parse(value) for key, value in zip(keys, values, strict=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
