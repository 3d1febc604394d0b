"""`python -m asr_worker.evaluate MANIFEST --model M`: how well what is served hears, in figures that can be compared.

A manifest holds one JSON object per line with `audio` (relative to the manifest) and `text`. Word and character
error rates are pooled over all rows, after the versioned normaliser. The audio goes the served way: voice activity,
packed clips, the engine, the guard. With RTTM or STM references, diarization error and cpWER are reported too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from asr_worker import audio
from asr_worker.engines import registry
from asr_worker.evaluation import evaluate_rows as evaluate_rows
from asr_worker.evaluation import hear_rows
from asr_worker.normalise import NORMALISER_VERSION, normalise
from asr_worker.types import PipelineSpec, SpeechError


@dataclass(slots=True)
class Figures:
    """What an evaluation found. Rates are fractions of the reference (0.05 is 5 %); None where there was none."""

    n: int = 0
    skipped: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    real_time_factor: float | None = None
    wer: float | None = None
    cer: float | None = None
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_words: int = 0
    empty_outputs: int = 0
    der: dict[str, float] = field(default_factory=dict)
    der_total: float | None = None
    cpwer: dict[str, float] = field(default_factory=dict)
    model: str = ""
    engine: str = ""
    compute_type: str = ""
    beam_size: int = 0
    normaliser: str = NORMALISER_VERSION


def read_manifest(path: Path, *, split: str = "", limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return (rows with words to compare, rows left out because their reference is marked as suspect).

    Raises ValueError naming the line that is not a manifest row.
    """
    rows, suspect = [], 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            row["path"] = path.parent / row["audio"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} of {path.name} is not a manifest row with `audio`") from error
        if split and row.get("split") != split:
            continue
        if row.get("suspect_reference"):
            suspect += 1
            continue
        rows.append(row)
    return (rows[:limit] if limit else rows), suspect


def word_figures(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, Any]:
    """Return pooled word and character errors of normalised texts; rows without reference words count insertions."""
    import jiwer

    said = [normalise(text) for text in references]
    heard = [normalise(text) for text in hypotheses]
    extra = sum(len(h.split()) for s, h in zip(said, heard, strict=True) if not s)
    pairs = [(s, h) for s, h in zip(said, heard, strict=True) if s]
    if not pairs:
        return {"insertions": extra}
    words = jiwer.process_words([s for s, _ in pairs], [h for _, h in pairs])
    total = words.hits + words.substitutions + words.deletions
    wrong = words.substitutions + words.deletions + words.insertions + extra
    return {
        "wer": round(wrong / total, 5),
        "cer": round(float(jiwer.cer([s for s, _ in pairs], [h for _, h in pairs])), 5),
        "substitutions": words.substitutions,
        "deletions": words.deletions,
        "insertions": words.insertions + extra,
        "reference_words": total,
        "empty_outputs": sum(not h for _, h in pairs),
    }


def transcribe_rows(rows: Sequence[dict[str, Any]], spec: PipelineSpec) -> tuple[list[str], float, float]:
    """Return (text per row, seconds of audio, wall seconds without loading the model)."""
    hearing = hear_rows(rows, spec)
    return hearing.texts, hearing.audio_seconds, hearing.wall_seconds


