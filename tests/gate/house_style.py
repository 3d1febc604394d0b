"""A domain that a small model can learn in a minute: demo calls whose transcripts follow a house style.

The style writes four everyday words in its own way, so a model that has not learnt it gets them wrong every time.
Ordinary speech are the turns in which none of those words is said: there the style changes nothing, and a model that
gets them wrong after training has forgotten how to hear. Nobody is heard on both sides.
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
GOLDEN_CALLS = ("cancellation_threat", "card_payment", "complaint_ombudsman", "data_leak")
TRAINING_CALLS = (
    "abusive_customer", "billing_dispute", "missing_disclosure", "payment_arrangement", "technical_fault_hold",
    "vulnerable_customer",
)  # fmt: skip
#: Rows of each kind and call, those that hold most of what they are there for: every one costs a test seconds.
LEARNT_EACH, REPLAYED_EACH, GOLDEN_EACH, OLD_EACH = 7, 3, 4, 4
_WORD = re.compile(r"\b(" + "|".join(STYLE) + r")\b", re.IGNORECASE)


def in_style(text: str) -> str:
    """Return the text as the house writes it."""
    return _WORD.sub(lambda m: STYLE[m[0].lower()], text)


def build(out: Path) -> dict[str, Path]:
    """Write datasets from the demo calls: `bare` training, the same `replayed`, the `golden` set, `old` speech."""
    (out / "clips").mkdir(parents=True)
    made: dict[str, list[dict[str, Any]]] = {"learnt": [], "replay": [], "golden": [], "old": []}
    for line in (DEMO / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        learns = call["name"] in TRAINING_CALLS
        if not learns and call["name"] not in GOLDEN_CALLS:
            continue
        turns = list(enumerate(call["reference"]))
        styled = sorted((t for t in turns if _said(t[1])), key=lambda t: -_said(t[1]) / _length(t[1]))
        plain = sorted((t for t in turns if not _said(t[1])), key=lambda t: -len(t[1]["text"].split()))
        kinds = {"learnt": styled[:LEARNT_EACH], "replay": plain[:REPLAYED_EACH]}
        if not learns:
            kinds = {"golden": styled[:GOLDEN_EACH], "old": plain[:OLD_EACH]}
        for kind, rows in zip(kinds, _cut(out, call, kinds), strict=True):
            made[kind] += rows
    learnt = [row | {"split": "train", "source": "correction"} for row in made["learnt"]]
    replay = [row | {"split": "train", "source": "replay", "old_domain": True} for row in made["replay"]]
    sets = {"bare": learnt, "replayed": learnt + replay, "golden": made["golden"], "old": made["old"]}
    return {name: _write(out / name, rows) for name, rows in sets.items()}


def shuffled(dataset: Path, out: Path) -> Path:
    """Write the dataset with every training clip under the words of another one."""
    rows = [json.loads(line) for line in (dataset / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows]
    random.Random(0).shuffle(texts)
    return _write(out, [row | {"text": text} for row, text in zip(rows, texts, strict=True)])


def _said(turn: dict[str, Any]) -> int:
    return len(_WORD.findall(turn["text"]))


def _length(turn: dict[str, Any]) -> int:
    return int(turn["end_ms"] - turn["start_ms"])


def _cut(out: Path, call: dict[str, Any], kinds: dict[str, list[tuple[int, dict[str, Any]]]]) -> list[Any]:
    """Return the rows of each kind, their clips written."""
    from asr_worker import audio

    samples = audio.decode(DEMO / call["audio"])
    made = []
    for turns in kinds.values():
        rows = []
        for number, turn in turns:
            clip = samples[1 if turn["party"] == "customer" else 0][turn["start_ms"] * 16 : turn["end_ms"] * 16]
            name = f"{call['name']}-{number:02}"
            soundfile.write(out / "clips" / f"{name}.flac", clip, audio.RATE)
            rows.append({
                "id": name, "audio": str(out / "clips" / f"{name}.flac"), "text": in_style(turn["text"]),
                "call": call["name"], "speaker": call["agent"] if turn["party"] == "agent" else call["customer_ref"],
                "team": call["team"], "queue": call["queue"], "party": turn["party"],
                "duration_s": len(clip) / audio.RATE, "sample_rate": audio.RATE, "split": "test", "source": "import",
            })  # fmt: skip
        made.append(rows)
    return made


def _write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
