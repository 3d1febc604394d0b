"""Datasets as files: a manifest of clips, named by its SHA-256, that can be fetched, checked and read.

In the store a dataset is `datasets/{sha256}/manifest.jsonl`; its clips are shared between datasets and named by
their content, `datasets/clips/ab/{sha256}.flac`. A manifest row holds

    id, audio (clips/ab/{sha256}.flac), sha256, duration_s, sample_rate, text, speaker, call,
    split (train | validation | test), source (correction | confirmed | replay | pseudo | import),
    and where known: party, team, queue, agent, corrections, old_domain, consent

On disk it is a folder with `manifest.jsonl` and `clips/`. Any folder whose manifest has `audio` and `text` can be
read too: an outside corpus needs no more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_worker.storage import Store
from asr_worker.types import SpeechError

MANIFEST = "manifest.jsonl"
SPLITS = ("train", "validation", "test")
SOURCES = ("correction", "confirmed", "replay", "pseudo", "import")


class DatasetError(SpeechError):
    """A dataset cannot be used as it is; the message names the row or the file."""

    permanent = True
    code = "dataset"


def manifest_key(sha256: str) -> str:
    """Return the store key of a dataset's manifest."""
    return f"datasets/{sha256}/{MANIFEST}"


def clip_name(sha256: str) -> str:
    """Return a clip's path within a dataset."""
    return f"clips/{sha256[:2]}/{sha256}.flac"


def clip_key(sha256: str) -> str:
    """Return the store key of a clip."""
    return f"datasets/{clip_name(sha256)}"


def to_lines(rows: list[dict[str, Any]]) -> bytes:
    """Return the manifest's bytes: the same rows give the same bytes, whatever order they come in."""
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in ordered).encode()


def put_manifest(store: Store, rows: list[dict[str, Any]]) -> str:
    """Store the manifest and return its SHA-256. The clips must be there already. Raises DatasetError for no rows."""
    if not rows:
        raise DatasetError("The dataset is empty: there is no usable row.", code="dataset_empty")
    data = to_lines(rows)
    sha256 = hashlib.sha256(data).hexdigest()
    store.put_bytes(manifest_key(sha256), data)
    return sha256


def put_clip(store: Store, flac: bytes) -> str:
    """Store one clip under its content's name, once, and return its SHA-256."""
    sha256 = hashlib.sha256(flac).hexdigest()
    if not store.exists(clip_key(sha256)):
        store.put_bytes(clip_key(sha256), flac)
    return sha256


def parse(data: bytes, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a manifest. Raises DatasetError naming the line that is none."""
    for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            row["audio"], row["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"line {number} of {name} is not a manifest row with `audio` and `text`") from error
        yield row


def materialise(store: Store, key: str, folder: Path) -> Path:
    """Return `folder` holding the dataset: manifest and clips, every clip compared with its SHA-256. Resumable.

    Raises DatasetError for a manifest or clip that is missing or not what it should be, naming it.
    """
    try:
        data = store.get_bytes(key)
    except FileNotFoundError as error:
        raise DatasetError("The dataset's manifest is gone from the storage.", code="dataset_gone") from error
    folder.mkdir(parents=True, exist_ok=True)
    for row in parse(data, key):
        target = folder / row["audio"]
        if target.is_file() and target.stat().st_size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            content = store.get_bytes(f"datasets/{row['audio']}")
        except FileNotFoundError as error:
            raise DatasetError(f"The clip of row {row['id']} is gone from the storage.", code="clip_gone") from error
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            raise DatasetError(f"The clip of row {row['id']} is not the one that was stored.", code="clip_changed")
        part = target.with_suffix(".part")
        part.write_bytes(content)
        os.replace(part, target)
    (folder / MANIFEST).write_bytes(data)
    return folder


def read(folder: Path, *, splits: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the rows of a dataset folder (all, or those of some splits), each with `path` and a default `id`.

    Rows marked `suspect_reference` are left out. Raises DatasetError for a missing manifest, a broken line, a clip
    that is gone, or no rows at all.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(f"{folder.name} holds no {MANIFEST}", code="dataset_gone")
    rows = []
    for number, row in enumerate(parse(path.read_bytes(), MANIFEST)):
        if row.get("suspect_reference") or (splits and row.get("split") not in splits):
            continue
        row.setdefault("id", f"row-{number:05}")
        row["path"] = folder / row["audio"]
        if not row["path"].is_file():
            raise DatasetError(f"The clip of row {row['id']} is gone: {row['audio']}", code="clip_gone")
        rows.append(row)
    if not rows:
        which = f" in {' and '.join(splits)}" if splits else ""
        raise DatasetError(f"The dataset is empty: there is no usable row{which}.", code="dataset_empty")
    return rows
