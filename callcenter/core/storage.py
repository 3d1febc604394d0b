"""The one store of audio and artefacts, as configured by STORAGE_URL."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from asr_worker.storage import Store, open_store


@lru_cache(maxsize=4)
def _open(url: str) -> Store:
    return open_store(url)


def store() -> Store:
    """Return the configured store; the same object for the same URL."""
    return _open(settings.STORAGE_URL)


def audio_key(sha256: str) -> str:
    """Return the key of an original recording; its name is its content."""
    return f"recordings/{sha256[:2]}/{sha256}"
