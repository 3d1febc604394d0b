"""Taking a model that was trained elsewhere: looked through before it is stored, judged by the same gate."""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path

from django.utils.translation import gettext

from asr_worker.models import artefacts
from callcenter.accounts.models import User
from callcenter.calls.services import archives
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Model

#: Formats that hold numbers and text and nothing that could be run; pickles (.bin, .pt, .pkl) are not among them.
SUFFIXES = {".safetensors", ".json", ".txt", ".md", ".model", ".tiktoken"}
MAX_BYTES = 12 * 2**30
MAX_FILES = 200
_PICKLES = (".pt", ".pth", ".pkl", ".ckpt", ".bin", ".h5", ".npz", ".npy", ".joblib")


def upload(*, path: Path, name: str, by: User | None) -> Model:
    """Return the candidate of a folder or zip with a transformers checkpoint, CTranslate2 files or both.

    Raises CallcenterError saying which file is wrong; nothing is stored then.
    """
    name = name.strip()[:110]
    if not name:
        raise CallcenterError(gettext("Give the model a name."), code="no_name")
    if Model.objects.filter(name=name).exists():
        raise CallcenterError(gettext("There is a model named “{name}” already.").format(name=name), code="name_taken")
    with tempfile.TemporaryDirectory() as held:
        folder = _top(_unpacked(path, Path(held)))
        config = check(folder)
        reference, size = artefacts.put(store(), folder)
    known = Model.objects.filter(reference=reference).first()
    if known is not None:
        raise CallcenterError(
            gettext("The same files are here already, as “{name}”.").format(name=known.name), code="duplicate"
        )
    kind = str(config.get("model_type", ""))
    model = Model.objects.create(
        name=name,
        reference=reference,
        engine="faster-whisper" if kind in ("whisper", "") else "transformers",
        sha256=reference.rsplit("/", 1)[-1],
        size=size,
        english_only=_english_only(config),
        card={"origin": "uploaded", "model_type": kind},
        created_by=by,
    )
    audit.record("model.upload", model, user=by, size=size)
    return model


def _unpacked(path: Path, held: Path) -> Path:
    if path.is_dir():
        return path
    if not path.is_file() or not archives.is_zip(path):
        raise CallcenterError(gettext("A model comes as a folder or as a zip archive of one."), code="bad_model")
    with archives.opened(path) as archive:
        members = archive.members()
        for member in members:
            _allowed(member)  # before a byte of it is written
        for member in members:
            target = held / member
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as out:
                while piece := source.read(1 << 20):
                    out.write(piece)
    return held


def _top(folder: Path) -> Path:
    """Return the folder that the model lies in: archives often hold one folder with everything."""
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and not (folder / "model.bin").exists():
        return inside[0]
    return folder


def check(folder: Path) -> dict[str, object]:
    """Return the checkpoint's configuration when the folder is a model we can serve, without loading any of it.

    Raises CallcenterError for a file that could run code or is not what its name says, or when something is missing.
    """
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    if len(files) > MAX_FILES:
        raise CallcenterError(
            gettext("The model has {count} files; at most {max_files} are taken.").format(
                count=len(files), max_files=MAX_FILES
            ),
            code="too_many",
        )
    if any(p.is_symlink() for p in folder.rglob("*")):
        raise CallcenterError(gettext("The model's folder holds a link to elsewhere."), code="bad_model")
    size = sum(p.stat().st_size for p in files)
    if size > MAX_BYTES:
        raise CallcenterError(
            gettext("The model is {size:.1f} GB; at most {max_bytes:.0f} are taken.").format(
                size=size / 1000000000.0, max_bytes=MAX_BYTES / 1000000000.0
            )
        )
    for path in files:
        _allowed(path.relative_to(folder).as_posix())
        _is_what_it_says(path)
    config = _json(folder / "config.json")
    weights = any(p.suffix == ".safetensors" for p in files)
    converted = [p for p in files if p.name == "model.bin"]
    if not weights and not converted:
        raise CallcenterError(
            gettext(
                "There are no weights in it: model.safetensors (transformers) or model.bin (CTranslate2) is needed."
            ),
            code="no_weights",
        )
    if weights and not config.get("model_type"):
        raise CallcenterError(gettext("config.json is missing or names no model_type."), code="no_config")
    if config.get("model_type") not in (None, "whisper", "wav2vec2", "hubert", "wavlm", "wav2vec2-bert"):
        raise CallcenterError(
            gettext("Models of the type “{model_type}” cannot be served here.").format(model_type=config["model_type"]),
            code="bad_type",
        )
    tokenizer = ("tokenizer.json", "vocab.json", "vocabulary.json", "vocabulary.txt")
    if not any(p.name in tokenizer for p in files):
        raise CallcenterError(gettext("It has no tokenizer (tokenizer.json or vocab.json)."), code="no_tokenizer")
    return config


def _allowed(name: str) -> None:
    path = Path(name)
    if path.name.startswith(".") or path.suffix.lower() in SUFFIXES or path.name == "model.bin":
        return
    if path.suffix.lower() in _PICKLES:
        raise CallcenterError(
            gettext("“{name}” is of a kind that can run code when it is loaded. Save the model as safetensors.").format(
                name=name
            ),
            code="pickle",
        )
    raise CallcenterError(
        gettext("“{name}” does not belong in a model: {list} do.").format(name=name, list=", ".join(sorted(SUFFIXES))),
        code="bad_file",
    )


def _is_what_it_says(path: Path) -> None:
    """Look at the beginning of a file: a renamed pickle must not pass for weights."""
    with path.open("rb") as handle:
        head = handle.read(16)
    if path.name == "model.bin":
        # CTranslate2 begins with its version, a small number; a pickle with 0x80 or, in a zip, with PK.
        version = struct.unpack("<I", head[:4])[0] if len(head) >= 4 else 0
        if not 1 <= version <= 100:
            raise CallcenterError(
                gettext("“{name}” is not a CTranslate2 file; pickles are refused.").format(name=path.name),
                code="pickle",
            )
    elif path.suffix == ".safetensors":
        length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else 0
        if not 2 <= length <= min(100 * 2**20, path.stat().st_size) or head[8:9] != b"{":
            raise CallcenterError(
                gettext("“{name}” is not a safetensors file.").format(name=path.name), code="bad_weights"
            )
    elif path.suffix == ".json":
        _json(path)


def _json(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CallcenterError(gettext("“{name}” is not JSON.").format(name=path.name), code="bad_json") from error
    return found if isinstance(found, dict) else {}


def _english_only(config: dict[str, object]) -> bool:
    """Return whether a Whisper checkpoint knows English alone: its vocabulary is one token shorter."""
    return config.get("model_type") == "whisper" and config.get("vocab_size") == 51_864
