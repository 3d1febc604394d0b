"""What the benchmarks share: where the data is, one measurement per process, medians, the table and the last line."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THREADS = os.environ.get("SPEECH_THREADS") or str(min(2, os.cpu_count() or 1))


def peak_kib() -> int:
    """Return this program's own peak of resident memory; getrusage would count what its parent held when it forked."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def data_dir(given: str = "") -> Path:
    """Return the folder of recordings: the argument, DATA, CALLCENTER_DATA, or `../shared/data`."""
    for place in (given, os.environ.get("DATA"), os.environ.get("CALLCENTER_DATA")):
        if place:
            return Path(place).resolve()
    return ROOT.parent / "shared" / "data"


def runs(usual: int = 3) -> int:
    """Return how often each measurement is repeated (BENCH_RUNS)."""
    return max(1, int(os.environ.get("BENCH_RUNS") or usual))


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    """Return the wall and processor seconds of one call, this process's peak memory in MiB, and its result."""
    began, used = time.perf_counter(), time.process_time()
    result = work()
    seconds = time.perf_counter() - began
    busy = time.process_time() - used
    peak = peak_kib() // 1024
    return {"seconds": round(seconds, 3), "cpu_seconds": round(busy, 3), "peak_mib": peak, "result": result}


def in_own_process(module: str, arguments: Sequence[str], *, timeout: float = 7200) -> dict[str, Any]:
    """Return the JSON object that `python -m module arguments` prints last; {"error": ...} where it fails."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": THREADS,
        "SPEECH_THREADS": THREADS,
        "PYANNOTE_METRICS_ENABLED": "0",
        "HF_HUB_OFFLINE": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {timeout:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return json.loads(lines[-1])


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the median wall and processor seconds and the highest peak memory of several measurements."""
    return {
        "seconds": statistics.median(r["seconds"] for r in rows),
        "cpu_seconds": statistics.median(r["cpu_seconds"] for r in rows),
        "peak_mib": max(r["peak_mib"] for r in rows),
    }


def finish(figures: dict[str, Any], goals: dict[str, Any], met: bool) -> int:
    """Print the last line, for machines; return the exit code, which is 0 whether or not the goals are met."""
    print(json.dumps({"figures": figures, "goals": goals, "met": met}))
    return 0
