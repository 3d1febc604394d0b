"""One small object store for recordings and artefacts: a folder or an S3 bucket behind the same ten methods.

Keys are relative, slash-separated and never leave the root. A put is atomic: a reader sees the old object, the
new object or none, never half of one. Neither Django nor torch is imported, so every process can use it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

_KEY = re.compile(r"[A-Za-z0-9._=@+-]+(/[A-Za-z0-9._=@+-]+)*\Z")
_SPOOL_BYTES = 16 * 1024 * 1024


class StorageError(Exception):
    """The store cannot be used as configured, or a key is not a legal one."""


class Store(Protocol):
    """What callers may rely on. A missing key raises FileNotFoundError from every reading method."""

    url: str

    def exists(self, key: str) -> bool: ...

    def put_bytes(self, key: str, data: bytes) -> None: ...

    def put_file(self, key: str, path: str | Path) -> None: ...

    def get_bytes(self, key: str) -> bytes: ...

    def open(self, key: str) -> BinaryIO: ...

    def size(self, key: str) -> int: ...

    def read_range(self, key: str, start: int, length: int) -> bytes: ...

    def local_path(self, key: str) -> AbstractContextManager[Path]: ...

    def delete(self, key: str) -> None: ...

    def iter_keys(self, prefix: str = "") -> Iterator[str]: ...


def recording_key(sha256: str) -> str:
    """Return the key of a recording's original bytes."""
    return f"recordings/{sha256[:2]}/{sha256}"


def artefact_key(sha256: str, stage: str, fingerprint: str) -> str:
    """Return the key of one stage's artefact for one recording and one spec fingerprint."""
    return f"artefacts/{sha256}/{stage}/{fingerprint}.json"


def check_key(key: str) -> str:
    """Return the key unchanged if it is a safe relative one; raise StorageError otherwise."""
    if not _KEY.match(key) or any(part in (".", "..") for part in key.split("/")):
        raise StorageError(f"{key!r} is not a legal storage key")
    return key


class FileStore:
    """A folder. Writes go to a temporary neighbour, are synced and renamed into place."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.url = self.root.as_uri()

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def put_bytes(self, key: str, data: bytes) -> None:
        with self._replacing(key) as out:
            out.write(data)

    def put_file(self, key: str, path: str | Path) -> None:
        with open(path, "rb") as source, self._replacing(key) as out:
            shutil.copyfileobj(source, out, 1024 * 1024)

    @contextmanager
    def _replacing(self, key: str) -> Iterator[BinaryIO]:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            os.chmod(name, 0o640)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def get_bytes(self, key: str) -> bytes:
        return self._path(key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        return self._path(key).open("rb")

    def size(self, key: str) -> int:
        return self._path(key).stat().st_size

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start`; fewer at the end of the object."""
        with self.open(key) as source:
            source.seek(start)
            return source.read(length)

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        if not path.is_file():
            raise FileNotFoundError(key)
        yield path

    def delete(self, key: str) -> None:
        """Remove the object if it is there, and folders that became empty."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.root or not parent.is_relative_to(self.root):
                break
            try:
                parent.rmdir()
            except OSError:
                break

    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield keys that start with `prefix`, sorted; unfinished writes are not listed."""
        folder, _, _ = prefix.rpartition("/")
        base = self.root / check_key(folder) if folder else self.root
        for directory, folders, names in os.walk(base):
            folders.sort()
            for name in sorted(names):
                key = (Path(directory) / name).relative_to(self.root).as_posix()
                if key.startswith(prefix) and not name.startswith(".part-"):
                    yield key


class S3Store:
    """A bucket and prefix. Credentials, region and endpoint come from the usual AWS_* variables."""

    def __init__(self, bucket: str, prefix: str = "", *, client: Any = None) -> None:
        if not bucket:
            raise StorageError("an S3 storage address names its bucket: s3://bucket/prefix")
        self.bucket, self.prefix = bucket, prefix.strip("/")
        self.url = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self._client = client

    @property
    def client(self) -> Any:
        if self._client is None:
            try:
                import boto3
            except ImportError as error:
                raise StorageError("S3 storage needs the package boto3: pip install boto3") from error
            self._client = boto3.client("s3")
        return self._client

    def _name(self, key: str) -> str:
        check_key(key)
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _missing_as_not_found(self, key: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
            if code in ("404", "NoSuchKey", "NotFound"):
                raise FileNotFoundError(key) from error
            raise

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except FileNotFoundError:
            return False
        return True

    def put_bytes(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._name(key), Body=data)

    def put_file(self, key: str, path: str | Path) -> None:
        self.client.upload_file(str(path), self.bucket, self._name(key))

    def get_bytes(self, key: str) -> bytes:
        with self._missing_as_not_found(key):
            return self.client.get_object(Bucket=self.bucket, Key=self._name(key))["Body"].read()

    def open(self, key: str) -> BinaryIO:
        """Return a seekable copy, in memory while small and in a temporary file beyond."""
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)
        with self._missing_as_not_found(key):
            self.client.download_fileobj(self.bucket, self._name(key), spool)
        spool.seek(0)
        return cast(BinaryIO, spool)

    def size(self, key: str) -> int:
        with self._missing_as_not_found(key):
            return int(self.client.head_object(Bucket=self.bucket, Key=self._name(key))["ContentLength"])

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start`; fewer at the end of the object."""
        size = self.size(key)
        if length <= 0 or start >= size:
            return b""
        span = f"bytes={start}-{min(start + length, size) - 1}"
        with self._missing_as_not_found(key):
            return self.client.get_object(Bucket=self.bucket, Key=self._name(key), Range=span)["Body"].read()

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="callcenter-") as folder:
            path = Path(folder) / PurePosixPath(key).name
            with self._missing_as_not_found(key):
                self.client.download_file(self.bucket, self._name(key), str(path))
            yield path

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield keys that start with `prefix`, sorted."""
        start = f"{self.prefix}/{prefix}" if self.prefix else prefix
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
        cut = len(self.prefix) + 1 if self.prefix else 0
        for page in pages:
            for row in page.get("Contents", ()):
                yield row["Key"][cut:]


def open_store(url: str) -> FileStore | S3Store:
    """Return the store that the address names: `file:///folder`, a bare folder, or `s3://bucket/prefix`.

    Raises StorageError for any other scheme or an empty address. Nothing is created or contacted yet.
    """
    if not url:
        raise StorageError("no storage address is set (STORAGE_URL)")
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return S3Store(parts.netloc, parts.path)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise StorageError(f"{url!r} must name an absolute folder: file:///folder")
        return FileStore(unquote(parts.path))
    if "://" in url:
        raise StorageError(f"storage scheme {parts.scheme!r} is not known; use file:// or s3://")
    return FileStore(url)