def read_rttm(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Return per recording the (start s, end s, speaker) of an RTTM file."""
    out: dict[str, list[tuple[float, float, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        part = line.split()
        if part and part[0] == "SPEAKER":
            start = float(part[3])
            out.setdefault(part[1], []).append((start, start + float(part[4]), part[7]))
    return out


def read_stm(path: Path) -> dict[str, list[tuple[float, float, str, str]]]:
    """Return per recording the (start s, end s, speaker, words) of an STM file."""
    out: dict[str, list[tuple[float, float, str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        part = line.split(maxsplit=5)
        if len(part) == 6 and not line.startswith(";;"):
            out.setdefault(part[0], []).append((float(part[3]), float(part[4]), part[2], part[5]))
    return out


def diarization_error(
    reference: Iterable[tuple[float, float, str]],
    hypothesis: Iterable[tuple[float, float, str]],
    *,
    duration: float,
    collar: float = 0.0,
) -> tuple[float, float]:
    """Return (errors in seconds, seconds of reference speech). `collar` is the no-score zone on each side, in s."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    def annotation(rows: Iterable[tuple[float, float, str]]) -> Any:
        made = Annotation()
        for i, (start, end, speaker) in enumerate(rows):
            made[Segment(start, end), i] = speaker
        return made

    # pyannote.metrics counts the collar's whole width, half of it on each side of a boundary.
    metric = DiarizationErrorRate(collar=2 * collar, skip_overlap=False)
    detail = metric(annotation(reference), annotation(hypothesis), uem=Timeline([Segment(0, duration)]), detailed=True)
    wrong = detail["missed detection"] + detail["false alarm"] + detail["confusion"]
    return float(wrong), float(detail["total"])


def cp_word_errors(reference: dict[str, str], hypothesis: dict[str, str]) -> float:
    """Return the concatenated minimum-permutation word error rate of texts per speaker."""
    import meeteval

    result = meeteval.wer.cp_word_error_rate(
        {k: normalise(v) for k, v in reference.items()}, {k: normalise(v) for k, v in hypothesis.items()}
    )
    return round(float(result.error_rate), 5)


def speakers_figures(
    rows: Sequence[dict[str, Any]], spec: PipelineSpec, *, rttm: Path | None, stm: Path | None, collar: float
) -> dict[str, Any]:
    """Return DER per recording and in all, and cpWER per recording where an STM gives words by speaker."""
    from asr_worker import assemble

    references = read_rttm(rttm) if rttm else {}
    words = read_stm(stm) if stm else {}
    engine = registry.diarizer(spec)
    der: dict[str, float] = {}
    cpwer: dict[str, float] = {}
    wrong = total = 0.0
    for row in rows:
        name = Path(row["path"]).stem
        if name not in references and name not in words:
            continue
        samples = audio.decode(row["path"]).mean(axis=0)
        segments = engine.diarize(
            samples,
            num_speakers=spec.num_speakers,
            min_speakers=spec.min_speakers,
            max_speakers=spec.max_speakers,
        )
        if name in references:
            bad, all_ = diarization_error(
                references[name],
                [(s.start_ms / 1000, s.end_ms / 1000, s.speaker) for s in segments],
                duration=len(samples) / audio.RATE,
                collar=collar,
            )
            der[name] = round(bad / all_, 5) if all_ else 0.0
            wrong, total = wrong + bad, total + all_
        if name in words:
            said = assemble.assign(registry.transcriber(spec).transcribe(samples, spec), segments)
            heard: dict[str, str] = {}
            for speaker, word in said:
                heard[speaker] = f"{heard.get(speaker, '')} {word.text}"
            expected: dict[str, str] = {}
            for _, _, speaker, text in words[name]:
                expected[speaker] = f"{expected.get(speaker, '')} {text}"
            cpwer[name] = cp_word_errors(expected, heard)
    return {"der": der, "der_total": round(wrong / total, 5) if total else None, "cpwer": cpwer}


def evaluate(
    manifest: Path,
    spec: PipelineSpec,
    *,
    split: str = "",
    limit: int = 0,
    rttm: Path | None = None,
    stm: Path | None = None,
    collar: float = 0.0,
) -> Figures:
    """Return the figures of one model on one manifest. Raises ValueError for a bad manifest, SpeechError else."""
    rows, suspect = read_manifest(manifest, split=split, limit=limit)
    figures = Figures(
        skipped=suspect,
        model=spec.model,
        engine=spec.transcriber,
        compute_type="float32" if spec.transcriber == "transformers" else spec.compute_type,
        beam_size=spec.beam_size,
    )
    spoken = [row for row in rows if row.get("text")]
    if spoken:
        texts, figures.audio_seconds, figures.wall_seconds = transcribe_rows(spoken, spec)
        for name, value in word_figures([row["text"] for row in spoken], texts).items():
            setattr(figures, name, value)
        figures.n = len(spoken)
        figures.real_time_factor = round(figures.wall_seconds / max(figures.audio_seconds, 1e-9), 4)
        figures.audio_seconds = round(figures.audio_seconds, 2)
        figures.wall_seconds = round(figures.wall_seconds, 2)
    if rttm or stm:
        for name, value in speakers_figures(rows, spec, rttm=rttm, stm=stm, collar=collar).items():
            setattr(figures, name, value)
        figures.n = max(figures.n, len(figures.der), len(figures.cpwer))
    return figures


def _print(figures: Figures) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", title=f"{figures.model} with {figures.engine} {figures.compute_type}")
    for name, value in asdict(figures).items():
        if value not in (None, {}, "") and name not in ("model", "engine", "compute_type"):
            table.add_row(name.replace("_", " "), str(value))
    Console().print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after printing what is wrong with the arguments or the models."""
    parser = argparse.ArgumentParser(prog="python -m asr_worker.evaluate", description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", default=PipelineSpec().model, help="catalogue name or directory")
    parser.add_argument("--engine", default="faster-whisper", choices=sorted(registry.TRANSCRIBERS))
    parser.add_argument("--adapter", default="", help="directory of a PEFT adapter (engine transformers)")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--device", default=os.environ.get("SPEECH_DEVICE") or "cpu")
    parser.add_argument("--language", default="en")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--diarization", type=Path, metavar="RTTM", help="reference speakers; adds DER")
    parser.add_argument("--stm", type=Path, help="reference words by speaker; adds cpWER")
    parser.add_argument("--collar", type=float, default=0.0, help="no-score zone on each side of a boundary, in s")
    parser.add_argument("--num-speakers", type=int, default=0, help="0: find out")
    parser.add_argument("--split", default="", help="only rows of this split")
    parser.add_argument("--limit", type=int, default=0, help="only the first N rows")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    spec = PipelineSpec(
        transcriber=args.engine, model=args.model, adapter=args.adapter, compute_type=args.compute_type,
        device=args.device, language=args.language, beam_size=args.beam_size, batch_size=args.batch_size,
        num_speakers=args.num_speakers,
    )  # fmt: skip
    try:
        figures = evaluate(
            args.manifest, spec, split=args.split, limit=args.limit, rttm=args.diarization, stm=args.stm,
            collar=args.collar,
        )  # fmt: skip
    except (SpeechError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(asdict(figures)))
    else:
        _print(figures)
    return 0


if __name__ == "__main__":
    np.seterr(all="ignore")
    raise SystemExit(main())
