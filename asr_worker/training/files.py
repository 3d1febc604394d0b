"""Files that are either whole or not there, and a full disk said in plain words."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asr_worker.types import SpeechError


class TrainingError(SpeechError):
    """A fine-tuning cannot be done as asked; the message says what to change."""

    permanent = True
    code = "training"


@contextmanager
def full_disk_said(folder: Path) -> Iterator[None]:
    """Turn "no space left" into a TrainingError with code `disk_full`; other errors pass unchanged.

    The libraries that write weights wrap the system's error or put it into words, so both are looked at.
    """
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:
        number = getattr(error, "errno", None)
        told = "No space left on device" in str(error) or "os error 28" in str(error)
        if number not in (errno.ENOSPC, errno.EDQUOT) and not told:
            raise
        raise TrainingError(
            f"The disk is full: {folder.name} could not be written. Free some space and start the run again; "
            "it goes on from its last saved step.",
            code="disk_full",
        ) from error


def write_whole(path: Path, write: Callable[[Path], Any]) -> Path:
    """Let `write` fill a file beside `path`, flush it to the disk and rename it: a reader never sees half of it.

    What a failed write left is removed. Raises TrainingError `disk_full` where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with full_disk_said(path):
            write(part)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def folder_whole(path: Path, fill: Callable[[Path], Any]) -> Path:
    """Let `fill` fill a new folder beside `path`, then put it in the place of `path`; the folder is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with full_disk_said(path):
            part.mkdir()
            fill(part)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path
