"""Our mono diarizer against pyannote's default pipeline: same audio, same weights, same machine, in turns.

    python -m benchmarks.diarization [--data FOLDER] [--runs N] [--meetings]

Each run is a process of its own, so that peak memory is its own; engines take turns, so that a busy machine is busy
for both. Loading is not timed. The last line is one JSON object {"figures", "goals", "met"}. A timing is never a test.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")

OURS, THEIRS = "pyannote", "pyannote-pipeline"
CASES = (
    ("call", "contact_centre_calls/auto_repairs_40_mono.flac", "contact_centre_calls/auto_repairs_40_mono.rttm"),
    ("sample", "diarization/sample.flac", "diarization/sample.rttm"),
)
SPEED_GOAL = 4.0
CALL_DER_GOAL = 0.06  # 0.25 s collar
SAMPLE_DER_GOAL = 0.08  # no collar


def read_rttm(path: Path, uri: str | None = None) -> list[tuple[str, float, float]]:
    """Return (speaker, start_s, end_s) of the file, or of one recording in it."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if parts and parts[0] == "SPEAKER" and uri in (None, parts[1]):
            out.append((parts[7], float(parts[3]), float(parts[3]) + float(parts[4])))
    return out


def errors(reference: list, found: list, seconds: float, *, collar: float) -> dict[str, float]:
    """Return DER and its parts in seconds; `collar` is what is left out on each side of a reference boundary."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    def annotation(rows: list) -> Annotation:
        out = Annotation()
        for index, (speaker, start, end) in enumerate(rows):
            out[Segment(start, end), index] = speaker
        return out

    metric = DiarizationErrorRate(collar=2 * collar)  # pyannote.metrics spreads its collar over both sides
    parts = metric(annotation(reference), annotation(found), detailed=True, uem=Timeline([Segment(0, seconds)]))
    wrong = parts["confusion"] + parts["missed detection"] + parts["false alarm"]
    return {
        "der": wrong / parts["total"] if parts["total"] else 0.0,
        "wrong_s": wrong,
        "total_s": parts["total"],
        "confusion_s": parts["confusion"],
        "missed_s": parts["missed detection"],
        "false_alarm_s": parts["false alarm"],
    }


def work(engine: str, files: list[Path], counts: list[int]) -> list[dict[str, Any]]:
    """Diarize the files in this process, once each after a warm-up, and say what it took."""
    from asr_worker import audio
    from asr_worker.engines import registry
    from asr_worker.engines.pyannote import PyannoteDiarizer, PyannotePipelineDiarizer
    from asr_worker.types import PipelineSpec

    registry.forget()
    diarizer = {OURS: PyannoteDiarizer, THEIRS: PyannotePipelineDiarizer}[engine](PipelineSpec())
    rows = []
    for index, (file, count) in enumerate(zip(files, counts, strict=True)):
        samples = audio.decode(file)[0].copy()
        if index == 0:
            diarizer.diarize(samples[: 12 * 16_000], num_speakers=1)
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.perf_counter()
        segments = diarizer.diarize(samples, num_speakers=count)
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        rows.append(
            {
                "wall_s": wall,
                "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                "peak_mib": after.ru_maxrss / 1024,
                "audio_s": len(samples) / 16_000,
                "found": [(s.speaker, s.start_ms / 1000, s.end_ms / 1000) for s in segments],
            }
        )
    return rows


def in_own_process(engine: str, files: list[Path], counts: list[int]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.diarization", "--worker", engine]
    command += [f"{count}:{file}" for file, count in zip(files, counts, strict=True)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{engine} failed: {done.stderr.strip()[-800:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(data_dir: Path, runs: int = 3) -> dict[str, Any]:
    """Return {"figures", "goals", "met"}; medians over `runs` runs of each engine on each recording, in turns.

    Raises FileNotFoundError naming the recording that is not there.
    """
    cases = [(name, data_dir / sound, data_dir / rttm) for name, sound, rttm in CASES]
    for _, sound, rttm in cases:
        for path in (sound, rttm):
            if not path.exists():
                raise FileNotFoundError(f"{path} is not there: point DATA at the folder of real recordings")
    figures: dict[str, Any] = {}
    pooled = {OURS: [0.0, 0.0], THEIRS: [0.0, 0.0]}
    for name, sound, rttm in cases:
        reference = read_rttm(rttm)
        speakers = len({speaker for speaker, _, _ in reference})
        rows: dict[str, list[dict[str, Any]]] = {OURS: [], THEIRS: []}
        for run in range(runs):
            for engine in (OURS, THEIRS) if run % 2 == 0 else (THEIRS, OURS):
                rows[engine] += in_own_process(engine, [sound], [speakers])
        free = in_own_process(OURS, [sound], [0])[0]
        figures[name] = {engine: _summary(rows[engine], reference) for engine in rows}
        figures[name]["ours_without_the_count"] = _summary([free], reference)
        figures[name]["times_faster"] = round(
            figures[name][THEIRS]["wall_s"] / max(figures[name][OURS]["wall_s"], 1e-9), 2
        )
        figures[name]["times_less_cpu"] = round(
            figures[name][THEIRS]["cpu_s"] / max(figures[name][OURS]["cpu_s"], 1e-9), 2
        )
        for engine in rows:
            exact = errors(reference, rows[engine][-1]["found"], rows[engine][-1]["audio_s"], collar=0.0)
            pooled[engine][0] += exact["wrong_s"]
            pooled[engine][1] += exact["total_s"]
    figures["pooled_der"] = {engine: round(wrong / total, 4) for engine, (wrong, total) in pooled.items()}
    goals = {
        "at least 4 times faster": min(figures[n]["times_faster"] for n, _, _ in CASES) >= SPEED_GOAL,
        "no worse DER over both recordings": figures["pooled_der"][OURS] <= figures["pooled_der"][THEIRS],
        "call: DER at most 0.06 with a 0.25 s collar": figures["call"][OURS]["der_collar"] <= CALL_DER_GOAL,
        "sample: DER at most 0.08 without collar": figures["sample"][OURS]["der"] <= SAMPLE_DER_GOAL,
    }
    return {"figures": figures, "goals": goals, "met": all(goals.values())}


def _summary(rows: list[dict[str, Any]], reference: list) -> dict[str, float]:
    seconds, found = rows[-1]["audio_s"], rows[-1]["found"]
    wall = statistics.median(r["wall_s"] for r in rows)
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(statistics.median(r["cpu_s"] for r in rows), 2),
        "real_time_factor": round(wall / seconds, 4),
        "peak_mib": round(statistics.median(r["peak_mib"] for r in rows)),
        "speakers": len({speaker for speaker, _, _ in found}),
        "der": round(errors(reference, found, seconds, collar=0.0)["der"], 4),
        "der_collar": round(errors(reference, found, seconds, collar=0.25)["der"], 4),
    }


def meetings(data_dir: Path, engines: tuple[str, ...]) -> dict[str, Any]:
    """Return DER without collar of the twelve meetings, with and without the number of speakers."""
    folder = data_dir / "diarization"
    sounds = sorted(p for p in folder.glob("*.flac") if p.stem[:3] in ("trn", "dev"))
    references = {p.stem: read_rttm(folder / "reference.rttm", p.stem) for p in sounds}
    counts = [len({speaker for speaker, _, _ in references[p.stem]}) for p in sounds]
    out: dict[str, Any] = {}
    for engine in engines:
        for label, given in (("count given", counts), ("count found", [0] * len(sounds))):
            wrong = total = 0.0
            each = {}
            for sound, row in zip(sounds, in_own_process(engine, sounds, given), strict=True):
                part = errors(references[sound.stem], row["found"], row["audio_s"], collar=0.0)
                each[sound.stem] = round(part["der"], 3)
                wrong, total = wrong + part["wrong_s"], total + part["total_s"]
            out[f"{engine}, {label}"] = {"all": round(wrong / total, 4), **each}
    return out


def _print_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Mono diarization, number of speakers given")
    for column in ("recording", "engine", "wall s", "CPU s", "x real time", "peak MiB", "DER", "DER 0.25 s collar"):
        table.add_column(column, justify="left" if column in ("recording", "engine") else "right")
    for name, _, _ in CASES:
        for engine in (OURS, THEIRS, "ours_without_the_count"):
            row = result["figures"][name][engine]
            cells = ("wall_s", "cpu_s", "real_time_factor", "peak_mib", "der", "der_collar")
            table.add_row(name, engine.replace("_", " "), *(str(row[c]) for c in cells))
    Console().print(table)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Our mono diarizer against pyannote's default pipeline.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CALLCENTER_DATA", "../shared/data")))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--meetings", action="store_true", help="the table of the twelve meetings instead")
    parser.add_argument("--ours-only", action="store_true", help="with --meetings: leave out the slow pipeline")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        engine, *jobs = options.worker
        split = [job.partition(":") for job in jobs]
        print(json.dumps(work(engine, [Path(p) for _, _, p in split], [int(n) for n, _, _ in split])))
        return 0
    if options.meetings:
        table = meetings(options.data, (OURS,) if options.ours_only else (OURS, THEIRS))
        for label, row in table.items():
            print(f"{label:32s} " + "  ".join(f"{name} {value:.3f}" for name, value in row.items()))
        print(json.dumps({"figures": table, "goals": {}, "met": True}))
        return 0
    try:
        result = measure(options.data, options.runs)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        print(json.dumps({"figures": {}, "goals": {}, "met": False}))
        return 1
    _print_table(result)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
