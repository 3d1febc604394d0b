"""`python -m benchmarks.learning`: what fine-tuning brings, on real recordings, measured on what would be served.

tiny.en learns `spelled_entities` from its training speakers; others judge, and read speech (`librispeech_other`)
tells what was forgotten. Every figure of a method that can be merged is of the exported int8 model, beam 5, in the
served path. Adapters that cannot be merged are scored in float32, greedily, against the base scored likewise.
The intervals are bootstraps by speaker. The goal is decided on Whisper's basic normaliser, which keeps apart how
letters and numbers are written; the product's own (en-1), which evens them out, stands beside it. The main method's
clock covers labelling the replayed speech, the fit with encoding, and the export. BENCH_QUICK=1: the main method alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import common, learning_data
from benchmarks.learning_steps import NORMALISERS, rows_of

SETS = ["test-new", "test-old"]
DECIDES = "basic"
GOALS = {"relative_gain": 0.55, "old_domain_loss": 0.01, "seconds": 600.0, "speed_against_trainer": 5.0}
#: Nobody held out, two changed copies of each new clip, many old ones thrice. Chosen on a third of the training
#: speakers, held out. The share of the base took the gain from 59 % (none) to 63 % (0.3) and 64 % (0.45), then 54 %
#: (0.6), while words heard otherwise than before in held-out read speech fell from 7.1 % to 5.4, 4.4 and 3.9 %. On a
#: harder third, a second copy took it from 42 % to 55 % (words heard otherwise: 2.0 to 2.3 %); ten epochs: 40 %. There,
#: distillation gave 57 % at 2.2 % with a share of 0.3 and 47 % at 1.9 % with 0.4; 0.35 was taken between the two.
MAIN: dict[str, Any] = {
    "method": "frozen_encoder", "epochs": 7, "patience": 0, "learning_rate": 1.5e-4, "schedule": "cosine",
    "hold_out": 0.0, "replay_visits": 3, "average_with_base": 0.35, "distillation": 1.0,
    "augment": {
        "speed": 0.8, "speed_range": [0.9, 1.1], "noise": 0.3, "noise_snr_db": [10.0, 25.0], "gain": 0.3, "copies": 2,
        "old_domain": False,
    },
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
#: As the Seq2SeqTrainer beside it: every row in every epoch, nobody held out, no averaging. Its own number of epochs,
#: the usual one: a decoder alone learns less in one, and what is compared is the time of one at no worse words.
SAME: dict[str, Any] = {"method": "frozen_encoder", "patience": 0, "learning_rate": 1e-4, "hold_out": 0.0}
TRAINER_EPOCHS, TRAINER_RATE, OUR_EPOCHS, BATCH = 3, 3e-5, 6, 8
NOISE_ROWS = 48


class Bench:
    """One run: steps in processes of their own, what they found, and what could not be measured.

    What a step found stays in the work folder. Asked for the same on the same data with the same code, it is taken from
    there (and said to be), so that a run that was cut off goes on where it stopped.
    """

    def __init__(self, work: Path, data: Path, base: str) -> None:
        self.work, self.data, self.base = work, data, base
        self.problems: list[str] = []
        self.reused: list[str] = []
        self.keys: dict[str, str] = {}
        self.encoded = 0
        parts = [*sorted((common.ROOT / "asr_worker" / "training").glob("*.py"))]
        parts += [common.ROOT / "benchmarks" / f"learning_{part}.py" for part in ("data", "noise", "steps")]
        parts += [data / name / "manifest.jsonl" for name in learning_data.NEEDED]
        self.ground = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()

    def step(self, step: str, /, *, after: Sequence[str] = (), **told: Any) -> dict[str, Any]:
        """Return what a step found; `after` names the steps whose results it works on."""
        name = f"{step} {told.get('name', '')}".strip()
        decides = [self.ground, self.base, step, told, [self.keys.get(other, "") for other in after]]
        key = self.keys[name] = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
        kept = self.work / "steps" / f"{name.replace(' ', '-')}.json"
        before = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        if before.get("key") == key:
            print(f"{name}: as measured before", file=sys.stderr, flush=True)
            self.reused.append(name)
            return before["found"]
        print(f"{name} ...", file=sys.stderr, flush=True)
        kept.unlink(missing_ok=True)
        found = common.in_own_process("benchmarks.learning_steps", [step, json.dumps({"work": str(self.work), **told})])
        if "error" in found:
            self.problems.append(f"{name}: {found['error']}")
        else:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"key": key, "found": found}), encoding="utf-8")
        return found

    def gains(self, name: str, against: str) -> dict[str, Any]:
        """Return per normaliser what a model gains on the new domain and loses on the old one."""
        from asr_worker.gain import paired_gain

        out: dict[str, Any] = {}
        for normaliser in NORMALISERS:
            new, old = (
                paired_gain(rows_of(self.work, name, s, normaliser), rows_of(self.work, against, s, normaliser))
                for s in SETS
            )
            out[normaliser] = {
                "wer_before": new["wer_before"], "wer_after": new["wer_after"], "relative_gain": new["relative"],
                "low": new["low"], "high": new["high"], "words": new["words"],
                "old_before": old["wer_before"], "old_after": old["wer_after"], "old_words": old["words"],
                "old_loss": -old["absolute"], "old_loss_low": -old["absolute_high"],
                "old_loss_high": -old["absolute_low"],
            }  # fmt: skip
        return out

    def method(self, name: str, config: dict[str, Any]) -> dict[str, Any] | None:
        """Return one row of the table, or None after noting why there is none."""
        alone = {"only": self.encoded} if name == "main" else {}
        made = self.step(
            "fit", after=["data"], name=name, base=self.base, dataset="train", config=config, shared=True, **alone
        )
        if "error" in made:
            return None
        if made["mergeable"]:
            served = str(self.work / "served" / name)
            scored = self.step("score", after=[f"fit {name}"], name=name, model=served, sets=SETS)
        else:
            adapter = str(self.work / "fits" / name / "adapter")
            started = self.step("greedy", after=["data"], name="base-greedy", base=self.base, adapter="", sets=SETS)
            scored = started if "error" in started else self.step(
                "greedy", after=[f"fit {name}"], name=name, base=self.base, adapter=adapter, sets=SETS
            )  # fmt: skip
        if "error" in scored:
            return None
        scoring = "int8, beam 5" if made["mergeable"] else "fp32, greedy"
        return {**made, **self.gains(name, "base" if made["mergeable"] else "base-greedy"), "scored": scoring}

    def against_trainer(self) -> dict[str, Any] | None:
        """Return both ways' time per epoch and in all, and WER: the same rows, model and batch size."""
        plain = self.step(
            "trainer", after=["data"], base=self.base, dataset="train-without-replay", epochs=TRAINER_EPOCHS,
            rate=TRAINER_RATE, batch=BATCH,
        )  # fmt: skip
        config = {**SAME, "epochs": OUR_EPOCHS, "batch_size": BATCH}
        ours = self.step(
            "fit", after=["data"], name="same-rows", base=self.base, dataset="train-without-replay", config=config
        )
        if "error" in plain or "error" in ours:
            return None
        for name, after in (("trainer", "trainer"), ("same-rows", "fit same-rows")):
            served = str(self.work / "served" / name)
            found = self.step("score", after=[after], name=name, model=served, sets=SETS)
            if "error" in found:
                return None
        wer = {name: self.gains(name, "base") for name in ("trainer", "same-rows")}
        apart = self.gains("same-rows", "trainer")
        return {
            "trainer_epochs": TRAINER_EPOCHS, "ours_epochs": OUR_EPOCHS, "rows": ours["rows"],
            "trainer_rows": plain["rows"],
            "trainer_seconds_per_epoch": plain["seconds_per_epoch"],
            "ours_seconds_per_epoch": ours["seconds_per_epoch"],
            "faster": round(plain["seconds_per_epoch"] / ours["seconds_per_epoch"], 2),
            "trainer_seconds": plain["seconds"], "ours_seconds_with_encoding_and_scoring": ours["fit_seconds"],
            "faster_in_all": round(plain["seconds"] / ours["fit_seconds"], 2),
            "trainer_peak_mib": plain["peak_mib"], "ours_peak_mib": ours["peak_mib"],
            **{f"{key}_{n}": wer[name][n] for n in NORMALISERS for key, name in
               (("trainer", "trainer"), ("ours", "same-rows"))},
            **{f"fewer_errors_than_trainer_{n}": [apart[n][key] for key in ("relative_gain", "low", "high")]
               for n in NORMALISERS},
        }  # fmt: skip

    def noise(self) -> list[dict[str, Any]]:
        """Return WER against noise of the base, the main model, and one trained against disturbance of each kind."""
        served, after = {"base": self.base, "main": str(self.work / "served" / "main")}, ["data", "fit main"]
        for name, more in DISTURBED.items():
            config = {**MAIN, **more}
            made = self.step(
                "fit", after=["data"], name=name, base=self.base, dataset="train", config=config, shared=True
            )
            if "error" not in made:
                served[name] = str(self.work / "served" / name)
                after.append(f"fit {name}")
        return self.step("noise", after=after, models=served, limit=NOISE_ROWS).get("rows", [])


