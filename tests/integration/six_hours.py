"""Scenario, run as a process of its own: one very long recording, probed or taken through the speech pipeline.

`python -m tests.integration.six_hours probe|pipeline FOLDER HOURS` prints one JSON line with what was found and the
peak of resident memory in MiB.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
MINUTE = 60 * RATE


def peak_kib() -> int:
    """Return this program's own peak of resident memory; getrusage would count what its parent held when it forked."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def write(path: Path, hours: float) -> list[float]:
    """Write a mu-law stereo recording minute by minute; return at which seconds somebody begins to speak.

    Nearly all of it is line noise, a hold tune comes every quarter of an hour, and speech at the beginning, in the
    middle and at the very end.
    """
    from tests.integration.sounds import STEREO, decoded, hold_tune

    speech = decoded(STEREO)[: 45 * RATE]
    minutes = round(hours * 60)
    spoken = {0, minutes // 2, minutes - 1}
    generator = np.random.default_rng(7)
    tune = hold_tune(20)
    with soundfile.SoundFile(str(path), "w", RATE, 2, subtype="ULAW", format="WAV") as out:
        for minute in range(minutes):
            block = (0.0006 * generator.standard_normal((MINUTE, 2))).astype(np.float32)
            if minute in spoken:
                block[5 * RATE : 5 * RATE + len(speech)] += speech
            elif minute % 15 == 7:
                block[: len(tune), 1] += tune
            out.write(block)
    return [60.0 * minute + 5 for minute in sorted(spoken)]


def main(what: str, folder: Path, hours: float) -> None:
    path = folder / "long.wav"
    starts = write(path, hours)
    made = peak_kib()
    began = time.monotonic()
    found: dict[str, object] = {"starts": starts, "bytes": path.stat().st_size}
    if what == "probe":
        from asr_worker.audio import probe

        info = probe(path)
        found |= {"duration_ms": info.duration_ms, "layout": info.report.layout, "codec": info.codec}
        found["peaks"] = [len(row) for row in info.peaks]
    else:
        from asr_worker import pipeline
        from asr_worker.audio import sha256_of
        from asr_worker.storage import FileStore, recording_key
        from asr_worker.types import PipelineSpec, Transcript

        store = FileStore(folder / "store")
        key = recording_key(sha256_of(path))
        store.put_file(key, path)
        spec = PipelineSpec(model="whisper-tiny.en")
        document = json.loads(store.get_bytes(pipeline.run(store, key, spec)))
        transcript = Transcript.from_json(document)
        found |= {"duration_ms": transcript.duration_ms, "layout": transcript.layout, "degraded": transcript.degraded}
        found["word_starts"] = [word.start_ms / 1000 for turn in transcript.turns for word in turn.words]
    found["seconds"] = time.monotonic() - began
    found["made_mib"] = made // 1024
    found["peak_mib"] = peak_kib() // 1024
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
