"""Importing a folder, a manifest or a corpus: what `manage.py import_recordings` does."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils.translation import gettext_noop as N_

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Batch
from callcenter.calls.services import archives, batches, manifests
from callcenter.calls.services.metadata import COLUMNS, unknown_columns
from callcenter.core.errors import Refused

AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".webm", ".aac", ".zip"}


@dataclass(frozen=True, slots=True)
class Item:
    """One recording to import: a name to show, the file(s) it is made of, and what is known of it."""

    name: str
    paths: tuple[Path, ...]
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def compile_pattern(text: str) -> re.Pattern[str]:
    """Return the file-name pattern. Raises Refused when it is no regular expression or names an unknown field."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise Refused(
            N_("The pattern is not a regular expression: %(error)s.") % {"error": error}, code="bad_pattern"
        ) from error
    wrong = unknown_columns(list(pattern.groupindex))
    if wrong or not pattern.groupindex:
        known = ", ".join(name for name in COLUMNS if name != "filename")
        what = f"names {', '.join(wrong)}" if wrong else "has no named groups"
        raise Refused(
            N_("The pattern %(what)s; groups may be: %(known)s.") % {"what": what, "known": known}, code="bad_pattern"
        )
    return pattern


def items(path: Path, *, manifest: Path | None, pattern: re.Pattern[str] | None, layout: str) -> list[Item]:
    """Return what there is to import under a path, in a stable order. Raises Refused when nothing can be read."""
    if not path.exists():
        raise Refused(N_("There is nothing at %(path)s.") % {"path": path}, code="missing_path")
    if layout == "harper" or (layout == "auto" and is_harper(path)):
        return list(_harper(path))
    if path.is_file() and archives_manifest(path):
        manifest, path = path, path.parent
    if path.is_file():
        return [Item(path.name, (path,), _from_name(path, pattern))]
    if manifest is None:
        manifest = next((path / n for n in ("manifest.csv", "manifest.jsonl") if (path / n).is_file()), None)
    if manifest is not None:
        return list(_from_manifest(path, manifest, pattern))
    found = [p for p in sorted(path.rglob("*")) if p.is_file() and p.suffix.lower() in AUDIO_SUFFIXES]
    if not found:
        raise Refused(N_("There are no recordings under %(path)s.") % {"path": path}, code="nothing_found")
    return [Item(str(p.relative_to(path)), (p,), _from_name(p.relative_to(path), pattern)) for p in found]


def archives_manifest(path: Path) -> bool:
    """Return whether a path is a manifest by its ending."""
    return archives.is_manifest(path.name) or path.suffix.lower() in {".csv", ".jsonl", ".ndjson"}


def import_items(
    found: list[Item], *, team: Team, by: User | None, name: str, source: str, defaults: dict[str, Any]
) -> Batch:
    """File every item as a row of one batch and close it; a problem of one item is that row's reason."""
    batch = batches.open_batch(by=by, team=team, name=name, source=source, defaults=defaults)
    for item in found:
        if item.problem:
            batches.refuse(batch=batch, filename=item.name, reason=item.problem)
            continue
        meta = {
            **item.metadata,
            "_mtime": datetime.fromtimestamp(item.paths[0].stat().st_mtime, tz=UTC).isoformat(),
        }
        if len(item.paths) == 1:
            with item.paths[0].open("rb") as stream:
                batches.add_file(batch=batch, filename=item.name, stream=stream, metadata=meta)
            continue
        with tempfile.NamedTemporaryFile(suffix=".flac") as joined:
            try:
                join_channels(item.paths, Path(joined.name))
            except (OSError, RuntimeError, Refused) as error:
                batches.refuse(
                    batch=batch,
                    filename=item.name,
                    reason=N_("The two sides could not be joined: %(error)s") % {"error": error},
                )
                continue
            with open(joined.name, "rb") as stream:
                batches.add_file(batch=batch, filename=item.name, stream=stream, metadata=meta)
    return batches.close_batch(batch=batch)


def join_channels(paths: tuple[Path, ...], target: Path) -> None:
    """Write one FLAC with a channel for each mono file, the shorter ones padded with silence; streams in blocks.

    Raises Refused when a file is not mono or the sample rates differ.
    """
    import numpy as np
    import soundfile

    files = [soundfile.SoundFile(str(path)) for path in paths]
    try:
        rates = {f.samplerate for f in files}
        if any(f.channels != 1 for f in files) or len(rates) != 1:
            raise Refused(N_("The sides of a call must be mono and have one sample rate."), code="bad_sides")
        rate = rates.pop()
        with soundfile.SoundFile(
            str(target), "w", samplerate=rate, channels=len(files), format="FLAC", subtype="PCM_16"
        ) as out:
            while True:
                blocks = [f.read(rate * 30, dtype="int16") for f in files]
                longest = max(len(b) for b in blocks)
                if longest == 0:
                    break
                out.write(np.stack([np.pad(b, (0, longest - len(b))) for b in blocks], axis=1))
    finally:
        for f in files:
            f.close()


def is_harper(path: Path) -> bool:
    """Return whether a folder has the HarperValleyBank layout: audio/agent and audio/caller side by side."""
    return all((_harper_root(path) / "audio" / side).is_dir() for side in ("agent", "caller"))


def _harper_root(path: Path) -> Path:
    return path / "data" if (path / "data" / "audio").is_dir() else path


def _harper(path: Path) -> Iterator[Item]:
    """Yield the calls of a HarperValleyBank copy (Wu et al. 2020): a mono file a side, metadata by call id."""
    root = _harper_root(path)
    sides_of = [root / "audio" / side for side in ("agent", "caller")]
    names = sorted({p.name for folder in sides_of for p in folder.glob("*.wav")})
    if not names:
        raise Refused(N_("There are no recordings under %(root)s.") % {"root": root / "audio"}, code="nothing_found")
    for name in names:
        sides = tuple(folder / name for folder in sides_of)
        sid = Path(name).stem
        lost = [side.parent.name for side in sides if not side.is_file()]
        meta: dict[str, Any] = {
            "external_id": sid,
            "direction": "inbound",
            "language": "en",
            "agent_channel": "0",
        }
        meta_file = root / "metadata" / f"{sid}.json"
        try:
            known = json.loads(meta_file.read_text(encoding="utf-8")) if meta_file.is_file() else {}
        except ValueError:
            known = {}
        for key in ("start_time", "start_time_ms", "started_at"):
            if isinstance(known, dict) and known.get(key):
                meta["started_at"] = str(known[key])
                break
        caller = known.get("caller") if isinstance(known, dict) else None
        if isinstance(caller, dict) and caller.get("speaker_id") is not None:
            meta["customer_ref"] = f"speaker {caller['speaker_id']}"
        problem = N_("The %(lost)s side is missing.") % {"lost": " and ".join(lost)} if lost else ""
        yield Item(name, sides, meta, problem)


def _from_manifest(root: Path, manifest: Path, pattern: re.Pattern[str] | None) -> Iterator[Item]:
    for name, values in manifests.parse(filename=manifest.name, data=manifest.read_bytes()).items():
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            yield Item(name, (), {}, "The manifest names a file outside its folder.")
        elif not path.is_file():
            yield Item(name, (), {}, "The manifest names this file, but it is not there.")
        else:
            yield Item(name, (path,), {**_from_name(Path(name), pattern), **values})


def _from_name(path: Path, pattern: re.Pattern[str] | None) -> dict[str, Any]:
    match = pattern.search(path.as_posix()) if pattern else None
    return {k: v for k, v in match.groupdict().items() if v} if match else {}
