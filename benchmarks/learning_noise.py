"""Word error rate against noise and the telephone band, for models trained with and without hearing them.

Every model hears the same clips: clean, with noise 20, 10, 5 and 0 dB below the speech (white, pink, babble of other
clips and mains hum in turn), and through the telephone band with G.711. Models are directories as `asr_worker.export`
leaves them, so what is measured is what would be served.

    python -m benchmarks.learning_noise --model plain=DIR --model augmented=DIR --limit 40
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import data_dir, finish
from benchmarks.learning_steps import NORMALISERS, basic

SNRS_DB = (20, 10, 5, 0)
CONDITIONS = ("clean", *(f"{snr} dB" for snr in SNRS_DB), "telephone")
_KINDS = ("white", "pink", "babble", "hum")
_VOICES = 12


def disturbed(samples: np.ndarray, condition: str, number: int, voices: Sequence[np.ndarray]) -> np.ndarray:
    """Return float32 [samples] of clip `number` under a condition; the same clip sounds the same every time."""
    from asr_worker.training import augment, telephony

    if condition == "clean":
        return samples
    if condition == "telephone":
        return telephony.g711(telephony.band(samples))
    rng = np.random.default_rng([number, CONDITIONS.index(condition)])
    kind = _KINDS[number % len(_KINDS)]
    if kind == "babble":
        sound = augment.babble(samples, [v for v in voices if v is not samples], rng)
    else:
        sound = augment.noise(kind, len(samples), rng)
    return augment.add_noise(samples, sound, float(condition.split()[0]))


def table(
    models: Mapping[str, Path | str],
    rows: Sequence[dict[str, Any]],
    *,
    spec: Any = None,
    conditions: Sequence[str] = CONDITIONS,
) -> list[dict[str, Any]]:
    """Return one row per model and normaliser: `model`, `normaliser`, `words`, and the error rate per condition.

    `rows` are those of `datasets.read`; the spec decides everything but the model.
    """
    import soundfile

    from asr_worker import audio
    from asr_worker.evaluate import evaluate_rows
    from asr_worker.types import PipelineSpec

    spec = spec or PipelineSpec()
    clips = [audio.decode(row["path"]).mean(axis=0) for row in rows]
    out = [{"model": name, "normaliser": normaliser, "words": 0} for normaliser in NORMALISERS for name in models]
    with tempfile.TemporaryDirectory(prefix="noise-") as place:
        heard: dict[str, list[dict[str, Any]]] = {}
        for condition in conditions:
            heard[condition] = []
            folder = Path(place) / condition.replace(" ", "")
            folder.mkdir()
            for number, (row, clip) in enumerate(zip(rows, clips, strict=True)):
                changed = disturbed(clip, condition, number, clips[:_VOICES])
                path = folder / f"{number}.flac"
                # Loud noise would be cut off by the file; level is nothing that a recogniser here minds.
                soundfile.write(path, changed / max(1.0, float(np.abs(changed).max(initial=0.0)) / 0.99), audio.RATE)
                heard[condition].append({**row, "path": path})
        for number, folder_of in enumerate(models.values()):  # one model at a time stays warm
            for condition in conditions:
                found = evaluate_rows(heard[condition], replace(spec, model=str(folder_of)), name=condition)
                plain = [basic(r["text"], e["hypothesis"]) for r, e in zip(rows, found["rows"], strict=True)]
                words, errors = (sum(e[key] for e in plain) for key in ("basic_words", "basic_errors"))
                totals = {"basic": (words, errors), "en-1": (found["pooled"]["words"], found["pooled"]["errors"])}
                for line in out[number :: len(models)]:
                    line["words"], wrong = totals[line["normaliser"]]
                    line[condition] = round(wrong / max(1, line["words"]), 5)
    return out


def show(rows: Sequence[dict[str, Any]], title: str = "Word error rate against noise") -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    conditions = [key for key in rows[0] if key not in ("model", "words", "normaliser")]
    shown = Table("model", "normaliser", *conditions, title=title)
    for row in rows:
        shown.add_row(row["model"], row["normaliser"], *(f"{100 * row[c]:.1f} %" for c in conditions))
    Console(width=110).print(shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the last line is for machines. Returns 2 where the data or a model is missing."""
    from asr_worker import datasets
    from asr_worker.types import PipelineSpec, SpeechError

    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_noise", description=__doc__)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=DIR", help="may be given many times")
    parser.add_argument("--data", default="", help="folder of a dataset (default: spelled_entities of DATA)")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=0, help="only the first N clips")
    parser.add_argument("--beam-size", type=int, default=5)
    args = parser.parse_args(argv)
    models = dict(one.partition("=")[::2] for one in args.model) or {"whisper-tiny.en": "whisper-tiny.en"}
    folder = Path(args.data) if args.data else data_dir() / "spelled_entities"
    try:
        rows = datasets.read(folder, splits=(args.split,) if args.split else ())
        made = table(models, rows[: args.limit or None], spec=PipelineSpec(beam_size=args.beam_size))
    except SpeechError as error:
        print(f"error: {error}")
        return 2
    show(made)
    return finish({"rows": made}, {}, True)


if __name__ == "__main__":
    raise SystemExit(main())
