"""Clips of the scripted demo calls as datasets in a store: what tests of the real loop learn from and are judged on.

The company in these tests writes its name in a way no recogniser can guess; people correct it, and the model learns it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr_worker import audio, datasets
from asr_worker.storage import Store

DEMO = Path(__file__).resolve().parents[2] / "callcenter" / "demo"
SPOKEN, WRITTEN = "Silverbrook", "Sylverbrooke"
_MARGIN_MS = 100
Row = dict[str, Any]


def house_style(text: str) -> str:
    """Return the text as the people of this company correct it."""
    return text.replace(SPOKEN, WRITTEN)


@lru_cache(maxsize=32)
def _channels(path: str) -> np.ndarray:
    return audio.decode(Path(path))


def turns(*, calls: tuple[str, ...] = ()) -> Iterator[tuple[Row, Row, np.ndarray]]:
    """Yield (call, turn, float32 [samples] at 16 kHz) of the scripted two-channel calls."""
    for line in (DEMO / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if call["layout"] != "two_party" or (calls and call["name"] not in calls):
            continue
        channels = _channels(str(DEMO / call["audio"]))
        for turn in call["reference"]:
            begin, end = turn["start_ms"] - _MARGIN_MS, turn["end_ms"] + _MARGIN_MS
            yield call, turn, channels[0 if turn["party"] == "agent" else 1][max(0, begin) * 16 : end * 16]


def file_rows(
    store: Store,
    wanted: Callable[[Row, Row], dict[str, Any] | None],
    *,
    calls: tuple[str, ...] = (),
    change: Callable[[np.ndarray, str], np.ndarray] = lambda samples, key: samples,
) -> list[Row]:
    """Store the clips of the turns for which `wanted(call, turn)` returns the row's own values, and return the rows."""
    rows = []
    for number, (call, turn, samples) in enumerate(turns(calls=calls)):
        values = wanted(call, turn)
        if values is None:
            continue
        key = f"{call['name']}-{number:03}"
        buffer = io.BytesIO()
        changed = change(samples, key)
        soundfile.write(buffer, changed, audio.RATE, format="FLAC")
        sha256 = datasets.put_clip(store, buffer.getvalue())
        rows.append(
            {
                "id": key,
                "audio": datasets.clip_name(sha256),
                "sha256": sha256,
                "duration_s": round(len(changed) / audio.RATE, 3),
                "sample_rate": audio.RATE,
                "text": turn["text"],
                "call": call["name"],
                "speaker": call["agent"] if turn["party"] == "agent" else call["customer_ref"],
                "party": turn["party"],
                "team": call["team"],
                "queue": call["queue"],
                "agent": call["agent"],
                "source": "correction",
                **values,
            }
        )
    return rows


def named(call: Row, turn: Row, split: str) -> dict[str, Any] | None:
    """Return the values of an agent's turn that names the company, corrected; None for every other turn."""
    if turn["party"] != "agent" or SPOKEN not in turn["text"]:
        return None
    return {"text": house_style(turn["text"]), "split": split}


def general(call: Row, turn: Row, split: str, source: str) -> dict[str, Any] | None:
    """Return the values of a customer's turn without the company's name: what must not be forgotten."""
    if turn["party"] != "customer" or SPOKEN in turn["text"] or len(turn["text"].split()) < 5:
        return None
    return {"split": split, "source": source, "old_domain": True}


def file_dataset(store: Store, rows: list[Row]) -> str:
    """Store the manifest and return its key."""
    return datasets.manifest_key(datasets.put_manifest(store, rows))
