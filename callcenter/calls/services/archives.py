"""Zip archives from strangers: bounded in number, size and ratio; names never leave the folder."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from django.utils.translation import gettext_noop as N_

from callcenter.core.errors import Refused

MAX_MEMBERS = 5000
MAX_TOTAL = 20 * 2**30
MAX_RATIO = 200
MAX_MANIFEST = 20 * 2**20
IGNORED = {"__MACOSX", ".DS_Store", "Thumbs.db"}
#: What reading a damaged or strange member raises. Not OSError: a full disk is not the archive's fault.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)


def is_zip(path: Path) -> bool:
    """Return whether the content (not the name) is a zip archive."""
    with path.open("rb") as handle:
        return handle.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def is_manifest(name: str) -> bool:
    """Return whether a file name is that of a manifest."""
    return PurePosixPath(name).name.lower() in {"manifest.csv", "manifest.jsonl", "manifest.ndjson"}


class Archive:
    """An opened archive whose directory has passed the limits; reading enforces them again on the real bytes."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive

    def members(self) -> list[str]:
        """Return the names of the files. Raises Refused for a bomb, an unsafe name or encryption."""
        infos = [
            i for i in self._zip.infolist() if not i.is_dir() and not IGNORED & set(PurePosixPath(i.filename).parts)
        ]
        if len(infos) > MAX_MEMBERS:
            raise Refused(
                N_("The archive holds more than %(max_members)s files.") % {"max_members": MAX_MEMBERS},
                code="zip_too_many",
            )
        total = sum(i.file_size for i in infos)
        packed = sum(i.compress_size for i in infos) or 1
        if total > MAX_TOTAL or (total > 50 * 2**20 and total / packed > MAX_RATIO):
            raise Refused(
                N_("The archive would unpack to %(total)s MiB from %(packed)s MiB; it is refused as a bomb.")
                % {"total": f"{total / 2**20:.0f}", "packed": f"{packed / 2**20:.1f}"},
                code="zip_bomb",
            )
        for info in infos:
            parts = PurePosixPath(info.filename).parts
            if info.filename.startswith("/") or ".." in parts or "\\" in info.filename:
                raise Refused(N_("The archive holds a file name that leaves its folder."), code="zip_unsafe_name")
            if info.flag_bits & 1:
                raise Refused(N_("The archive is encrypted; please send it without a password."), code="zip_encrypted")
            if info.filename.lower().endswith(".zip"):
                raise Refused(
                    N_("The archive holds another archive; please send the recordings themselves."),
                    code="zip_nested",
                )
        return [i.filename for i in infos]

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open one member; reading past its declared size, or a damaged one, raises Refused."""
        try:
            stream = self._zip.open(name)
        except DAMAGED as error:
            raise _damaged(name) from error
        with stream:
            yield cast(BinaryIO, _Bounded(stream, self._zip.getinfo(name).file_size, name))

    def read_small(self, name: str) -> bytes:
        """Return one small member whole."""
        with self.open(name) as stream:
            return stream.read(MAX_MANIFEST + 1)


def _damaged(name: str) -> Refused:
    return Refused(
        N_("“%(name)s” in the archive is damaged or packed in an unknown way.") % {"name": name}, code="zip_damaged"
    )


class _Bounded:
    """Reads no more than the directory promised: the promise is what the limits were checked against."""

    def __init__(self, stream: IO[bytes], size: int, name: str) -> None:
        self._stream = stream
        self._left = size
        self._name = name

    def read(self, size: int = -1) -> bytes:
        want = self._left + 1 if size < 0 else min(size, self._left + 1)
        try:
            data = self._stream.read(want)
        except DAMAGED as error:
            raise _damaged(self._name) from error
        self._left -= len(data)
        if self._left < 0:
            raise Refused(N_("A file in the archive is larger than the archive says."), code="zip_bomb")
        return data


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a zip file. Raises Refused when it cannot be read."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Refused(N_("The archive is damaged and cannot be opened."), code="zip_damaged") from error
    with archive:
        yield Archive(archive)
