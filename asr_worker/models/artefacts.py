"""Fine-tuned models in the store: a directory of files, named by its content, fetched once per machine.

`store:models/{sha256}` is a model reference like any other. The SHA-256 is that of the list of files with their
hashes, so a reference names the bytes: what was evaluated is what is served. Fetching is from the own store, never
from outside, is checked file by file, and ends with one rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from asr_worker.models.locks import file_lock
from asr_worker.storage import Store, open_store
from asr_worker.types import ModelMissing, SpeechError

SCHEME = "store:"
_LIST = "files.json"


class ModelDamaged(SpeechError):
    """A stored model's files are not those that were stored."""

    permanent = True
    code = "model_damaged"


def is_reference(ref: str) -> bool:
    """Return whether the reference names a model in the store."""
    return ref.startswith(SCHEME)


def _hash(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def put(store: Store, folder: Path) -> tuple[str, int]:
    """Store every file of a model directory and return (reference, bytes). The same files give the same reference.

    Raises ModelDamaged for a directory without files.
    """
    # A checkpoint tuned from a fetched model may have taken that model's list along with its other files.
    found = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".") and p != folder / _LIST)
    if not found:
        raise ModelDamaged(f"{folder.name} holds no files, so there is no model in it.")
    files = [{"path": p.relative_to(folder).as_posix(), "sha256": _hash(p), "size": p.stat().st_size} for p in found]
    listed = json.dumps({"schema": 1, "files": files}, sort_keys=True).encode()
    sha256 = hashlib.sha256(listed).hexdigest()
    prefix = f"models/{sha256}"
    if not store.exists(f"{prefix}/{_LIST}"):
        for path, entry in zip(found, files, strict=True):
            store.put_file(f"{prefix}/{entry['path']}", path)
        store.put_bytes(f"{prefix}/{_LIST}", listed)  # last: a model without its list is not there yet
    return f"{SCHEME}{prefix}", sum(int(str(entry["size"])) for entry in files)


def fetch(ref: str, *, models_dir: Path | None = None, store: Store | None = None) -> Path:
    """Return the local directory of a stored model, fetching it when this machine has not got it yet.

    Raises ModelMissing when the store does not have it, ModelDamaged when a file is not what it should be.
    """
    if models_dir is None:
        from asr_worker.models import models_dir as configured

        models_dir = configured()
    store = store or open_store(os.environ.get("STORAGE_URL", ""))
    prefix = ref.removeprefix(SCHEME)
    sha256 = prefix.rsplit("/", 1)[-1]
    target = models_dir / "learned" / sha256
    if (target / _LIST).is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(target.parent / f".{sha256}.lock"):
        if (target / _LIST).is_file():
            return target
        try:
            listed = store.get_bytes(f"{prefix}/{_LIST}")
        except FileNotFoundError as error:
            raise ModelMissing(f"The fine-tuned model {sha256[:12]} is not in the storage.") from error
        if hashlib.sha256(listed).hexdigest() != sha256:
            raise ModelDamaged(f"The file list of the fine-tuned model {sha256[:12]} was changed.")
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
        try:
            for entry in json.loads(listed)["files"]:
                path = building / entry["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with store.local_path(f"{prefix}/{entry['path']}") as source:
                        shutil.copyfile(source, path)
                except FileNotFoundError as error:
                    raise ModelMissing(f"{entry['path']} of model {sha256[:12]} is not in the storage.") from error
                if _hash(path) != entry["sha256"]:
                    raise ModelDamaged(f"{entry['path']} of model {sha256[:12]} is not the file that was stored.")
            (building / _LIST).write_bytes(listed)
            os.replace(building, target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return target