def _table(rows: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    for normaliser in NORMALISERS:
        told = f"{common.THREADS} threads; WER in %, normaliser {normaliser}: other speakers, old domain"
        table = Table(title=f"Fine-tuning, {told}")
        for name in ("method", "learns", "s/epoch", "epochs", "total s", "new", "gain", "95 %", "old", "scored as"):
            table.add_column(name, justify="left" if name in ("method", "scored as") else "right")
        for name, row in rows.items():
            found = row[normaliser]
            table.add_row(
                name, f"{row['share']:.2%}", f"{row['seconds_per_epoch']:.1f}", f"{row['epochs']:g}",
                f"{row['total_seconds']:.0f}{'' if name == 'main' else '*'}",
                f"{100 * found['wer_before']:.1f} -> {100 * found['wer_after']:.1f}",
                f"{found['relative_gain']:.0%}", f"{found['low']:.0%} to {found['high']:.0%}",
                f"{100 * found['old_before']:.1f} -> {100 * found['old_after']:.1f}", row["scored"],
            )  # fmt: skip
        Console(width=130).print(table)
    print("* without encoding: the clips had been computed for the main method, whose time holds it")


def verdict(figures: dict[str, Any], *, quick: bool) -> tuple[dict[str, Any], bool]:
    """Return (goals with whether each is reached, whether all are); what was not measured is not reached."""
    main, speed = figures["methods"].get("main"), figures.get("against_trainer")
    reached = {"relative_gain": False, "old_domain_loss": False, "seconds": False}
    if main:
        found = main[DECIDES]
        reached["relative_gain"] = found["relative_gain"] >= GOALS["relative_gain"] and found["low"] > 0
        reached["old_domain_loss"] = found["old_loss"] <= GOALS["old_domain_loss"]
        reached["seconds"] = figures["main_seconds"] <= GOALS["seconds"]
    if not quick:
        fast = bool(speed) and speed["faster"] >= GOALS["speed_against_trainer"]
        reached["speed_against_trainer"] = (
            fast and speed[f"ours_{DECIDES}"]["wer_after"] <= speed[f"trainer_{DECIDES}"]["wer_after"]
        )
    return {k: {"goal": GOALS[k], "met": bool(v)} for k, v in reached.items()}, all(reached.values())


def measure(bench: Bench, *, quick: bool) -> dict[str, Any]:
    """Return all figures."""
    figures: dict[str, Any] = {"base": bench.base, "threads": common.THREADS, "methods": {}}
    figures["decided_by"] = {"normaliser": DECIDES, "other": [n for n in NORMALISERS if n != DECIDES]}
    figures["data"] = bench.step("data", folder=str(bench.data), base=bench.base)
    bench.encoded = figures["data"].get("encoded", 0)
    started = bench.step("score", after=["data"], name="base", model=bench.base, sets=SETS)
    if bench.problems:
        return {**figures, "error": started.get("error", "no data")}
    for name, config in {"main": MAIN, **({} if quick else OTHERS)}.items():
        row = bench.method(name, config)
        if row:
            figures["methods"][name] = row
        if row and name == "main":
            figures["main_seconds"] = round(figures["data"]["label_seconds"] + row["total_seconds"], 1)
            used = figures["data"]["label_processor_seconds"] + row["processor_seconds"]
            figures["main_processor_seconds"] = round(used, 1)
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
    if "main_seconds" in figures:
        label = figures["data"]["label_seconds"]
        print(
            f"main, from labelling the replayed speech ({label} s) to the exported int8: {figures['main_seconds']} s, "
            f"{figures['main_processor_seconds']} s of processor time (load at its start "
            f"{figures['methods']['main']['load_at_start']})"
        )
    if figures.get("against_trainer"):
        print("against Seq2SeqTrainer:", json.dumps(figures["against_trainer"]))
    if figures.get("noise"):
        from benchmarks import learning_noise

        learning_noise.show(figures["noise"])
    for problem in bench.problems:
        print(f"not measured: {problem}")
    goals, met = verdict(figures, quick=quick)
    return common.finish({**figures, "reused": bench.reused, "not_measured": bench.problems}, goals, met)


if __name__ == "__main__":
    raise SystemExit(main())
