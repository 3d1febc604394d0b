"""Taking a dataset along: a folder or a zip with manifest, clips and `dataset.json`, which can be imported again."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext

from asr_worker.datasets import MANIFEST
from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset
from callcenter.learning.services.store_rows import rows_of

DESCRIPTION = "dataset.json"


def export(*, dataset: Dataset, target: Path, by: User | None) -> Path:
    """Write the dataset to a new zip (a name that ends so) or an empty folder and return it, every clip checked.

    Raises CallcenterError when the target is there already, or a clip is gone or is not the one that was stored.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CallcenterError(gettext("{name} is there already.").format(name=target.name), code="exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() == ".zip":
        part = target.with_suffix(".part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
                for name, data in _files(dataset):
                    # A fixed date: the same dataset gives the same archive.
                    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    else:
        for name, data in _files(dataset):
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    audit.record("dataset.export", dataset, user=by)
    return target


def _files(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    rows = rows_of(dataset)
    written: set[str] = set()
    for row in rows:
        if row["audio"] in written:
            continue
        written.add(row["audio"])
        try:
            data = store().get_bytes(f"datasets/{row['audio']}")
        except FileNotFoundError as error:
            raise CallcenterError(
                gettext("The clip of row {id} is gone from the storage.").format(id=row["id"]), code="clip_gone"
            ) from error
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise CallcenterError(
                gettext("The clip of row {id} is not the one that was stored.").format(id=row["id"]),
                code="clip_changed",
            )
        yield row["audio"], data
    yield MANIFEST, store().get_bytes(dataset.manifest_key)
    yield DESCRIPTION, json.dumps(describe(dataset), indent=2, ensure_ascii=False, sort_keys=True).encode()


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return what `dataset.json` says: name, kind, hash and counts; no text."""
    return {
        "schema": 1,
        "name": dataset.name,
        "kind": dataset.kind,
        "sha256": dataset.sha256,
        "rows": dataset.rows,
        "audio_seconds": dataset.audio_seconds,
        "created_at": dataset.created_at.isoformat(timespec="seconds"),
        "counts": {k: v for k, v in dataset.counts.items() if k in ("split", "source", "calls", "words")},
        "golden": dataset.golden.sha256 if dataset.golden else None,
    }
