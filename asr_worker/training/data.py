"""From a dataset's rows to examples: who trains, who validates, what a training clip sounds like, which go together.

A clip is trained on in the form in which it is served: only the speech that the voice activity finds, packed the way
the engines pack it, so that training and serving see the same silence and the same joins.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr_worker import datasets
from asr_worker.datasets import DatasetError

HELD_OUT = 0.12
#: More rows than these make a validation slower and hardly surer.
MOST_VALIDATION, MOST_OLD = 64, 48
LONGEST_S = 29.5
_OLD_SOURCES = ("replay", "pseudo")


@dataclass(frozen=True, slots=True)
class Example:
    """One clip and what was said in it. `old` marks audio of the old domain, which must not be forgotten.

    `variant` 0 is the clip as it is, others are augmented copies of it.
    """

    id: str
    path: Path
    text: str
    speaker: str = ""
    call: str = ""
    source: str = "import"
    language: str = "en"
    old: bool = False
    variant: int = 0

    @classmethod
    def of(cls, row: dict[str, Any], *, old: bool = False) -> Example:
        source = str(row.get("source") or "import")
        return cls(
            id=str(row["id"]),
            path=Path(row["path"]),
            text=" ".join(str(row.get("text") or "").split()),
            speaker=str(row.get("speaker") or ""),
            call=str(row.get("call") or ""),
            source=source,
            language=str(row.get("language") or "en"),
            old=old or bool(row.get("old_domain")) or source in _OLD_SOURCES,
        )


@dataclass(frozen=True, slots=True)
class Split:
    """Who is trained on, who decides when to stop (new domain) and who watches for forgetting (old domain).

    `judged` says whether the validation rows are held out: where they are trained on, they can judge no checkpoint.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    old: tuple[Example, ...]
    left_out: int = 0
    judged: bool = True

    def by_source(self) -> dict[str, int]:
        """Return how many training rows came from each source."""
        out: dict[str, int] = {}
        for example in self.train:
            out[example.source] = out.get(example.source, 0) + 1
        return dict(sorted(out.items()))


def read_split(folder: Path, *, seed: int, validate_old: Path | None = None, hold_out: float = HELD_OUT) -> Split:
    """Return the dataset's training and validation examples; a speaker and a call are never in both.

    Where the dataset has no validation rows, whole speakers are held out of the training rows: the share `hold_out`;
    with 0 nobody is, and rows that are trained on stand in. Rows without words are
    left out. Raises DatasetError for an empty dataset, a clip that is gone, or a single speaker (code `one_speaker`)
    when somebody would have to be held out.
    """
    rows = datasets.read(folder, splits=("train", "validation"))
    spoken = [(row, Example.of(row)) for row in rows if str(row.get("text") or "").strip()]
    train = [e for row, e in spoken if row["split"] == "train"]
    held = [e for row, e in spoken if row["split"] == "validation"]
    if not train:
        raise DatasetError("The dataset has no training row with words.", code="dataset_empty")
    validation, old = [e for e in held if not e.old], [e for e in held if e.old]
    judged = bool(validation or hold_out)
    if not judged:
        validation = _sample([e for e in train if not e.old] or train, round(HELD_OUT * len(train)) or 1, seed)
        old = old or _sample([e for e in train if e.old], len(validation), seed)
    if not validation:
        train, validation = _hold_out([e for e in train if not e.old] or train, train, seed, hold_out)
    if not old and any(e.old for e in train) and validate_old is None:
        speakers = {_voice(e) for e in train if e.old}
        if len(speakers) > 2:
            train, old = _hold_out([e for e in train if e.old], train, seed, hold_out)
    if validate_old is not None:
        old = [Example.of(r, old=True) for r in datasets.read(validate_old) if str(r.get("text") or "").strip()]
    return Split(
        tuple(train),
        tuple(_sample(validation, MOST_VALIDATION, seed)),
        tuple(_sample(old, MOST_OLD, seed)),
        left_out=len(rows) - len(spoken),
        judged=judged,
    )


