"""Structured logs. They carry ids, counts and error classes; never transcript text, names or audio."""

from __future__ import annotations

import re
import sys
import traceback
from pathlib import Path
from typing import Any

import structlog

#: Thirteen to nineteen digits by themselves, perhaps in groups: ids and digests have letters beside them.
_LONG_NUMBER = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure() -> None:
    """Route structlog through the standard logging tree, so one handler decides the format."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def without_values(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Turn an exception into its class and the places it passed; its message and the local variables stay out.

    Both may hold what was said: a database error quotes the row that it refused. Celery puts the message into its
    own line as well, so that line is written anew.
    """
    found = event.pop("exc_info", None)
    if isinstance(found, BaseException):
        error: BaseException | None = found
    else:
        error = (found if isinstance(found, tuple) else sys.exc_info())[1] if found else None
    task = getattr(event.get("_record"), "data", None)
    if error is not None and isinstance(task, dict) and {"name", "id"} <= set(task):
        event["event"] = f"Task {task['name']}[{task['id']}] raised {type(error).__name__}"
    if error is not None:
        event["exception"] = "\n".join(_places(error))
    return event


def without_cards(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Replace what may be a card number in any text of an event, whoever put it there."""
    for name, value in event.items():
        if isinstance(value, str) and name not in ("timestamp", "exception") and _LONG_NUMBER.search(value):
            from analytics.redaction import CARDS_ONLY, scrub

            event[name] = scrub(value, CARDS_ONLY)
    return event


def _places(error: BaseException) -> list[str]:
    lines: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for frame in traceback.extract_tb(error.__traceback__)[-20:]:
            lines.append(f"  {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} in {frame.name}")
        lines.append(f"{type(error).__module__}.{type(error).__qualname__}")
        following = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if following is None:
            break
        error = following
        lines.append("because of")
    return lines


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    """Return the dictConfig for Django and Celery: one line per event on standard error."""
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    without_values,
                    without_cards,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {"django.request": {"level": "ERROR"}, "alembic": {"level": "WARNING"}},
    }
