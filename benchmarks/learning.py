"""`python -m benchmarks.learning`: what fine-tuning brings, on real recordings, measured on what would be served.

tiny.en learns `spelled_entities` from its training speakers; others judge, and read speech (`librispeech_other`)
tells what was forgotten. Every figure of a method that can be merged is of the exported int8 model, beam 5, in the
served path. Adapters that cannot be merged are scored in float32, greedily, against the base scored likewise.
The intervals are bootstraps by speaker. Set BENCH_QUICK=1 for the main method alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import common, learning_data
from benchmarks.learning_steps import rows_of

SETS = ["test-new", "test-old"]
GOALS = {"relative_gain": 0.55, "old_domain_loss": 0.01, "seconds": 600.0, "speed_against_trainer": 5.0}
#: Chosen on folds of the training speakers.
MAIN: dict[str, Any] = {
    "method": "frozen_encoder", "epochs": 8, "patience": 0, "learning_rate": 1e-4, "schedule": "cosine",
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "epochs": 3, "patience": 0},
    "lora": {"method": "lora", "epochs": 4, "patience": 0},
    "adalora": {"method": "adalora", "epochs": 4, "patience": 0},
    "ia3": {"method": "ia3", "epochs": 4, "patience": 0},
    "bottleneck": {"method": "bottleneck", "epochs": 4, "patience": 0},
    "prefix": {"method": "prefix", "epochs": 4, "patience": 0},
    "prompt": {"method": "prompt", "epochs": 4, "patience": 0},
}
DISTURBED: dict[str, dict[str, Any]] = {
    "augmented": {"augment": {"noise": 0.7, "telephone": 0.3, "codec": 0.3, "gain": 0.3, "copies": 1}},
    "adversarial": {"adversary": "fgm"},
}
TRAINER_EPOCHS, TRAINER_RATE, BATCH = 3, 3e-5, 8


class Bench:
    """One run: steps in processes of their own, what they found, and what could not be measured."""

    def __init__(self, work: Path, data: Path, base: str) -> None:
        self.work, self.data, self.base = work, data, base
        self.problems: list[str] = []

    def step(self, name: str, /, **told: Any) -> dict[str, Any]:
        print(f"{name} {told.get('name', '')} ...", file=sys.stderr, flush=True)
        document = json.dumps({"work": str(self.work), **told})
        found = common.in_own_process("benchmarks.learning_steps", [name, document])
        if "error" in found:
            self.problems.append(f"{name} {told.get('name', '')}: {found['error']}")
        return found

    def gains(self, name: str, against: str) -> dict[str, Any]:
        from asr_worker.gain import paired_gain

        found = {s: paired_gain(rows_of(self.work, name, s), rows_of(self.work, against, s)) for s in SETS}
        new, old = found["test-new"], found["test-old"]
        return {
            "wer_before": new["wer_before"], "wer_after": new["wer_after"], "relative_gain": new["relative"],
            "low": new["low"], "high": new["high"], "old_before": old["wer_before"], "old_after": old["wer_after"],
        }  # fmt: skip

    def method(self, name: str, config: dict[str, Any]) -> dict[str, Any] | None:
        """Return one row of the table, or None after noting why there is none."""
        made = self.step("fit", name=name, base=self.base, dataset="train", config=config)
        if "error" in made:
            return None
        if made["mergeable"]:
            scored = self.step("score", name=name, model=str(self.work / "served" / name), sets=SETS)
        else:
            adapter = str(self.work / "fits" / name / "adapter")
            if not (self.work / "evaluations" / "base-greedy-test-new.json").is_file():
                self.step("greedy", name="base-greedy", base=self.base, adapter="", sets=SETS)
            scored = self.step("greedy", name=name, base=self.base, adapter=adapter, sets=SETS)
        if "error" in scored:
            return None
        scoring = "int8, beam 5" if made["mergeable"] else "fp32, greedy"
        return {**made, **self.gains(name, "base" if made["mergeable"] else "base-greedy"), "scored": scoring}

    def against_trainer(self) -> dict[str, Any] | None:
        """Return both ways' time per epoch and WER: the same rows, model, batch size and number of epochs."""
        plain = self.step(
            "trainer", base=self.base, dataset="train-without-replay", epochs=TRAINER_EPOCHS, rate=TRAINER_RATE,
            batch=BATCH,
        )  # fmt: skip
        config = {**MAIN, "epochs": TRAINER_EPOCHS, "batch_size": BATCH}
        ours = self.step("fit", name="same-epochs", base=self.base, dataset="train-without-replay", config=config)
        if "error" in plain or "error" in ours:
            return None
        for name in ("trainer", "same-epochs"):
            found = self.step("score", name=name, model=str(self.work / "served" / name), sets=SETS[:1])
            if "error" in found:
                return None
            (plain if name == "trainer" else ours)["wer"] = found["test-new"]
        # Per row, since ours holds speakers out for validation and the other does not.
        rows = sum(1 for _ in (self.work / "train-without-replay" / "manifest.jsonl").open())
        fitted = json.loads((self.work / "fits" / "same-epochs" / "fit.json").read_text())["result"]
        each = ours["seconds_per_epoch"] / max(1, sum(fitted["rows"].values())) * plain["rows"]
        return {
            "epochs": TRAINER_EPOCHS, "rows": rows,
            "trainer_seconds_per_epoch": plain["seconds_per_epoch"], "ours_seconds_per_epoch": round(each, 2),
            "faster": round(plain["seconds_per_epoch"] / each, 2),
            "trainer_seconds": plain["seconds"], "ours_seconds_with_encoding_and_validation": ours["fit_seconds"],
            "trainer_wer": plain["wer"], "ours_wer": ours["wer"],
            "trainer_peak_mib": plain["peak_mib"], "ours_peak_mib": ours["peak_mib"],
        }  # fmt: skip

    def noise(self) -> list[dict[str, Any]]:
        """Return WER against noise of the base, the main model, and one trained against disturbance of each kind."""
        served = {"base": self.base, "main": str(self.work / "served" / "main")}
        for name, more in DISTURBED.items():
            config = {**MAIN, "epochs": 4, **more}
            made = self.step("fit", name=name, base=self.base, dataset="train", config=config)
            if "error" not in made:
                served[name] = str(self.work / "served" / name)
        return self.step("noise", models=served, limit=24).get("rows", [])


