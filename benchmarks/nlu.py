"""Every figure of understanding in one run: intent, sentiment, risk, redaction, and how fast it all is.

    python -m benchmarks.nlu [--models-dir var/models] [--part NAME ...]      (BENCH_QUICK=1: a subset of everything)

Each part is a benchmark of its own with its protocol at the top of its module, runs in a process of its own, so that
none is slowed by what another left in memory, and prints its tables as it goes. A part that cannot run is said to be
"not measured", with the reason, and then the goals are not met. BENCH_QUICK=1 is for seeing that all of it works: its
figures are on subsets and never meet the goals.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, THREADS, finish

TIMEOUT_S = 4 * 3600


def quick() -> bool:
    return os.environ.get("BENCH_QUICK", "0") not in {"", "0"}


def parts(models_dir: str) -> dict[str, tuple[str, list[str]]]:
    """Return part -> module and arguments, in the order of running: the quick ones first."""
    models = ["--models-dir", models_dir]
    few = quick()
    return {
        "speed": ("benchmarks.nlu_speed", [*models, *(["--runs", "2", "--calls", "100"] if few else [])]),
        "rerule": ("benchmarks.rerule", ["--calls", "200", "--semantic", "0"] if few else ["--calls", "10000"]),
        "redaction": ("benchmarks.redaction", ["--cards", "100"] if few else []),
        "quality": ("benchmarks.nlu_quality", [*models, "--part", "dev" if few else "test"]),
        "intent_few_shot": ("benchmarks.nlu_intent", [*models, "--part", "few"]),
        "intent_banking77": ("benchmarks.nlu_intent", [*models, "--part", "banking"]),
        "intent_clinc150": ("benchmarks.nlu_intent", [*models, "--part", "clinc"]),
    }


def run(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run one part, pass on what it prints but its last line, and return that; {"error": ...} where it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if last:
                print(last, flush=True)
            last = line.rstrip("\n")
        complaint = process.stderr.read().strip().splitlines()
        code = process.wait(timeout=TIMEOUT_S)
    try:
        result = json.loads(last)
    except json.JSONDecodeError:
        result = None
    if isinstance(result, dict) and "figures" in result:
        return result
    if last:
        print(last, flush=True)
    return {"error": (complaint or [f"ended with {code} and no figures"])[-1]}


def outcome(results: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return figures and goals by part, and whether every part was measured and met its goals."""
    figures = {name: r.get("figures") or {"not measured": r.get("error", "no figures")} for name, r in results.items()}
    goals = {name: r.get("goals", {}) for name, r in results.items()}
    met = {name: not r.get("error") and _met(name, r) for name, r in results.items()}
    figures["met_by_part"] = met
    return figures, goals, all(met.values()) and not quick()


def _met(name: str, result: dict[str, Any]) -> bool:
    """Return whether a part met its goals; one part of the intents is not blamed for what the others measure."""
    if name.startswith("intent"):
        missed = result["figures"].get("below", ["nothing measured"])
        return not [m for m in missed if not m.endswith("not measured")] and len(result["figures"]) > 2
    return bool(result.get("met"))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nlu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models-dir", type=Path, default=ROOT / "var" / "models")
    every = list(parts(""))
    parser.add_argument("--part", choices=every, action="append", help="only these; again for another")
    args = parser.parse_args(argv)
    results: dict[str, dict[str, Any]] = {}
    for name, (module, arguments) in parts(str(args.models_dir)).items():
        if args.part and name not in args.part:
            continue
        print(f"\n== {name} ({module})", flush=True)
        results[name] = run(module, arguments)
        if "error" in results[name]:
            print(f"not measured: {results[name]['error']}", flush=True)
    figures, goals, met = outcome(results)
    print("\ngoals met: " + ", ".join(f"{name} {'yes' if ok else 'NO'}" for name, ok in figures["met_by_part"].items()))
    return finish(figures, goals, met and set(results) == set(every))


if __name__ == "__main__":
    sys.exit(main())
