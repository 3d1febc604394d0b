"""Any transformers text-classification or zero-shot (NLI) checkpoint in place of our heads, by one setting.

A model is a local directory, or the name of one in the models folder. Nothing is downloaded here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytics.nlu.heads import softmax

MAX_TOKENS = 256
BATCH = 32
ZERO_SHOT_THRESHOLD = 0.6
CLASSIFIER_THRESHOLD = 0.5
HYPOTHESIS = "The customer is calling about this: {}."
_lock = threading.Lock()
_loaded: dict[str, Checkpoint] = {}


class CheckpointError(Exception):
    """The checkpoint cannot be used; the message names the cure."""


class Checkpoint:
    """A loaded sequence classifier; thread-safe, one per directory and process."""

    def __init__(self, directory: Path) -> None:
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise CheckpointError("checkpoints need the worker extra: pip install 'callcenter[worker]'") from error
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(str(directory), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{directory.name!r} is no text-classification checkpoint: {error}") from error
        self._torch, self._model, self.name = torch, model.eval(), directory.name
        self.labels = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
        self._guard = threading.Lock()

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Return softmax probabilities, shape (len(texts), labels); `pairs` are second sentences (hypotheses)."""
        out = np.zeros((len(texts), len(self.labels)), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        with self._guard, self._torch.inference_mode():
            for at in range(0, len(order), BATCH):
                rows = order[at : at + BATCH]
                second = [pairs[i] for i in rows] if pairs is not None else None
                batch = self._tokenizer(
                    [texts[i] for i in rows], second, padding=True, truncation=True, max_length=MAX_TOKENS,
                    return_tensors="pt",
                )  # fmt: skip
                out[rows] = softmax(self._model(**batch).logits.float().numpy())
        return out


def load_checkpoint(model: str, models_dir: Path) -> Checkpoint:
    """Return the checkpoint of a directory or of a name in the models folder. Raises CheckpointError."""
    directory = Path(model) if (Path(model) / "config.json").is_file() else models_dir / model
    if not (directory / "config.json").is_file():
        raise CheckpointError(
            f"no checkpoint {model!r}: give a local directory, or put it into the models folder as {model!r}"
        )
    key = str(directory.resolve())
    with _lock:
        if key not in _loaded:
            _loaded[key] = Checkpoint(directory)
        return _loaded[key]


def sentiment_columns(labels: Sequence[str]) -> list[float]:
    """Return the value from -1 to 1 of each label: by its name, by its stars, else by its place (LABEL_0 ...).

    Raises CheckpointError for labels that say nothing about sentiment.
    """
    values: list[float] = []
    for at, label in enumerate(labels):
        text = label.lower()
        stars = re.match(r"^(\d)\s*star", text)
        if stars:
            values.append((int(stars[1]) - 3) / 2)
        elif text.startswith("label_") and len(labels) in (2, 3):
            values.append(-1.0 + at * 2 / (len(labels) - 1))
        elif "neg" in text:
            values.append(-1.0)
        elif "pos" in text:
            values.append(1.0)
        elif "neu" in text:
            values.append(0.0)
        else:
            raise CheckpointError(f"label {label!r} names no sentiment (negative, neutral, positive or stars)")
    return values


def sentiment_probabilities(model: str, models_dir: Path, texts: Sequence[str]) -> np.ndarray:
    """Return (n, 3) probabilities of negative, neutral, positive; stars are shared out between them."""
    checkpoint = load_checkpoint(model, models_dir)
    values = np.array(sentiment_columns(checkpoint.labels))
    p = checkpoint.probabilities(texts)
    shares = np.stack([np.maximum(-values, 0), 1 - np.abs(values), np.maximum(values, 0)], axis=1)
    return p @ shares


@dataclass(frozen=True, slots=True)
class CheckpointIntents:
    """Intents by a checkpoint: its own labels, or zero-shot entailment of each intent's description."""

    checkpoint: Checkpoint
    names: tuple[str, ...]
    threshold: float
    hypotheses: tuple[str, ...] = ()
    entailment: int = -1
    contradiction: int = -1

    kind = "checkpoint"

    @property
    def key(self) -> str:
        return self.checkpoint.name

    def probabilities(self, texts: Sequence[str], vectors: np.ndarray | None) -> np.ndarray:
        if not self.hypotheses:
            return self.checkpoint.probabilities(texts)
        first = [t for t in texts for _ in self.hypotheses]
        second = [h for _ in texts for h in self.hypotheses]
        p = self.checkpoint.probabilities(first, second)
        yes = p[:, self.entailment]
        no = p[:, self.contradiction] if self.contradiction >= 0 else 1 - yes
        return (yes / np.maximum(yes + no, 1e-9)).reshape(len(texts), len(self.hypotheses))


def intent_checkpoint(model: str, models_dir: Path, intents: Sequence[dict[str, Any]]) -> CheckpointIntents:
    """Return an intent classifier on a checkpoint; one with an "entailment" label is used zero-shot."""
    checkpoint = load_checkpoint(model, models_dir)
    lower = [label.lower() for label in checkpoint.labels]
    if "entailment" in lower:
        texts = [str(i.get("description") or i["name"]).strip().rstrip(".") for i in intents]
        return CheckpointIntents(
            checkpoint,
            tuple(str(i["name"]) for i in intents),
            ZERO_SHOT_THRESHOLD,
            tuple(HYPOTHESIS.format(t[:1].lower() + t[1:]) for t in texts),
            lower.index("entailment"),
            lower.index("contradiction") if "contradiction" in lower else -1,
        )
    return CheckpointIntents(checkpoint, tuple(checkpoint.labels), CLASSIFIER_THRESHOLD)
