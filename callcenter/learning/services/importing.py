"""Bringing in an outside corpus: `manifest.jsonl`, a CSV, or a Hugging Face audio folder, as a folder or a zip.

Every bad row is listed with its reason and the rest goes on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext

from asr_worker.datasets import clip_name, put_clip
from asr_worker.types import BadAudio
from callcenter.accounts.models import User
from callcenter.calls.services import archives
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset
from callcenter.learning.services import clips
from callcenter.learning.services.store_rows import Row, file_dataset, free_name

ROLES = ("train", "golden", "old_domain")
MAX_ROWS = 200_000
MAX_TEXT = 2_000
_LISTS = ("manifest.jsonl", "manifest.ndjson", "metadata.jsonl", "metadata.csv", "manifest.csv")
_AUDIO = ("audio", "file_name", "path", "filename", "file")
_TEXT = ("text", "transcription", "sentence", "transcript")
_SPEAKER = ("speaker", "speaker_id", "client_id")
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}

Problem = dict[str, Any]


def import_corpus(
    *,
    path: Path,
    name: str,
    role: str,
    by: User | None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Dataset:
    """Return the dataset of a corpus (a folder, a zip, or a list file beside its audio); its problems are on it.

    `train` takes the rows that the corpus does not mark as test, `golden` those it does (all where it marks none);
    `old_domain` is divided: one part for the gate, voices of their own for replay. Raises CallcenterError when
    nothing in it can be used.
    """
    if role not in ROLES:
        raise CallcenterError(
            gettext("The role “{role}” is none of {list}.").format(role=role, list=", ".join(ROLES)), code="bad_role"
        )
    name = name.strip()[:110] or free_name(path.stem)
    if Dataset.objects.filter(name=name).exists():
        raise CallcenterError(
            gettext("There is a dataset named “{name}” already.").format(name=name), code="name_taken"
        )
    with tempfile.TemporaryDirectory() as held:
        folder = _unpacked(path, Path(held))
        rows, problems = _read(folder, path if path.suffix.lower() in (".csv", ".jsonl") else None, progress)
    if not rows:
        first = "; ".join(f"{p['where']}: {p['reason']}" for p in problems[:3])
        raise CallcenterError(f"No row of the corpus can be used. {first}".strip(), code="dataset_empty")
    return _file(rows, problems, name=name, role=role, by=by)


def _unpacked(path: Path, held: Path) -> Path:
    if path.is_dir():
        return path
    if not path.is_file():
        raise CallcenterError(
            gettext("There is no such folder or file: {name}.").format(name=path.name), code="not_found"
        )
    if not archives.is_zip(path):
        if path.suffix.lower() in (".csv", ".jsonl"):
            return path.parent
        raise CallcenterError(
            gettext("This is neither a folder nor a zip archive nor a list (manifest.jsonl, CSV)."), code="bad_corpus"
        )
    with archives.opened(path) as archive:
        for member in archive.members():
            target = held / member
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as out:
                while piece := source.read(1 << 20):
                    out.write(piece)
    return held


def _read(folder: Path, only: Path | None, progress: Callable[[float], None]) -> tuple[list[Row], list[Problem]]:
    lists = [only] if only else sorted(p for p in folder.rglob("*") if p.name.lower() in _LISTS)
    if not lists:
        raise CallcenterError(
            gettext(
                "There is no list in it: manifest.jsonl, metadata.csv, metadata.jsonl or manifest.csv is looked for."
            ),
            code="no_list",
        )
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    entries = [(source, where, entry) for source in lists for where, entry in _entries(source, folder, problems)]
    if len(entries) > MAX_ROWS:
        raise CallcenterError(
            gettext("The corpus has {count} rows; at most {max_rows} are taken.").format(
                count=len(entries), max_rows=MAX_ROWS
            ),
            code="too_many",
        )
    for done, (source, where, entry) in enumerate(entries):
        try:
            row = _row(entry, source.parent, folder)
        except (BadAudio, CallcenterError) as error:
            problems.append({"where": where, "reason": error.message})
            continue
        if row["id"] in seen:
            problems.append({"where": where, "reason": f"the id “{row['id']}” stands there twice"})
            continue
        seen.add(row["id"])
        rows.append(row)
        if done % 20 == 0:
            progress(done / len(entries))
    return rows, problems


def _entries(source: Path, folder: Path, problems: list[Problem]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, values) of every line of a list; a line that is none is a problem and not the end."""
    label = source.relative_to(folder).as_posix() if source.is_relative_to(folder) else source.name
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        problems.append({"where": label, "reason": "the list is not UTF-8 text"})
        return
    if source.suffix.lower() == ".csv":
        try:
            for number, values in enumerate(csv.DictReader(io.StringIO(text, newline="")), 2):
                yield f"{label}, line {number}", {str(k): v for k, v in values.items() if k is not None}
        except csv.Error as error:
            problems.append({"where": label, "reason": f"the list breaks off: {error}"})
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            yield f"{label}, line {number}", row
        else:
            problems.append({"where": f"{label}, line {number}", "reason": "is not a JSON object"})


