"""`python -m benchmarks.speech`: our stereo path and mono diarization against the usual ones, in one run.

Same audio (the shared stereo call), same weights (Whisper base.en), same settings (beam 5, word times, batches of 8).
Ours does everything: decode, look at the channels, voice activity, both sides, guard, turns, artefacts. The others do
recognition alone, on samples that were decoded before the clock started. Loading weights is outside every clock.
Each measurement has its own process; ways are taken in turns so that a busy machine hits all of them alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import common

WAYS = {
    "ours": "ours: everything, both sides",
    "faster-whisper": "faster-whisper batched, recognition alone",
    "transformers": "transformers pipeline, recognition alone",
}
GOALS = {"stereo_vs_faster_whisper": 1.3, "stereo_vs_transformers": 4.0}
CALL = "contact_centre_calls/auto_repairs_40_stereo.flac"
BEAM, BATCH = 5, 8


def _ours(path: Path, model: str, compute_type: str) -> dict[str, Any]:
    from asr_worker import audio, pipeline, vad
    from asr_worker.engines import registry
    from asr_worker.storage import FileStore, recording_key
    from asr_worker.types import PipelineSpec, Transcript

    spec = PipelineSpec(model=model, compute_type=compute_type, beam_size=BEAM, batch_size=BATCH)
    registry.transcriber(spec)
    vad.speech_regions(audio.decode(path)[0, : audio.RATE])
    with tempfile.TemporaryDirectory() as folder:
        store = FileStore(folder)
        key = recording_key(audio.sha256_of(path))
        store.put_file(key, path)
        measured = common.timed(lambda: pipeline.run(store, key, spec))
        made = Transcript.from_json(json.loads(store.get_bytes(measured["result"])))
    return {**measured, "result": sum(len(t.words) for t in made.turns)}


def _faster_whisper(path: Path, model: str, compute_type: str) -> dict[str, Any]:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    from asr_worker import audio
    from asr_worker.engines.faster_whisper import model_directory
    from asr_worker.engines.registry import find_model

    folder = model_directory(find_model(model), compute_type)
    loaded = WhisperModel(str(folder), device="cpu", compute_type=compute_type, cpu_threads=int(common.THREADS))
    pipeline = BatchedInferencePipeline(loaded)
    sides = audio.decode(path)

    def work() -> int:
        count = 0
        for side in sides:
            segments, _ = pipeline.transcribe(
                side, language="en", beam_size=BEAM, batch_size=BATCH, word_timestamps=True, vad_filter=True
            )
            count += sum(len(s.words or ()) for s in segments)
        return count

    list(pipeline.transcribe(sides[0][: audio.RATE], language="en", vad_filter=False)[0])
    return common.timed(work)


def _transformers(path: Path, model: str, compute_type: str) -> dict[str, Any]:
    import torch
    from transformers import pipeline

    from asr_worker import audio
    from asr_worker.engines.registry import find_model

    torch.set_num_threads(int(common.THREADS))
    asr = pipeline("automatic-speech-recognition", model=str(find_model(model)), device="cpu", dtype=torch.float32)
    sides = audio.decode(path)

    def work() -> int:
        count = 0
        for side in sides:
            said = asr(
                {"raw": side, "sampling_rate": audio.RATE},
                chunk_length_s=30,
                batch_size=BATCH,
                return_timestamps="word",
                generate_kwargs={"num_beams": BEAM},
            )
            count += len(said["chunks"])
        return count

    return common.timed(work)


def _one(way: str, path: Path, model: str, compute_type: str) -> int:
    work = {"ours": _ours, "faster-whisper": _faster_whisper, "transformers": _transformers}[way]
    print(json.dumps(work(path, model, compute_type)))
    return 0


def _excerpt(path: Path, seconds: float, folder: Path) -> Path:
    """Return the recording, or its beginning as a wav file where only so many seconds are asked for."""
    if not seconds:
        return path
    import soundfile

    samples, rate = soundfile.read(path, frames=int(seconds * soundfile.info(path).samplerate))
    soundfile.write(folder / "excerpt.wav", samples, rate)
    return folder / "excerpt.wav"


def stereo(path: Path, model: str, compute_type: str, wanted: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the figures of every way and what could not be measured."""
    rows: dict[str, list[dict[str, Any]]] = {way: [] for way in wanted}
    problems: list[str] = []
    for turn in range(common.runs()):
        for way in wanted:
            # The slowest way is measured once: its distance is far larger than what repeating would tell.
            if (way == "transformers" and turn) or any(p.startswith(way) for p in problems):
                continue
            print(f"run {turn + 1}: {WAYS[way]} ...", file=sys.stderr, flush=True)
            row = common.in_own_process("benchmarks.speech", ["--one", way, str(path), model, compute_type])
            if "error" in row:
                problems.append(f"{way}: {row['error']}")
            else:
                rows[way].append(row)
    figures = {
        way: {**common.medians(found), "words": found[-1]["result"], "runs": len(found)}
        for way, found in rows.items()
        if found
    }
    return figures, problems


