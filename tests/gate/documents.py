"""Evaluations made by hand: what a model got wrong, call by call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COUNTS = ("words", "errors", "substitutions", "deletions", "insertions", "numbers_said", "numbers_heard")


def row(number: int, *, words: int = 20, errors: int = 4, **more: Any) -> dict[str, Any]:
    """One row of call `number // 4`, spoken by one of two speakers of one of two teams."""
    made = {
        "id": f"r{number:04}",
        "call": f"c{number // 4}",
        "speaker": f"s{number % 2}",
        "team": f"t{number % 2}",
        "queue": "",
        "party": "customer",
        "words": words,
        "errors": errors,
        "substitutions": errors,
        "deletions": 0,
        "insertions": 0,
        "longest_deletion": 0,
        "empty": False,
        "repetition": False,
        "numbers_said": 1,
        "numbers_heard": 1,
        "vocabulary_said": 1,
        "vocabulary_heard": 1,
        "hypothesis": "",
    }
    return made | more


def document(rows: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """An evaluation that holds these rows."""
    made = {
        "schema": 1,
        "name": "golden",
        "model": "m",
        "spec": {"device": "cpu"},
        "normaliser": "en-1",
        "data": "d",
        "real_time_factor": 0.1,
        "processor_factor": 0.2,
        "rows": list(rows),
    }
    return made | more


def evaluation(errors: Sequence[int], **more: Any) -> dict[str, Any]:
    """An evaluation with these errors, row by row."""
    return document([row(i, errors=e, **more) for i, e in enumerate(errors)])
