"""The learning benchmark's datasets, built from the folders of DATA.md: new domain, replay of the old one, tests.

Rows keep the place of their audio, so nothing is copied. Training, test and old-domain speakers are disjoint, and
replayed read speech is labelled by the base model itself: what it must not forget is how it hears now.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NEW, OLD = "spelled_entities", "librispeech_other"
PSEUDO, PSEUDO_ROWS = "librispeech_untranscribed", 60
REPLAY = {"common_voice": 30, "asterisk_prompts": 20}
NEEDED = (NEW, OLD, PSEUDO, *REPLAY)


def missing(data: Path) -> list[str]:
    """Return the folders that are not there."""
    return [name for name in NEEDED if not (data / name / "manifest.jsonl").is_file()]


def _rows(data: Path, name: str, split: str = "") -> list[dict[str, Any]]:
    lines = (data / name / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    rows = [r for r in rows if not r.get("suspect_reference") and (not split or r.get("split") == split)]
    for number, row in enumerate(rows):
        row["id"] = f"{name}-{number:04}"
        row["speaker"] = f"{name}:{row['speaker']}"
        row["audio"] = str((data / name / row["audio"]).resolve())
    return rows


def _write(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_sets(data: Path, out: Path) -> tuple[Path, Path]:
    """Return the folders of the new domain's test speakers and of the old domain."""
    new = [{**r, "call": r["speaker"]} for r in _rows(data, NEW, "test")]
    old = [{**r, "call": r["speaker"]} for r in _rows(data, OLD, "test")]
    return _write(out / "test-new", new), _write(out / "test-old", old)


def training_set(data: Path, out: Path, base: str, *, replay: bool = True) -> tuple[Path, float]:
    """Return the training dataset's folder and the seconds that labelling the replayed speech took."""
    rows = [{**r, "source": "correction", "split": "train"} for r in _rows(data, NEW, "train")]
    seconds = 0.0
    if replay:
        for name, most in REPLAY.items():
            found = _rows(data, name, "train")
            chosen = random.Random(7).sample(found, min(most, len(found)))
            rows += [{**r, "source": "replay", "split": "train"} for r in chosen]
        began = time.perf_counter()
        rows += _labelled(random.Random(7).sample(_rows(data, PSEUDO), PSEUDO_ROWS), base)
        seconds = time.perf_counter() - began
    return _write(out / ("train" if replay else "train-without-replay"), rows), seconds


def _labelled(rows: list[dict[str, Any]], base: str) -> list[dict[str, Any]]:
    from asr_worker import evaluate
    from asr_worker.types import PipelineSpec

    for row in rows:
        row["path"] = Path(row["audio"])
    texts, _, _ = evaluate.transcribe_rows(rows, PipelineSpec(model=base, compute_type="int8"))
    return [
        {**{k: v for k, v in row.items() if k != "path"}, "text": text, "source": "pseudo", "split": "train"}
        for row, text in zip(rows, texts, strict=True)
        if text
    ]
