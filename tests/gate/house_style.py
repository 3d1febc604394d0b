"""A domain that a small model can learn in a minute: demo calls whose transcripts follow a house style.

The style writes four everyday words in its own way, so a model that has not learnt it gets them wrong every time.
Ordinary speech are the turns in which none of those words is said: there the style changes nothing, and a model that
gets them wrong after training has forgotten how to hear.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import soundfile

DEMO = Path(__file__).resolve().parents[2] / "callcenter" / "demo"
STYLE = {"you": "ye", "your": "yer", "can": "ken", "please": "pray"}
GOLDEN_CALLS = ("address_change", "cancellation_threat", "card_payment", "data_leak", "vulnerable_customer")
VALIDATION_CALL = "retention_callback"
_WORD = re.compile(r"\b(" + "|".join(STYLE) + r")\b", re.IGNORECASE)


def in_style(text: str) -> str:
    """Return the text as the house writes it."""
    return _WORD.sub(lambda m: STYLE[m[0].lower()], text)


def build(out: Path) -> tuple[Path, Path, Path, Path]:
    """Write four datasets from the demo calls: training without replay, with it, the golden set, ordinary speech."""
    from asr_worker import audio

    (out / "clips").mkdir(parents=True)
    styled: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    for line in (DEMO / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        samples = audio.decode(DEMO / call["audio"])
        for number, turn in enumerate(call["reference"]):
            channel = 1 if call["layout"] == "two_party" and turn["party"] == "customer" else 0
            clip = samples[channel][turn["start_ms"] * 16 : turn["end_ms"] * 16]
            name = f"{call['name']}-{number:02}"
            soundfile.write(out / "clips" / f"{name}.flac", clip, audio.RATE)
            row = {
                "id": name, "audio": str(out / "clips" / f"{name}.flac"), "text": in_style(turn["text"]),
                "call": call["name"], "speaker": f"{call['name']}-{turn['party']}", "team": call["team"],
                "queue": call["queue"], "party": turn["party"], "duration_s": len(clip) / audio.RATE,
                "sample_rate": audio.RATE, "split": "test",
            }  # fmt: skip
            if _WORD.search(turn["text"]):
                styled.append(row | {"source": "correction"})
            elif len(turn["text"].split()) > 3:
                plain.append(row | {"source": "replay", "old_domain": True})
    golden = [row for row in styled if row["call"] in GOLDEN_CALLS]
    learnt = [
        row | {"split": "validation" if row["call"] == VALIDATION_CALL else "train"}
        for row in styled
        if row["call"] not in GOLDEN_CALLS
    ]
    replay = [row | {"split": "train"} for row in plain if row["call"] not in (*GOLDEN_CALLS, VALIDATION_CALL)]
    old = [row for row in plain if row["call"] in GOLDEN_CALLS]
    return (
        _write(out / "bare", learnt), _write(out / "replayed", learnt + replay[:24]), _write(out / "golden", golden),
        _write(out / "old", old),
    )  # fmt: skip


def shuffled(dataset: Path, out: Path) -> Path:
    """Write the dataset with every training clip under the words of another one."""
    rows = [json.loads(line) for line in (dataset / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows]
    random.Random(0).shuffle(texts)
    return _write(out, [row | {"text": text} for row, text in zip(rows, texts, strict=True)])


def _write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
