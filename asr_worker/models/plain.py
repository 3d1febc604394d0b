"""The builder of models whose files are used as they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path


def copy(files: Mapping[str, Path], out: Path, name: str, report: Callable[[str], None]) -> None:
    """Copy every file into `out` under its short name."""
    report("copying")
    for short, path in files.items():
        shutil.copyfile(path, out / short)