def _table(rows: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Fine-tuning, {common.THREADS} threads (WER in %: other speakers; old domain)")
    for name in ("method", "learns", "s/epoch", "epochs", "total s", "new", "gain", "95 %", "old", "scored as"):
        table.add_column(name, justify="left" if name in ("method", "scored as") else "right")
    for name, row in rows.items():
        table.add_row(
            name, f"{row['share']:.2%}", f"{row['seconds_per_epoch']:.1f}", f"{row['epochs']:g}",
            f"{row['total_seconds']:.0f}", f"{100 * row['wer_before']:.1f} -> {100 * row['wer_after']:.1f}",
            f"{row['relative_gain']:.0%}", f"{row['low']:.0%} to {row['high']:.0%}",
            f"{100 * row['old_before']:.1f} -> {100 * row['old_after']:.1f}", row["scored"],
        )  # fmt: skip
    Console(width=130).print(table)


def verdict(figures: dict[str, Any], *, quick: bool) -> tuple[dict[str, Any], bool]:
    """Return (goals with whether each is reached, whether all are); what was not measured is not reached."""
    main, speed = figures["methods"].get("main"), figures.get("against_trainer")
    reached = {"relative_gain": False, "old_domain_loss": False, "seconds": False}
    if main:
        reached["relative_gain"] = main["relative_gain"] >= GOALS["relative_gain"] and main["low"] > 0
        reached["old_domain_loss"] = main["old_after"] - main["old_before"] <= GOALS["old_domain_loss"]
        reached["seconds"] = main["total_seconds"] <= GOALS["seconds"]
    if not quick:
        fast = bool(speed) and speed["faster"] >= GOALS["speed_against_trainer"]
        reached["speed_against_trainer"] = fast and speed["ours_wer"] <= speed["trainer_wer"]
    return {k: {"goal": GOALS[k], "met": bool(v)} for k, v in reached.items()}, all(reached.values())


def measure(bench: Bench, *, quick: bool) -> dict[str, Any]:
    """Return all figures."""
    figures: dict[str, Any] = {"base": bench.base, "threads": common.THREADS, "methods": {}}
    figures["data"] = bench.step("data", folder=str(bench.data), base=bench.base)
    started = bench.step("score", name="base", model=bench.base, sets=SETS)
    if bench.problems:
        return {**figures, "error": started.get("error", "no data")}
    for name, config in {"main": MAIN, **({} if quick else OTHERS)}.items():
        row = bench.method(name, config)
        if row:
            figures["methods"][name] = row
    if not quick:
        figures["against_trainer"] = bench.against_trainer()
        figures["noise"] = bench.noise() if "main" in figures["methods"] else []
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables and the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--data", default="", help="folder of recordings (default: DATA, CALLCENTER_DATA)")
    parser.add_argument("--base", default=os.environ.get("BENCH_MODEL") or "whisper-tiny.en")
    parser.add_argument("--work", type=Path, help="keep models and rows in this folder")
    args = parser.parse_args(argv)
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
    data = common.data_dir(args.data)
    gone = learning_data.missing(data)
    if gone:
        print(f"not measured: {', '.join(gone)} not in the data folder (set DATA)")
        return common.finish({"not_measured": gone}, {k: {"goal": v, "met": False} for k, v in GOALS.items()}, False)
    with tempfile.TemporaryDirectory(prefix="learning-") as folder:
        bench = Bench((args.work or Path(folder)).resolve(), data, args.base)
        bench.work.mkdir(parents=True, exist_ok=True)
        figures = measure(bench, quick=quick)
    _table(figures["methods"])
    if figures.get("against_trainer"):
        print("against Seq2SeqTrainer:", json.dumps(figures["against_trainer"]))
    if figures.get("noise"):
        from benchmarks import learning_noise

        learning_noise.show(figures["noise"])
    for problem in bench.problems:
        print(f"not measured: {problem}")
    goals, met = verdict(figures, quick=quick)
    return common.finish({**figures, "not_measured": bench.problems}, goals, met)


if __name__ == "__main__":
    raise SystemExit(main())
