"""Small tools for tests that start, kill and wait for processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psutil


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    """The condition holds; fails with its name when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so after {timeout_s} s: {what}"
        time.sleep(0.02)  # between two looks at the condition


def gone(pid: int) -> bool:
    """Whether the process has ended (one that only waits to be reaped has)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def all_gone(pids: Iterable[int]) -> Callable[[], bool]:
    """A condition: none of these processes lives."""
    wanted = list(pids)
    return lambda: all(gone(pid) for pid in wanted)
