"""The learning benchmark's datasets, built from the folders of DATA.md: new domain, replay of the old one, tests.

Rows keep the place of their audio, so nothing is copied. Training, test and old-domain speakers are disjoint, and
replayed read speech is labelled by the base model itself: what it must not forget is how it hears now.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NEW, OLD = "spelled_entities", "librispeech_other"
PSEUDO, PSEUDO_ROWS = "librispeech_untranscribed", 100
REPLAY = {"common_voice": 61, "asterisk_prompts": 20}
#: Where the clips' encoder outputs are kept for all fits, within the work folder.
CACHE = "cache"
_MOST_TOKENS = 150
NEEDED = (NEW, OLD, PSEUDO, *REPLAY)


def missing(data: Path) -> list[str]:
    """Return the folders that are not there."""
    return [name for name in NEEDED if not (data / name / "manifest.jsonl").is_file()]


def _rows(data: Path, name: str, split: str = "") -> list[dict[str, Any]]:
    lines = (data / name / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    rows = [r for r in rows if not r.get("suspect_reference") and (not split or r.get("split") == split)]
    for number, row in enumerate(rows):
        row["id"] = f"{name}-{number:04}"
        row["speaker"] = f"{name}:{row['speaker']}"
        row["audio"] = str((data / name / row["audio"]).resolve())
    return rows


def _write(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_sets(data: Path, out: Path) -> tuple[Path, Path]:
    """Return the folders of the new domain's test speakers and of the old domain."""
    new = [{**r, "call": r["speaker"]} for r in _rows(data, NEW, "test")]
    old = [{**r, "call": r["speaker"]} for r in _rows(data, OLD, "test")]
    return _write(out / "test-new", new), _write(out / "test-old", old)


def training_set(data: Path, out: Path, base: str, *, replay: bool = True) -> tuple[Path, float]:
    """Return the training dataset's folder and the seconds that labelling the replayed speech took."""
    rows = [{**r, "source": "correction", "split": "train"} for r in _rows(data, NEW, "train")]
    seconds = 0.0
    if replay:
        for name, most in REPLAY.items():
            found = _rows(data, name, "train")
            chosen = random.Random(7).sample(found, min(most, len(found)))
            rows += [{**r, "source": "replay", "split": "train"} for r in chosen]
        began = time.perf_counter()
        rows += _labelled(random.Random(7).sample(_rows(data, PSEUDO), PSEUDO_ROWS), base, out / CACHE)
        seconds = time.perf_counter() - began
    return _write(out / ("train" if replay else "train-without-replay"), rows), seconds


def _labelled(rows: list[dict[str, Any]], base: str, cache: Path) -> list[dict[str, Any]]:
    """Return the rows with what the base model hears, greedily, over encoder outputs that the fit then finds there."""
    from asr_worker.engines import guard
    from asr_worker.engines.registry import find_model
    from asr_worker.training import families
    from asr_worker.training.cache import ClipCache
    from asr_worker.training.clips import Clips
    from asr_worker.training.data import Example

    place = find_model(base)
    family = families.load(place)
    examples = [Example.of({**row, "path": row["audio"], "text": "unknown"}) for row in rows]
    clips = Clips(family, ClipCache.of_base(cache, place), "encoder").add(examples)
    order = sorted(range(len(clips)), key=lambda i: clips.lengths[i])
    heard: dict[str, str] = {}
    for at in range(0, len(order), 20):
        part = order[at : at + 20]
        inputs = [clips.cache.get(clips.key(clips.examples[i])) for i in part]
        prompts = [family.prompt("en") for _ in part]
        # The labels of a batch say no more here than how long a text may become.
        batch = family.collate(inputs, [[0] * _MOST_TOKENS for _ in part], [len(p) for p in prompts], "encoder")
        texts = family.transcribe(batch, prompts)
        heard.update({clips.examples[i].id: text for i, text in zip(part, texts, strict=True)})
    return [
        {**row, "text": heard[row["id"]], "source": "pseudo", "split": "train"}
        for row in rows
        if heard.get(row["id"]) and not guard.is_loop(heard[row["id"]])
    ]
