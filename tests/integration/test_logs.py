"""A log line about an error says what and where, and never what the data was."""

from __future__ import annotations

import io
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog

from callcenter.core.logs import configure, logging_config

SECRET = "four one seven two my card number"  # noqa: S105 - what a caller might say


@pytest.fixture(params=[False, True], ids=["lines", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Log as the product does, into a buffer."""
    stream = io.StringIO()
    document = logging_config(level="INFO", as_json=request.param)
    formatter = document["formatters"]["line"]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter["()"](**{k: v for k, v in formatter.items() if k != "()"}))
    configure()
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def fail() -> None:
    said = SECRET
    try:
        raise KeyError(said)
    except KeyError as error:
        raise ValueError(f"Failing row contains ({said})") from error


def test_an_exception_is_logged_by_class_and_place_without_message_or_locals(written: io.StringIO) -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger("callcenter.test").exception("understand_failed", run="r1")
        logging.getLogger("django.request").error("Internal Server Error: %s", "/calls/", exc_info=True)
    text = written.getvalue()
    assert SECRET not in text
    assert text.count("ValueError") == 2 and "KeyError" in text and "in fail" in text
    assert "understand_failed" in text and "r1" in text


def test_celerys_line_about_a_failed_task_does_not_repeat_the_message(written: io.StringIO) -> None:
    try:
        fail()
    except ValueError as error:
        arguments = {"name": "pipeline.understand", "id": "42", "exc": repr(error), "description": "raised unexpected"}
        logging.getLogger("celery.app.trace").error(
            "Task %(name)s[%(id)s] %(description)s: %(exc)s", arguments, exc_info=True, extra={"data": arguments}
        )
    text = written.getvalue()
    assert SECRET not in text
    assert "Task pipeline.understand[42] raised ValueError" in text
