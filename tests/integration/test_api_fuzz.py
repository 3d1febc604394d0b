"""Whatever is sent to the API: it answers with a status and a body that its own OpenAPI document announces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from callcenter.wsgi import application

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))


@pytest.fixture
def headers(cast: Any, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A supervisor's token, a store of its own, a queue that takes everything."""
    from callcenter.accounts.models import ApiToken
    from callcenter.celery import app

    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    monkeypatch.setattr(app, "send_task", lambda *args, **kwargs: None)
    monkeypatch.setattr("callcenter.insights.services.load_into_warehouse", lambda call: None)
    return {"Authorization": f"Bearer {ApiToken.issue(user=cast.supervisor, name='fuzz')[1]}"}


# Read at collection, from the application itself: no database is needed for it.
schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)


@pytest.fixture(autouse=True)
def kept_connection() -> Iterator[None]:
    """As in Django's own test client, a request does not close the connection that holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_an_announced_one(case: schemathesis.Case, headers: dict[str, str]) -> None:
    response = case.call(headers=headers)
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as group:
        pytest.fail(f"{case.method} {case.path}: {response.status_code}; {group.exceptions}")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/calls?cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwgIngiXQ",  # a time and what is no id
        "/api/v1/calls?cursor=WzEsMl0",
        "/api/v1/calls?q=%00",
        "/api/v1/calls?q=%22%20or%20-&start=0001-01-01T00:00:00Z",
        "/api/v1/calls?external_id=%00",
        "/api/v1/alerts?category=%00",
        "/api/v1/recordings/99999999999999999999999999",
        "/api/v1/runs?state=%00",
    ],
)
def test_what_no_client_should_send_is_answered_and_not_an_error(
    client: Any, headers: dict[str, str], path: str
) -> None:
    response = client.get(path, headers=headers)
    assert response.status_code in {200, 404, 422}, response.content[:300]


@pytest.mark.parametrize("name", ["a\x00b.wav", "x" * 400 + ".wav", "../../etc/passwd", "söund\u2028.wav"])
def test_a_strange_file_name_is_kept_as_far_as_it_can_be(client: Any, headers: dict[str, str], name: str) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    data = {"file": SimpleUploadedFile(name, b"RIFF"), "customer_ref": "a\x00b", "team": "Team A"}
    response = client.post("/api/v1/recordings", data, headers=headers)
    assert response.status_code in {202, 422}, response.content[:300]
