"""Intents read by sentence vectors that were fitted to the taxonomy: slower to train than the plain head, and better.

`train_tuned` first makes a trial: every fifth example of each intent and every tenth intent as a whole are kept away,
and what the trial says of them gives the temperature, the threshold of `unknown` and the answer to whether fitting
pays, beside the plain head on the same rows. Then it fits on everything. The result is a file named by the hash of all
that it depends on; `understand` uses it where it is there for the taxonomy as it stands, and the plain head otherwise.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analytics.nlu import heads
from analytics.nlu.contrastive import Recipe, TunedEncoder, tune
from analytics.nlu.embedding import Embedder, MiniLM
from analytics.nlu.intent import OTHER, IntentError, Lessons, lessons_of, plain_probabilities, threshold_of

VERSION = 1
STRENGTH = 10.0
#: Few examples are seen more often than many: about so many rows pass through the encoder, within these epochs.
ROWS_TO_SEE = 6_000
EPOCHS = (3, 8)
MIN_TRIAL = 20
HOLD_EVERY, LEAVE_OUT_EVERY = 5, 10
#: With so few intents none can be spared in the trial; then `unknown` begins no lower than at an even chance.
FEW_INTENTS = 4
EVEN = 0.5
Progress = Callable[[float], None]
_memory: dict[Path, TunedHead] = {}


@dataclass(frozen=True, slots=True)
class TunedHead:
    """A linear head on the plain and the fitted vectors of a sentence, side by side."""

    encoder: TunedEncoder
    head: heads.LinearHead
    key: str

    kind = "tuned"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c for c in self.head.classes if c != OTHER)

    @property
    def threshold(self) -> float:
        return self.head.extra["threshold"]

    def probabilities(self, texts: Sequence[str], vectors: np.ndarray | None) -> np.ndarray:
        """Return (texts, names) probabilities."""
        assert vectors is not None
        keep = [i for i, c in enumerate(self.head.classes) if c != OTHER]
        return self.head.probabilities(features(self.encoder.encode(texts), vectors))[:, keep]


def features(fitted: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Return what the head reads: fitted mean, fitted maximum and plain vector, together of length one."""
    return np.concatenate([fitted, plain], axis=1) / np.float32(3**0.5)


def recipe_for(rows: int) -> Recipe:
    """Return the recipe for so many rows: the fewer there are, the more often each is seen."""
    low, high = EPOCHS
    return replace(Recipe(), epochs=int(np.clip(round(ROWS_TO_SEE / max(1, rows)), low, high)))


def tuned_key(lessons: Lessons, fingerprint: str) -> str:
    """Return the hash of everything a fitted head depends on."""
    recipe = recipe_for(len(lessons.texts)).key
    return heads.content_key("tuned", VERSION, fingerprint, lessons.key, recipe, STRENGTH)


def tuned_path(cache_dir: Path, key: str) -> Path:
    return cache_dir / f"intent-tuned-{key}.npz"


def tuned_head(lessons: Lessons, embedder: Embedder, cache_dir: Path) -> TunedHead | None:
    """Return the fitted head of exactly these lessons, if one was made and is better than the plain head."""
    if not isinstance(embedder, MiniLM):
        return None
    key = tuned_key(lessons, embedder.fingerprint)
    path = tuned_path(cache_dir, key)
    if path not in _memory:
        if not path.is_file():
            return None
        head = _read(path, embedder, key)
        if head is None:
            return None
        if len(_memory) > 4:
            _memory.clear()
        _memory[path] = head
    head = _memory[path]
    return head if head.head.extra["pays"] else None


def train_tuned(config: dict[str, Any], *, progress: Progress | None = None) -> dict[str, float]:
    """Fit sentence vectors and a head to the configuration's taxonomy and relabels; store them; return the figures.

    `config` is what `understand` takes. Minutes of work for some hundred examples: meant for a job in the background.
    `progress` is told the share done and may raise to stop, in which case nothing is stored. Figures: `trial_accuracy`
    and `trial_accuracy_plain` on examples that neither had seen, `trial_rows` of them, and `pays`, 1 where the fitted
    head is the better one: only then `understand` uses it. Done already for these very lessons, it costs nothing.
    Raises IntentError when the taxonomy cannot be learned or no model is there that can be fitted.
    """
    from analytics.nlu.embedding import EmbedderMissing, load
    from analytics.nlu.understand import Settings

    settings = Settings.of(config)
    lessons = lessons_of(settings.intents, settings.relabelled)
    try:
        embedder = settings.embedder if settings.embedder is not None else load(settings.models_dir)
    except EmbedderMissing as error:
        raise IntentError(str(error)) from error
    if not isinstance(embedder, MiniLM):
        raise IntentError("only the sentence model MiniLM can be fitted")
    if len(lessons.names) < 2:
        raise IntentError("fitting sentence vectors needs at least two intents")
    key = tuned_key(lessons, embedder.fingerprint)
    path = tuned_path(settings.cache_dir, key)
    head = _read(path, embedder, key) if path.is_file() else None
    if head is None:
        head = fit_tuned(lessons, embedder, key, progress=progress)
        _write(path, head)
    return dict(head.head.extra)


