"""Where models are, which are installed, and whether they are still what was installed. Cheap to import.

A model is installed when its directory holds `model.json`, which is written last and moved into place with the
rest in one step, so a directory is either complete or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_worker.models.catalogue import Model, find
from asr_worker.types import ModelMissing

RECORD = "model.json"


def models_dir() -> Path:
    """Return the models folder: MODELS_DIR, else `var/models` of the project that the working directory is in."""
    if given := os.environ.get("MODELS_DIR"):
        return Path(given).expanduser().absolute()
    here = Path.cwd()
    root = next((p for p in (here, *here.parents) if (p / "pyproject.toml").is_file()), here)
    return root / "var" / "models"


def resolve(ref: str | Path, directory: Path | None = None) -> Path:
    """Return the directory of a catalogue name, an alias or a local path; never downloads anything.

    Raises `asr_worker.types.ModelMissing`, whose text names the command that installs the model.
    """
    model = find(str(ref))
    if model is not None:
        path = (directory or models_dir()) / model.name
        # config.json: a directory that a person put there by hand is as good as a pulled one
        if (path / RECORD).is_file() or (path / "config.json").is_file():
            return path
        raise ModelMissing(f"model {model.name} is not installed; run: python -m asr_worker.models pull {model.name}")
    path = Path(ref).expanduser()
    if path.is_dir():
        return path.absolute()
    named = (directory or models_dir()) / str(ref)
    if str(ref) and ".." not in Path(ref).parts and named.is_dir():
        return named
    raise ModelMissing(
        f"model {ref} is neither in the catalogue nor a directory; "
        "see the names with: python -m asr_worker.models list, install one with: python -m asr_worker.models pull NAME"
    )


def read_record(path: Path) -> dict[str, Any] | None:
    """Return a model directory's record, or None where there is none that can be read."""
    try:
        record = json.loads((path / RECORD).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else None


def installed(model: Model, directory: Path) -> bool:
    """Tell, from the record and file sizes alone, whether the model is complete and made by today's recipe."""
    path = directory / model.name
    record = read_record(path)
    if record is None or record.get("recipe") != model.recipe:
        return False
    return all(_size(path / name) == fact["size"] for name, fact in record["files"].items())


def verify(path: Path, progress: Callable[[int], None] | None = None) -> list[str]:
    """Rehash every recorded file and return the problems in words; an empty list means all is well."""
    record = read_record(path)
    if record is None:
        return ["not installed" if not path.exists() else f"no readable {RECORD}"]
    problems = []
    for name, fact in sorted(record["files"].items()):
        if _size(path / name) is None:
            problems.append(f"{name} is missing")
        elif sha256_of(path / name, progress) != fact["sha256"]:
            problems.append(f"{name} has changed")
    return problems


def describe_files(path: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file below `path`, by relative name."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != RECORD)
    return {str(p.relative_to(path)): {"size": p.stat().st_size, "sha256": sha256_of(p)} for p in files}


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Return a file's SHA-256 in hex, reading it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            if progress:
                progress(len(piece))
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
