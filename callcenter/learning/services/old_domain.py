"""What must not get worse: imported corpora, else the scripted demo calls, whose words are known exactly.

One part may ride along in training (replay), another, of other calls, is for the gate alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr_worker.datasets import clip_name, put_clip
from callcenter import demo
from callcenter.accounts.models import User
from callcenter.calls.models import Recording
from callcenter.core.storage import store
from callcenter.learning.models import Dataset, SplitAssignment
from callcenter.learning.services import clips, privacy
from callcenter.learning.services.store_rows import file_dataset, free_name, rows_of

BUILT_IN = "demo-scripts"
#: A scripted line that another voice talks into cannot be told apart in a mono recording.
_OVERLAP_MS = 50


@dataclass(frozen=True, slots=True)
class OldDomain:
    """The gate's set and the rows for replay; None and empty where there is neither corpus nor demo."""

    gate: Dataset | None
    replay: list[dict[str, Any]]


def current(*, by: User | None = None) -> OldDomain:
    """Return the newest imported old domain, else the one made of the demo calls as they stand today."""
    gate = Dataset.objects.filter(kind=Dataset.Kind.OLD_DOMAIN, imported=True).first()
    if gate is not None:
        return OldDomain(gate, replay_rows(gate))
    return built_in(by=by)


def replay_rows(gate: Dataset) -> list[dict[str, Any]]:
    """Return the rows that were set aside for replay when the old domain was made."""
    partner = Dataset.objects.filter(kind=Dataset.Kind.REPLAY, parameters__gate=str(gate.pk)).first()
    return rows_of(partner) if partner is not None else []


def built_in(*, by: User | None = None) -> OldDomain:
    """Return the old domain of the demo calls; the same rows give the same dataset, other rows its next version.

    Calls whose recording somebody has corrected are left out, and voices that are held out stand on the gate's side.
    """
    held = set(SplitAssignment.objects.exclude(side=SplitAssignment.Side.TRAIN).values_list("key", flat=True))
    corrected = _corrected()
    usable = [row for row in demo.rows() if row["sha256"] not in corrected and demo.audio_path(row).is_file()]
    agents = sorted({row["agent"] for row in usable}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    free = [name for name in agents if f"agent:{name}" not in held]
    # Half of the voices each; at least one for the gate, which the rest cannot do without.
    replaying = set(free[: len(agents) // 2])
    if len(agents) == 1:
        replaying = set()
    rows = [line for call in usable for line in _lines(call, replay=call["agent"] in replaying)]
    gate_rows = [row for row in rows if row["split"] == "test"]
    replay = [row for row in rows if row["split"] == "train"]
    if not gate_rows:
        return OldDomain(None, replay)
    return OldDomain(_versioned(gate_rows, replay, by), replay)


def _versioned(gate_rows: list[dict[str, Any]], replay: list[dict[str, Any]], by: User | None) -> Dataset:
    from asr_worker.datasets import to_lines

    sha256 = hashlib.sha256(to_lines(gate_rows)).hexdigest()
    found = Dataset.objects.filter(kind=Dataset.Kind.OLD_DOMAIN, sha256=sha256, imported=False).first()
    if found is not None:
        return found
    version = Dataset.objects.filter(kind=Dataset.Kind.OLD_DOMAIN, imported=False).count() + 1
    return file_dataset(
        name=free_name(f"{BUILT_IN}-{version}"),
        kind=Dataset.Kind.OLD_DOMAIN,
        rows=gate_rows,
        by=by,
        parameters={"source": "demo calls, exact scripts", "replay_rows": len(replay)},
    )


def _corrected() -> set[str]:
    """Return the SHA-256 of recordings that were corrected or reviewed: they may be in golden or training data."""
    from callcenter.review.models import Correction, Review

    by_correction = Correction.objects.values_list("call__recording__sha256", flat=True)
    by_review = Review.objects.values_list("call__recording__sha256", flat=True)
    known = Recording.objects.filter(sha256__in=[row["sha256"] for row in demo.rows()])
    return set(known.filter(sha256__in=set(by_correction) | set(by_review)).values_list("sha256", flat=True))


def _lines(call: dict[str, Any], *, replay: bool) -> list[dict[str, Any]]:
    """Return a row for each scripted line that can be heard alone and tells nothing private."""
    two = call["layout"] == "two_party"
    lines = [
        {**line, "index": at, "words": []} for at, line in enumerate(call["reference"]) if line["party"] in _CHANNEL
    ]
    hidden = privacy.private_spans(lines)
    chosen, wanted = [], []
    for line in lines:
        start, end = int(line["start_ms"]), int(line["end_ms"])
        others = [
            other
            for other in lines
            if other is not line
            and (not two or other["party"] == line["party"])
            and other["start_ms"] < end - _OVERLAP_MS
            and other["end_ms"] > start + _OVERLAP_MS
        ]
        if others or any(start < b and end > a for a, b in hidden):
            continue
        if clips.MIN_MS <= end - start <= clips.MAX_MS and line["text"].strip():
            chosen.append(line)
            wanted.append((_CHANNEL[line["party"]] if two else 0, start, end))
    sounds = clips.sounds(demo.audio_path(call), wanted)
    return [_row(call, line, sound, replay) for line, sound in zip(chosen, sounds, strict=True) if len(sound)]


_CHANNEL = {"agent": 0, "customer": 1}


def _row(call: dict[str, Any], line: dict[str, Any], sound: np.ndarray, replay: bool) -> dict[str, Any]:
    sha256 = put_clip(store(), clips.flac(sound))
    return {
        "id": f"{BUILT_IN}:{call['name']}:{line['index']:02}",
        "audio": clip_name(sha256),
        "sha256": sha256,
        "duration_s": round(len(sound) / clips.RATE, 3),
        "sample_rate": clips.RATE,
        "text": line["text"],
        "speaker": call["agent"] if line["party"] == "agent" else f"{BUILT_IN}:{call['name']}:customer",
        "call": f"{BUILT_IN}:{call['name']}",
        "split": "train" if replay else "test",
        "source": "replay" if replay else "import",
        "party": line["party"],
        "team": call["team"],
        "queue": call["queue"],
        "agent": call["agent"],
        "corrections": [],
        "old_domain": True,
        "consent": True,
    }