def fit_tuned(lessons: Lessons, embedder: MiniLM, key: str = "", *, progress: Progress | None = None) -> TunedHead:
    """Return the fitted head of these lessons, with temperature and threshold from what the trial had not seen."""
    recipe = recipe_for(len(lessons.texts))
    states = embedder.states(lessons.texts, recipe.depth)
    vectors = embedder.encode(lessons.texts)
    classes = len(lessons.names) + 1
    extra = _trial(lessons, embedder, states, vectors, recipe, _half(progress, 0.0))
    encoder, _ = tune(embedder, states, lessons.labels, classes, recipe, progress=_half(progress, 0.5))
    data = features(encoder.encode_states(states), vectors)
    times = lessons.times
    weights, bias = heads.fit(
        np.repeat(data, times, axis=0), np.repeat(lessons.labels, times), classes, strength=STRENGTH
    )
    t = extra.pop("temperature")
    return TunedHead(encoder, heads.LinearHead((*lessons.names, OTHER), weights, bias, t, extra), key)


def _half(progress: Progress | None, start: float) -> Progress | None:
    return None if progress is None else lambda done: progress(start + done / 2)


def _trial(
    lessons: Lessons, embedder: MiniLM, states: Any, vectors: np.ndarray, recipe: Recipe, progress: Progress | None
) -> dict[str, float]:
    """Return temperature, threshold and figures from a fit that has not seen every fifth row nor every tenth intent."""
    labels, other = lessons.labels, len(lessons.names)
    every = min(LEAVE_OUT_EVERY, other)
    left_out = (np.arange(other) % every == every - 1) & (other >= FEW_INTENTS)
    unseen = np.append(left_out, False)[labels]
    held = (heads.folds(labels, HOLD_EVERY) == 0) & ~lessons.hints & ~unseen
    train = ~held & ~unseen
    kept = np.unique(labels[train])
    index = np.full(other + 1, -1)
    index[kept] = np.arange(len(kept))
    encoder, _ = tune(
        embedder, states.pick(np.flatnonzero(train)), index[labels[train]], len(kept), recipe, progress=progress
    )
    data = features(encoder.encode_states(states), vectors)
    times = lessons.times[train]
    weights, bias = heads.fit(
        np.repeat(data[train], times, axis=0), np.repeat(index[labels[train]], times), len(kept), strength=STRENGTH
    )
    scored = held & (index[labels] >= 0)
    logits = data @ weights.T + bias
    t = heads.temperature(logits[scored], index[labels[scored]])
    known = scored & (labels != other)
    p = heads.softmax(logits / t)[:, kept != other]
    right = p[known].argmax(1) == index[labels[known]]
    talk, away = p[scored & (labels == other)].max(1), p[unseen & ~lessons.hints].max(1)
    threshold = threshold_of(p[known].max(1)[right], talk, away)
    threshold = threshold if len(away) else max(EVEN, threshold)
    plain = plain_probabilities(vectors, index[labels], train, known, len(kept), lessons.times)[:, kept != other]
    plain_right = plain.argmax(1) == index[labels[known]]
    accuracy, accuracy_plain = float(right.mean()), float(plain_right.mean())
    return {
        "temperature": t,
        "threshold": threshold,
        "trial_rows": float(known.sum()),
        "trial_accuracy": accuracy,
        "trial_accuracy_plain": accuracy_plain,
        "trial_known_kept": float((p[known].max(1)[right] >= threshold).mean()) if right.any() else 0.0,
        "trial_unseen_refused": float((away < threshold).mean()) if len(away) else 0.0,
        "pays": float(int(known.sum()) >= MIN_TRIAL and accuracy >= accuracy_plain),
    }


def _write(path: Path, head: TunedHead) -> None:
    """Store the head. Raises IntentError where the folder cannot be written: a job's result must not vanish quietly."""
    linear = head.head
    meta = {"classes": linear.classes, "temperature": linear.temperature, "extra": linear.extra}
    arrays: dict[str, Any] = {f"layer.{name}": array for name, array in head.encoder.arrays().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez(
                file, weights=linear.weights, bias=linear.bias, meta=np.array(json.dumps(meta)),
                depth=np.array(head.encoder.depth), **arrays,
            )  # fmt: skip
        os.replace(file.name, path)
    except OSError as error:
        raise IntentError(f"the fitted head could not be stored: {error.strerror}") from error


def _read(path: Path, embedder: MiniLM, key: str) -> TunedHead | None:
    """Return a stored head; None for a damaged file, which is as good as none."""
    try:
        with np.load(path, allow_pickle=False) as data:
            meta = json.loads(str(data["meta"]))
            arrays = {name.removeprefix("layer."): data[name] for name in data.files if name.startswith("layer.")}
            encoder = TunedEncoder.of_arrays(embedder, arrays, int(data["depth"]))
            linear = heads.LinearHead(
                tuple(meta["classes"]), data["weights"], data["bias"], meta["temperature"], meta["extra"]
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return TunedHead(encoder, linear, key)