def _voice(example: Example) -> str:
    return example.speaker or example.call or example.id


def _sample(examples: list[Example], most: int, seed: int) -> list[Example]:
    if len(examples) <= most:
        return examples
    return random.Random(seed).sample(examples, most)


def _hold_out(
    pool: list[Example], train: list[Example], seed: int, share: float
) -> tuple[list[Example], list[Example]]:
    """Return (train without, held-out rows): whole speakers of the pool until their share of its rows is reached."""
    speakers = sorted({_voice(e) for e in pool})
    if len(speakers) < 2:
        raise DatasetError(
            "All training rows are from one speaker, so nobody is left to tell whether other people are understood "
            "better. Add rows of a second speaker, or mark rows of another one as `validation`.",
            code="one_speaker",
        )
    random.Random(seed).shuffle(speakers)
    wanted = max(1, round(share * len(pool)))
    taken: set[str] = set()
    calls: set[str] = set()
    for speaker in speakers[: len(speakers) // 2]:
        rows = [e for e in pool if _voice(e) == speaker]
        taken.add(speaker)
        calls |= {e.call for e in rows if e.call}
        wanted -= len(rows)
        if wanted <= 0:
            break
    chosen = {id(e) for e in pool if _voice(e) in taken}
    # A call with a held-out speaker is in no other side's rows: its other rows are dropped, not moved.
    rest = [e for e in train if id(e) not in chosen and not (e.call and e.call in calls)]
    if not rest:
        raise DatasetError("Nothing is left to train on once somebody is held out for validation.", code="one_speaker")
    return rest, [e for e in pool if id(e) in chosen]


def served_audio(path: Path, change: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Return float32 [samples] at 16 kHz as an engine would hand it to the model, `change` applied before.

    At most one clip of 29.5 s comes back; empty when there is more speech than that, since words cannot be split.
    Raises BadAudio for a file that cannot be decoded.
    """
    from asr_worker import audio, vad
    from asr_worker.engines.base import pack

    samples = audio.decode(path).mean(axis=0)
    if change is not None:
        samples = change(samples)
    clips = pack(0, vad.speech_regions(samples))
    if len(clips) > 1:
        return np.zeros(0, np.float32)
    made = clips[0].audio(samples) if clips else samples
    return made.astype(np.float32) if len(made) <= LONGEST_S * 16_000 else np.zeros(0, np.float32)


def batches(lengths: Sequence[int], size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Return all clips' positions in batches of like length: shuffled, and the same for the same seed and epoch."""
    rng = random.Random(f"{seed}:{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    window = size * 8
    made = []
    for at in range(0, len(order), window):
        near = sorted(order[at : at + window], key=lambda i: lengths[i])
        made += [near[i : i + size] for i in range(0, len(near), size)]
    rng.shuffle(made)
    return made


def of_epoch(old: Sequence[bool], *, epochs: int, visits: int, seed: int, epoch: int) -> list[int]:
    """Return the positions learnt from in an epoch: all new rows, and of the `old` ones so many that over all epochs
    each has its `visits`. The number is the same in every epoch; 0 visits, or as many as epochs, means all rows.
    """
    if not visits or visits >= epochs:
        return list(range(len(old)))
    kept = [i for i, is_old in enumerate(old) if is_old]
    random.Random(seed).shuffle(kept)
    each = math.ceil(len(kept) * visits / epochs)
    chosen = {kept[(epoch * each + k) % len(kept)] for k in range(each)}
    return [i for i, is_old in enumerate(old) if not is_old or i in chosen]


def sha256_of_rows(folder: Path) -> str:
    """Return the SHA-256 of the dataset's manifest, which names the dataset."""
    return hashlib.sha256((folder / datasets.MANIFEST).read_bytes()).hexdigest()
