from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from asr_worker.storage import FileStore, S3Store, StorageError, artefact_key, open_store, recording_key

SHA = "ab" + "0" * 62


class FakeBucket:
    """The few calls of a boto3 client that the store makes, over a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def _get(self, name: str) -> bytes:
        if name not in self.objects:
            error = Exception("missing")
            error.response = {"Error": {"Code": "404"}}  # type: ignore[attr-defined]
            raise error
        return self.objects[name]

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[Key] = Body

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.objects[key] = Path(path).read_bytes()

    def get_object(self, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:
        data = self._get(Key)
        if Range:
            first, last = Range.removeprefix("bytes=").split("-")
            data = data[int(first) : int(last) + 1]
        return {"Body": io.BytesIO(data)}

    def download_fileobj(self, bucket: str, key: str, out: Any) -> None:
        out.write(self._get(key))

    def download_file(self, bucket: str, key: str, path: str) -> None:
        Path(path).write_bytes(self._get(key))

    def head_object(self, Bucket: str, Key: str) -> dict[str, int]:
        return {"ContentLength": len(self._get(Key))}

    def delete_object(self, Bucket: str, Key: str) -> None:
        self.objects.pop(Key, None)

    def get_paginator(self, name: str) -> Any:
        bucket = self

        class Pages:
            def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
                return [{"Contents": [{"Key": k} for k in sorted(bucket.objects) if k.startswith(Prefix)]}]

        return Pages()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return FileStore(tmp_path / "s") if request.param == "folder" else S3Store("b", "some/where", client=FakeBucket())


def test_what_was_put_is_read_back_whole_and_in_part(store: Any, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"0123456789")
    store.put_file("recordings/ab/x", source)
    store.put_bytes("artefacts/y.json", b"{}")
    assert store.get_bytes("recordings/ab/x") == b"0123456789"
    assert store.read_range("recordings/ab/x", 3, 4) == b"3456"
    assert store.read_range("recordings/ab/x", 8, 100) == b"89"
    assert store.read_range("recordings/ab/x", 10, 1) == b""
    assert store.size("recordings/ab/x") == 10
    with store.open("recordings/ab/x") as stream:
        stream.seek(5)
        assert stream.read() == b"56789"
    with store.local_path("recordings/ab/x") as path:
        assert path.read_bytes() == b"0123456789"
    assert list(store.iter_keys()) == ["artefacts/y.json", "recordings/ab/x"]
    assert list(store.iter_keys("recordings/")) == ["recordings/ab/x"]


def test_a_missing_key_is_a_file_not_found_error_everywhere(store: Any) -> None:
    assert not store.exists("a/b")
    for read in (store.get_bytes, store.open, store.size, lambda k: store.read_range(k, 0, 1)):
        with pytest.raises(FileNotFoundError):
            read("a/b")
    with pytest.raises(FileNotFoundError), store.local_path("a/b"):
        pass
    store.delete("a/b")


def test_a_put_replaces_and_a_delete_removes(store: Any) -> None:
    store.put_bytes("k", b"one")
    store.put_bytes("k", b"two")
    assert store.get_bytes("k") == b"two"
    store.delete("k")
    assert not store.exists("k")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a\\b", "a/./b", "a b", "\x00"])
def test_a_key_that_could_leave_the_root_is_refused(store: Any, key: str) -> None:
    with pytest.raises(StorageError):
        store.put_bytes(key, b"")


def test_a_failed_write_leaves_the_old_object_and_no_rest(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put_bytes("a/k", b"old")
    with pytest.raises(FileNotFoundError):
        store.put_file("a/k", tmp_path / "missing")
    with pytest.raises(TypeError):
        store.put_bytes("a/k", "text")  # type: ignore[arg-type]
    assert store.get_bytes("a/k") == b"old"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["k"]


def test_addresses_choose_the_store(tmp_path: Path) -> None:
    assert open_store(f"file://{tmp_path}").root == tmp_path  # type: ignore[union-attr]
    assert open_store(str(tmp_path)).root == tmp_path  # type: ignore[union-attr]
    bucket = open_store("s3://calls/prod/")
    assert isinstance(bucket, S3Store)
    assert (bucket.bucket, bucket.prefix) == ("calls", "prod")
    for bad in ("", "ftp://x/y", "s3:///no-bucket", "file://host/path"):
        with pytest.raises(StorageError):
            open_store(bad)


def test_keys_follow_the_agreed_layout() -> None:
    assert recording_key(SHA) == f"recordings/ab/{SHA}"
    assert artefact_key(SHA, "decode", "0123") == f"artefacts/{SHA}/decode/0123.json"
