"""Waiting for a batch at a command line: rows, then runs, with progress for whoever looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from callcenter.calls.models import Batch, BatchRow
from callcenter.pipeline.models import Run


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch is. `fraction` is over all its work, 0 to 1."""

    rows: int
    ended: int
    refused: int
    duplicates: int
    runs: int
    runs_done: int
    runs_failed: int
    fraction: float

    @property
    def over(self) -> bool:
        return self.rows == self.ended and self.runs == self.runs_done + self.runs_failed


def standing(batch: Batch) -> Standing:
    """Return how far the batch is, from the rows alone."""
    states = list(batch.rows.values_list("state", "call_id"))
    calls = {call for _, call in states if call}
    latest: dict[object, Run] = {}
    for run in Run.objects.filter(call__in=calls).order_by("created_at"):
        latest[run.call_id] = run
    ended = sum(state in BatchRow.ENDED for state, _ in states)
    progress = sum(1.0 if run.ended else run.progress for run in latest.values())
    total = len(states) + 4 * max(len(latest), len(states) - ended)
    return Standing(
        rows=len(states),
        ended=ended,
        refused=sum(state == BatchRow.State.REFUSED for state, _ in states),
        duplicates=sum(state == BatchRow.State.DUPLICATE for state, _ in states),
        runs=len(latest),
        runs_done=sum(run.state == Run.State.DONE for run in latest.values()),
        runs_failed=sum(run.state == Run.State.FAILED for run in latest.values()),
        fraction=(ended + 4 * progress) / total if total else 1.0,
    )


def wait(batch: Batch, *, timeout: float, report: Callable[[Standing], None] | None = None) -> Standing:
    """Return when every row and run of the batch has ended. Raises TimeoutError after `timeout` seconds."""
    until = time.monotonic() + timeout
    while True:
        now = standing(batch)
        if report:
            report(now)
        if now.over:
            return now
        if time.monotonic() > until:
            raise TimeoutError(
                f"{now.rows - now.ended} rows and {now.runs - now.runs_done - now.runs_failed} runs remain"
            )
        time.sleep(0.3)
