"""One file per clip variant with what the frozen part of a model made of it, so that it is computed once per run.

Half precision: what a clip's encoder outputs lose by it is far below what dropout does to them. Files are named by
everything that decides their content, so a cache never serves another model's or another augmentation's outputs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from asr_worker.training.files import write_whole
from asr_worker.training.result import fingerprint

FORMAT = 2


class ClipCache:
    """Arrays float16 [frames, width] in a folder, each whole or absent."""

    def __init__(self, folder: Path, salt: str) -> None:
        self.folder, self.salt = folder, salt
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of_base(cls, folder: Path, base: Path) -> ClipCache:
        """Return the cache of one base model's outputs, the same for every fit that starts from it."""
        return cls(folder, f"{fingerprint(base)}|{FORMAT}")

    def path(self, key: str) -> Path:
        name = hashlib.sha256(f"{self.salt}|{key}".encode()).hexdigest()[:32]
        return self.folder / f"{name}.npy"

    def has(self, key: str) -> bool:
        return self.path(key).is_file()

    def length(self, key: str) -> int:
        """Return the number of frames without reading them."""
        return int(np.load(self.path(key), mmap_mode="r").shape[0])

    def put(self, key: str, array: np.ndarray) -> None:
        """Store one array. Raises TrainingError `disk_full` where the disk is full."""
        made = np.clip(array, -65_504, 65_504).astype(np.float16)

        def write(part: Path) -> None:
            with part.open("wb") as out:
                np.save(out, made)

        write_whole(self.path(key), write)

    def get(self, key: str) -> np.ndarray:
        """Return float32 [frames, width]."""
        return np.load(self.path(key)).astype(np.float32)
