"""Datasets and models as files in the store: named by content, checked when fetched, never half there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from asr_worker import datasets
from asr_worker.models import artefacts
from asr_worker.storage import FileStore
from asr_worker.types import ModelMissing


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def filed(store: FileStore, content: bytes = b"flac one", **values: Any) -> dict[str, Any]:
    sha256 = datasets.put_clip(store, content)
    row = {"id": "a", "audio": datasets.clip_name(sha256), "sha256": sha256, "text": "hello there", "split": "train"}
    return {**row, **values}


def test_the_same_rows_in_another_order_are_the_same_dataset(store: FileStore) -> None:
    rows = [filed(store), filed(store, b"flac two", id="b")]
    assert datasets.put_manifest(store, rows) == datasets.put_manifest(store, rows[::-1])


def test_a_dataset_comes_out_of_the_store_as_it_went_in(store: FileStore, tmp_path: Path) -> None:
    sha256 = datasets.put_manifest(store, [filed(store), filed(store, b"flac two", id="b", split="validation")])
    folder = datasets.materialise(store, datasets.manifest_key(sha256), tmp_path / "here")
    assert hashlib.sha256((folder / datasets.MANIFEST).read_bytes()).hexdigest() == sha256
    assert {row["id"]: row["path"].read_bytes() for row in datasets.read(folder)} == {
        "a": b"flac one",
        "b": b"flac two",
    }
    assert [row["id"] for row in datasets.read(folder, splits=("validation",))] == ["b"]


def test_an_empty_dataset_is_refused_in_words(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match="empty"):
        datasets.put_manifest(store, [])
    (tmp_path / datasets.MANIFEST).write_text("\n")
    with pytest.raises(datasets.DatasetError, match="empty") as caught:
        datasets.read(tmp_path)
    assert caught.value.permanent and caught.value.code == "dataset_empty"


def test_a_clip_that_is_gone_is_named(store: FileStore, tmp_path: Path) -> None:
    row = filed(store)
    key = datasets.manifest_key(datasets.put_manifest(store, [row]))
    store.delete(datasets.clip_key(row["sha256"]))
    with pytest.raises(datasets.DatasetError, match="row a is gone") as caught:
        datasets.materialise(store, key, tmp_path / "here")
    assert caught.value.code == "clip_gone"


def test_a_clip_that_was_changed_is_not_learned_from(store: FileStore, tmp_path: Path) -> None:
    row = filed(store)
    key = datasets.manifest_key(datasets.put_manifest(store, [row]))
    store.put_bytes(datasets.clip_key(row["sha256"]), b"another sound")
    with pytest.raises(datasets.DatasetError, match="not the one that was stored"):
        datasets.materialise(store, key, tmp_path / "here")


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    (tmp_path / datasets.MANIFEST).write_text('{"audio": "a.wav", "text": "x"}\n{"audio": 3\n')
    (tmp_path / "a.wav").write_bytes(b"x")
    with pytest.raises(datasets.DatasetError, match="line 2"):
        datasets.read(tmp_path)


def test_a_disk_that_is_full_leaves_no_half_clip(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = datasets.manifest_key(datasets.put_manifest(store, [filed(store)]))

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            datasets.materialise(store, key, tmp_path / "here")
    assert not list((tmp_path / "here").rglob("*.flac"))
    assert datasets.read(datasets.materialise(store, key, tmp_path / "here"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "ct2-int8").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "ct2-int8" / "model.bin").write_bytes(b"weights" * 100)
    return folder


def test_a_model_is_fetched_once_and_is_what_was_stored(store: FileStore, model: Path, tmp_path: Path) -> None:
    ref, size = artefacts.put(store, model)
    assert artefacts.put(store, model)[0] == ref and size == 702
    here = artefacts.fetch(ref, models_dir=tmp_path / "models", store=store)
    assert (here / "ct2-int8" / "model.bin").read_bytes() == b"weights" * 100
    # The second time the store is not asked: a call in progress never waits for a download twice.
    assert artefacts.fetch(ref, models_dir=tmp_path / "models", store=FileStore(tmp_path / "nowhere")) == here


def test_a_model_tuned_from_a_fetched_one_can_be_stored_and_fetched_in_turn(
    store: FileStore, model: Path, tmp_path: Path
) -> None:
    ref, _ = artefacts.put(store, model)
    here = artefacts.fetch(ref, models_dir=tmp_path / "models", store=store)
    (here / "ct2-int8" / "model.bin").write_bytes(b"tuned")
    tuned, _ = artefacts.put(store, here)
    there = artefacts.fetch(tuned, models_dir=tmp_path / "elsewhere", store=store)
    assert tuned != ref and (there / "ct2-int8" / "model.bin").read_bytes() == b"tuned"


def test_another_content_is_another_reference(store: FileStore, model: Path) -> None:
    first, _ = artefacts.put(store, model)
    (model / "config.json").write_text('{"changed": true}')
    assert artefacts.put(store, model)[0] != first


def test_a_damaged_model_is_not_served_and_leaves_nothing_behind(store: FileStore, model: Path, tmp_path: Path) -> None:
    ref, _ = artefacts.put(store, model)
    store.put_bytes(f"{ref.removeprefix('store:')}/ct2-int8/model.bin", b"other")
    with pytest.raises(artefacts.ModelDamaged, match="model.bin"):
        artefacts.fetch(ref, models_dir=tmp_path / "models", store=store)
    assert [p for p in (tmp_path / "models" / "learned").iterdir() if not p.name.endswith(".lock")] == []


def test_a_model_that_nobody_stored_is_missing_in_words(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="not in the storage"):
        artefacts.fetch("store:models/" + "a" * 64, models_dir=tmp_path, store=store)


def test_the_engines_find_a_model_by_its_reference(
    store: FileStore, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_worker.engines.registry import find_model

    ref, _ = artefacts.put(store, model)
    monkeypatch.setenv("STORAGE_URL", store.url)
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    assert (find_model(ref) / "ct2-int8" / "model.bin").is_file()