def mono_diarization(data: Path) -> tuple[dict[str, Any], str]:
    """Return the diarization benchmark's figures, or why there are none."""
    if importlib.util.find_spec("benchmarks.diarization") is None:
        return {}, "mono diarization: benchmarks/diarization.py is not there"
    from benchmarks import diarization

    try:
        return diarization.measure(data, common.runs()), ""
    except Exception as error:  # one half that fails must not hide the figures of the other
        return {}, f"mono diarization: {error}"


def _table(figures: dict[str, Any], diarization: dict[str, Any], seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=False, width=110)
    table = Table(title=f"Stereo call of {seconds:.0f} s, {common.THREADS} threads")
    for name in ("way", "wall s", "processor s", "real-time factor", "peak MiB", "words", "runs"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for way, row in figures.items():
        table.add_row(
            WAYS[way], f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}", f"{row['seconds'] / seconds:.3f}",
            str(row["peak_mib"]), str(row["words"]), str(row["runs"]),
        )  # fmt: skip
    console.print(table)
    if diarization:
        rows = Table("recording", "engine", "wall s", "real-time factor", "peak MiB", "DER", title="Mono diarization")
        for recording, engines in diarization["figures"].items():
            for engine, row in engines.items() if isinstance(engines, dict) else ():
                if isinstance(row, dict) and "wall_s" in row:
                    rows.add_row(
                        recording, engine, f"{row['wall_s']:.1f}", f"{row['real_time_factor']:.3f}",
                        str(row["peak_mib"]), f"{row['der']:.4f}",
                    )  # fmt: skip
        console.print(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table and the last line; 0 unless nothing at all could be measured."""
    if argv is None and len(sys.argv) == 6 and sys.argv[1] == "--one":
        return _one(sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5])
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=__doc__)
    parser.add_argument("--data", default="", help="folder of recordings (default: DATA, CALLCENTER_DATA)")
    parser.add_argument("--model", default=os.environ.get("BENCH_MODEL") or "whisper-base.en")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--seconds", type=float, default=0.0, help="only the beginning of the call")
    parser.add_argument("--only", choices=["stereo", "diarization"], default="")
    args = parser.parse_args(argv)
    data = common.data_dir(args.data)
    problems: list[str] = []
    figures: dict[str, Any] = {}
    diarization: dict[str, Any] = {}
    seconds = 0.0
    path = data / CALL
    if not path.is_file():
        problems.append(f"stereo: {path.name} is not in the data folder (set DATA)")
    elif args.only != "diarization":
        with tempfile.TemporaryDirectory() as folder:
            chosen = _excerpt(path, args.seconds, Path(folder))
            from asr_worker import audio

            seconds = audio.probe(chosen).duration_ms / 1000
            figures, failed = stereo(chosen, args.model, args.compute_type, list(WAYS))
            problems += failed
    if args.only != "stereo":
        diarization, failed_diarization = mono_diarization(data)
        problems += [failed_diarization] if failed_diarization else []
    if figures or diarization:
        _table(figures, diarization, seconds or 1.0)
    for problem in problems:
        print(f"not measured: {problem}")
    return common.finish(*_verdict(figures, diarization, problems))


def _verdict(
    figures: dict[str, Any], diarization: dict[str, Any], problems: list[str]
) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return (figures, goals, whether every goal is reached); what was not measured is not reached."""
    out: dict[str, Any] = {"stereo": figures, "not_measured": problems}
    ours = figures.get("ours")
    if ours and "faster-whisper" in figures:
        out["stereo_vs_faster_whisper"] = round(ours["seconds"] / figures["faster-whisper"]["seconds"], 3)
    if ours and "transformers" in figures:
        out["stereo_vs_transformers"] = round(figures["transformers"]["seconds"] / ours["seconds"], 3)
    if diarization:
        out["diarization"] = diarization["figures"]
    reached = {
        "stereo_vs_faster_whisper": out.get("stereo_vs_faster_whisper", 99.0) <= GOALS["stereo_vs_faster_whisper"],
        "stereo_vs_transformers": out.get("stereo_vs_transformers", 0.0) >= GOALS["stereo_vs_transformers"],
        "mono_diarization": bool(diarization.get("met", False)),
    }
    goals: dict[str, Any] = {name: {"goal": goal, "met": reached[name]} for name, goal in GOALS.items()}
    goals["mono_diarization"] = {"goal": diarization.get("goals", {}), "met": reached["mono_diarization"]}
    return out, goals, all(reached.values())


if __name__ == "__main__":
    raise SystemExit(main())
