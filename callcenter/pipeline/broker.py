"""Looking at the broker without Celery: how long are the lines."""

from __future__ import annotations

from functools import lru_cache

import redis
from django.conf import settings

QUEUES = ("ingest", "speech", "nlu", "learning", "default")


@lru_cache(maxsize=2)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def queue_length(name: str) -> int | None:
    """Return how many messages wait in a queue, or None when the broker cannot be asked."""
    try:
        return int(_client(settings.REDIS_URL).llen(name))  # type: ignore[arg-type]
    except redis.RedisError:
        return None


def ping() -> bool:
    """Return whether the broker answers."""
    try:
        return bool(_client(settings.REDIS_URL).ping())
    except redis.RedisError:
        return False
