"""What a fine-tuning leaves behind, in one value that is also its `fit.json`, and the model card that tells it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr_worker.normalise import NORMALISER_VERSION


@dataclass(frozen=True, slots=True)
class FitResult:
    """Figures of one fine-tuning. Word error rates are fractions on held-out speakers, greedy, before any export.

    `seconds` is the whole call that finished it; `seconds_per_epoch` counts optimiser steps alone. `curve` holds one
    {"step", "epoch", "loss", "wer"} per validation. `mergeable` says whether `checkpoint` is all that is needed.
    """

    method: str
    steps: int
    epochs: float
    best_step: int
    train_loss: float
    validation_wer_before: float
    validation_wer_after: float
    seconds: float
    seconds_per_epoch: float
    trainable_parameters: int
    parameters: int
    averaged_with_base: float
    resumed_from_step: int
    curve: list[dict[str, Any]]
    checkpoint: str
    mergeable: bool
    base_fingerprint: str
    old_wer_before: float | None = None
    old_wer_after: float | None = None
    rows: dict[str, int] = field(default_factory=dict)
    rows_left_out: int = 0
    validation_rows: int = 0
    dataset_sha256: str = ""
    normaliser: str = NORMALISER_VERSION
    config: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> FitResult:
        known = set(cls.__dataclass_fields__)
        return cls(**{k: v for k, v in doc.items() if k in known})


def fingerprint(base: Path) -> str:
    """Return 32 hex digits over a checkpoint's configuration and weights: one fingerprint means one base."""
    digest = hashlib.sha256()
    for path in sorted([base / "config.json", *base.glob("*.safetensors"), *base.glob("pytorch_model*.bin")]):
        if path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as source:
                digest.update(hashlib.file_digest(source, "sha256").digest())
    return digest.hexdigest()[:32]


def card(base: Path, result: FitResult) -> str:
    """Return the model card: where the model comes from, what it was taught, how it was measured."""
    settings = json.dumps(result.config, sort_keys=True)
    rows = "\n".join(f"| {source} | {count} |" for source, count in result.rows.items())
    old = "not measured"
    if result.old_wer_before is not None and result.old_wer_after is not None:
        old = f"{result.old_wer_before:.4f} before, {result.old_wer_after:.4f} after"
    averaged = f"{result.averaged_with_base:.0%} of the base weights mixed in" if result.averaged_with_base else "none"
    served = "an ordinary checkpoint" if result.mergeable else "the base and the adapter, engine transformers only"
    return f"""# {base.name}, fine-tuned

| | |
|---|---|
| base | {base.name} |
| base fingerprint | `{result.base_fingerprint}` |
| dataset SHA-256 | `{result.dataset_sha256}` |
| method | {result.method} |
| learned | {result.trainable_parameters:,} of {result.parameters:,} parameters |
| steps | {result.steps} ({result.epochs} epochs), best after {result.best_step} |
| weight averaging with the base | {averaged} |
| result | {served} |
| normaliser | {result.normaliser} |

## Taught on

| source | rows |
|---|---|
{rows}

{result.rows_left_out} rows were left out (no words, or longer than the model's window).

## Measured on speakers who were not taught

Greedy decoding before export, {result.validation_rows} rows. What counts for serving is the evaluation of the export.

- word error rate: {result.validation_wer_before:.4f} before, {result.validation_wer_after:.4f} after
- old domain: {old}

## Settings

`{settings}`
"""
