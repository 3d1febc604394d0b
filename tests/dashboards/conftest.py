"""The same surroundings as the tests of pages."""

from __future__ import annotations

from tests.web.conftest import fresh_cache, own_store, sent  # noqa: F401
