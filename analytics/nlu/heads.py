"""Small calibrated linear heads on sentence vectors: trained in seconds, kept as plain arrays (.npz, never a pickle).

Multinomial logistic regression, then one temperature found on out-of-fold scores (Guo et al., "On Calibration of
Modern Neural Networks", ICML 2017), so that a probability means what it says. Using a head needs numpy alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HEAD_VERSION = 1
FOLDS = 5
_memory: dict[str, LinearHead] = {}


@dataclass(frozen=True, slots=True)
class LinearHead:
    """`weights` (classes, dim), `bias` (classes,), a temperature, and whatever figures its trainer wants to keep."""

    classes: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    temperature: float = 1.0
    extra: dict[str, float] = field(default_factory=dict)

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        return vectors @ self.weights.T + self.bias

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, shape (len(vectors), len(classes))."""
        return softmax(self.logits(vectors) / self.temperature)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def fit(vectors: np.ndarray, labels: np.ndarray, classes: int, *, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (weights, bias) of a balanced multinomial logistic regression with inverse regularisation `strength`.

    Plain L-BFGS on the convex loss, started at zero: no randomness, so the same text gives the same head. One thread:
    the matrices are small, and threads that wait for each other on a busy worker cost ten times the work.
    """
    from scipy.optimize import minimize

    count, dim = vectors.shape
    sizes = np.bincount(labels, minlength=classes)
    balance = (count / (classes * np.maximum(sizes, 1)))[labels]
    target = np.eye(classes)[labels]
    data = vectors.astype(np.float64)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[: classes * dim].reshape(classes, dim), flat[classes * dim :]
        p = softmax(data @ weights.T + bias)
        value = -(balance * np.log(np.maximum((p * target).sum(1), 1e-12))).sum() + 0.5 / strength * (weights**2).sum()
        error = balance[:, None] * (p - target)
        return value, np.concatenate([(error.T @ data + weights / strength).ravel(), error.sum(0)])

    options = {"maxiter": 100, "gtol": 1e-3, "maxcor": 5}
    with _one_thread():
        flat = minimize(loss, np.zeros(classes * (dim + 1)), jac=True, method="L-BFGS-B", options=options).x
    return flat[: classes * dim].reshape(classes, dim).astype(np.float32), flat[classes * dim :].astype(np.float32)


def _one_thread() -> AbstractContextManager[Any]:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)


def folds(labels: np.ndarray, count: int = FOLDS) -> np.ndarray:
    """Return a fold number per row, each class spread evenly over the folds, the same every time."""
    out = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        out[rows] = (np.arange(len(rows)) + int(label)) % count
    return out


def out_of_fold(
    vectors: np.ndarray, labels: np.ndarray, classes: int, *, strength: float, fold: np.ndarray | None = None
) -> np.ndarray:
    """Return logits for every row from a head that has not seen it; a row of fold -1 is always seen and gets zeros."""
    fold = folds(labels) if fold is None else fold
    logits = np.zeros((len(labels), classes), np.float32)
    for k in range(FOLDS):
        held = fold == k
        if held.any():
            weights, bias = fit(vectors[~held], labels[~held], classes, strength=strength)
            logits[held] = vectors[held] @ weights.T + bias
    return logits


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the least log loss on these (out-of-fold) logits."""
    grid = np.geomspace(0.1, 5.0, 60)
    rows = np.arange(len(labels))
    losses = [-np.log(np.maximum(softmax(logits / t)[rows, labels], 1e-12)).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def macro_f1(truth: np.ndarray, said: np.ndarray, classes: int) -> float:
    """Return the unweighted mean F1 over the classes."""
    scores = []
    for k in range(classes):
        hit = int(((truth == k) & (said == k)).sum())
        total = int((truth == k).sum() + (said == k).sum())
        scores.append(2 * hit / total if total else 0.0)
    return float(np.mean(scores))


def content_key(*parts: Any) -> str:
    """Return 20 hex digits that change with anything the head depends on."""
    text = json.dumps([HEAD_VERSION, *parts], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def cached(name: str, key: str, cache_dir: Path | None, train: Callable[[], LinearHead]) -> LinearHead:
    """Return the head of this key from memory, else from disk, else trained now and stored.

    No folder, or one that cannot be written, costs a training per process and nothing else; a damaged file is trained
    anew.
    """
    if key in _memory:
        return _memory[key]
    path = cache_dir / f"{name}-{key}.npz" if cache_dir is not None else None
    head = _read(path) if path is not None else None
    if head is None:
        head = train()
        if path is not None:
            _write(path, head)
    if len(_memory) > 64:
        _memory.clear()
    _memory[key] = head
    return head


def _read(path: Path) -> LinearHead | None:
    try:
        with np.load(path, allow_pickle=False) as data:
            meta = json.loads(str(data["meta"]))
            return LinearHead(tuple(meta["classes"]), data["weights"], data["bias"], meta["temperature"], meta["extra"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, head: LinearHead) -> None:
    meta = json.dumps({"classes": head.classes, "temperature": head.temperature, "extra": head.extra})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez(file, weights=head.weights, bias=head.bias, meta=np.array(meta))
        os.replace(file.name, path)
    except OSError:
        return
