"""Health, for load balancers: no sign-in, no detail."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest
from ninja import Router, Status

from callcenter.api.schemas import Health
from callcenter.pipeline import broker

router = Router(tags=["health"])


@router.get("", response={200: Health, 503: Health}, auth=None)
def health(request: HttpRequest) -> Status[Health]:
    """Return whether the database and the broker answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = True
    except DatabaseError:
        database = False
    queue = broker.ping()
    good = database and queue
    answer = Health(status="ok" if good else "degraded", database=database, broker=queue)
    return Status(200 if good else 503, answer)
