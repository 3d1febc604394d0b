"""Datasets of seconds, and a fit that needs no voice activity model: what the tests of training share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr_worker.training.config import FitConfig

#: The quickest fit that still does everything once.
QUICK = FitConfig(epochs=2, batch_size=4, learning_rate=1e-2, patience=0, device="cpu")


def tone(hertz: float, seconds: float = 0.6) -> np.ndarray:
    """Return a tone with a breath of noise, float32 [samples] at 16 kHz."""
    at = np.arange(int(16_000 * seconds)) / 16_000
    noise = np.random.default_rng(round(hertz)).normal(0, 0.01, len(at))
    return (0.3 * np.sin(2 * np.pi * hertz * at) + noise).astype(np.float32)


def dataset(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a dataset of tones: each row's `hertz` is its sound, all else goes into the manifest."""
    folder.mkdir(parents=True)
    lines = []
    for number, row in enumerate(rows):
        name = f"{number}.wav"
        soundfile.write(folder / name, tone(row.get("hertz", 300 + 40 * number)), 16_000)
        lines.append(json.dumps({"id": f"r{number}", "audio": name, **{k: v for k, v in row.items() if k != "hertz"}}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def two_words(folder: Path, *, speakers: int = 4, **more: Any) -> Path:
    """Write a dataset in which a low tone is `aa` and a high one `bee`, said by several speakers."""
    rows = [
        {"text": text, "hertz": hertz + 7 * s, "speaker": f"s{s}", "split": "train", "source": "correction", **more}
        for s in range(speakers)
        for text, hertz in (("aa", 300), ("bee", 1800))
    ]
    return dataset(folder, rows)