def _row(values: dict[str, Any], beside: Path, root: Path) -> Row:
    from asr_worker import audio

    said = _first(values, _TEXT)
    file = _first(values, _AUDIO)
    if values.get("suspect_reference"):
        raise CallcenterError(gettext("its reference is marked as suspect"))
    if not file:
        raise CallcenterError(gettext("names no audio file"))
    text = " ".join(said.replace("\x00", " ").split())
    if not text:
        raise CallcenterError(gettext("{file} has no text").format(file=file))
    if len(text) > MAX_TEXT:
        raise CallcenterError(
            gettext("{file} has a text of more than {max_text} letters").format(file=file, max_text=MAX_TEXT)
        )
    path = (beside / file).resolve()
    if not path.is_relative_to(root.resolve()):
        raise CallcenterError(gettext("{file} lies outside of the corpus").format(file=file))
    if not path.is_file():
        raise CallcenterError(gettext("{file} is not there").format(file=file))
    data = path.read_bytes()
    samples = audio.decode(path).mean(axis=0)
    seconds = len(samples) / clips.RATE
    if seconds * 1000 < clips.MIN_MS:
        raise CallcenterError(
            gettext("{file} is shorter than {min_ms} s").format(file=file, min_ms=clips.MIN_MS / 1000)
        )
    if seconds * 1000 > clips.MAX_MS + 1000:
        raise CallcenterError(
            gettext("{file} is {seconds:.0f} s long; a clip may have {longest} s").format(
                file=file, seconds=seconds, longest=clips.MAX_MS // 1000 + 1
            )
        )
    sha256 = put_clip(store(), data if _is_ours(path) else clips.flac(samples))
    split = _SPLITS.get(str(values.get("split") or "").lower()) or _folder_split(beside, root)
    identity = str(values.get("id") or "") or hashlib.sha256(f"{sha256}{text}".encode()).hexdigest()[:20]
    return {
        "id": identity[:120],
        "audio": clip_name(sha256),
        "sha256": sha256,
        "duration_s": round(seconds, 3),
        "sample_rate": clips.RATE,
        "text": text,
        "speaker": _first(values, _SPEAKER)[:120],
        "call": str(values.get("call") or "")[:120],
        "split": split,
        "source": "import",
        **{key: str(values.get(key) or "")[:120] for key in ("party", "team", "queue", "agent")},
        "corrections": [],
        "old_domain": False,
        "consent": True,
    }


def _is_ours(path: Path) -> bool:
    """Return whether a file is stored as it is: 16 kHz mono 16-bit FLAC, as our own exports are."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError):
        return False
    return (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", clips.RATE, 1)


def _folder_split(beside: Path, root: Path) -> str:
    """Return the split that a folder's name tells: Hugging Face folders have train/, validation/ and test/."""
    parts = beside.resolve().relative_to(root.resolve()).parts if beside != root else ()
    return next((_SPLITS[part.lower()] for part in parts if part.lower() in _SPLITS), "")


def _first(values: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(values[n]) for n in names if values.get(n) not in (None, "")), "")


def _file(rows: list[Row], problems: list[Problem], *, name: str, role: str, by: User | None) -> Dataset:
    parameters: dict[str, Any] = {"role": role}
    if role == "golden":
        marked = [row for row in rows if row["split"] == "test"]
        chosen = [{**row, "split": "test"} for row in marked or rows]
        return file_dataset(
            name=name, kind=Dataset.Kind.GOLDEN, rows=chosen, by=by, parameters=parameters, problems=problems,
            imported=True,
        )  # fmt: skip
    if role == "old_domain":
        return _file_old(rows, problems, name=name, by=by)
    chosen = [{**row, "split": row["split"] or "train"} for row in rows if row["split"] != "test"]
    counts = {"left_out": {"marked as test by the corpus": len(rows) - len(chosen)}} if len(chosen) < len(rows) else {}
    if not any(row["split"] == "train" for row in chosen):
        raise CallcenterError(gettext("The corpus marks no row for training."), code="no_training_rows")
    if not any(row["split"] == "validation" for row in chosen):
        aside = _some_voices(chosen, share=0.1)
        chosen = [{**row, "split": "validation"} if _voice(row) in aside else row for row in chosen]
    return file_dataset(
        name=name, kind=Dataset.Kind.TRAIN, rows=chosen, by=by, parameters=parameters, problems=problems,
        counts=counts, imported=True,
    )  # fmt: skip


def _file_old(rows: list[Row], problems: list[Problem], *, name: str, by: User | None) -> Dataset:
    rows = [{**row, "old_domain": True} for row in rows]
    if {row["split"] for row in rows} >= {"train", "test"}:
        replaying = {row["id"] for row in rows if row["split"] == "train"}
    else:
        voices = _some_voices(rows, share=0.5)
        replaying = {row["id"] for row in rows if _voice(row) in voices}
    gate_rows = [{**row, "split": "test"} for row in rows if row["id"] not in replaying]
    replay = [{**row, "split": "train", "source": "replay"} for row in rows if row["id"] in replaying]
    gate = file_dataset(
        name=name, kind=Dataset.Kind.OLD_DOMAIN, rows=gate_rows, by=by,
        parameters={"role": "old_domain", "replay_rows": len(replay)}, problems=problems, imported=True,
    )  # fmt: skip
    if replay:
        file_dataset(
            name=free_name(f"{name}-replay"), kind=Dataset.Kind.REPLAY, rows=replay, by=by,
            parameters={"gate": str(gate.pk)}, imported=True,
        )  # fmt: skip
    return gate


def _voice(row: Row) -> str:
    """Return by what a row is kept together: its speaker, else its call, else itself."""
    return str(row["speaker"] or row["call"] or row["id"])


def _some_voices(rows: list[Row], *, share: float) -> set[str]:
    """Return voices that make up about this share of the sound, always the same ones, never all of them."""
    seconds: dict[str, float] = {}
    for row in rows:
        seconds[_voice(row)] = seconds.get(_voice(row), 0.0) + float(row["duration_s"])
    budget, chosen = sum(seconds.values()) * share, set[str]()
    for voice in sorted(seconds, key=lambda v: hashlib.sha256(v.encode()).hexdigest())[:-1]:
        if budget <= 0:
            break
        chosen.add(voice)
        budget -= seconds[voice]
    return chosen
