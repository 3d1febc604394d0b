"""Groups voice embeddings into speakers: agglomerative on centroids, with bounds on how many speakers may come out.

Which embeddings are clean enough to found a speaker, how much speech a speaker needs at least and how far apart two
centroids may be and still be one speaker are parameters; the ADR says on which recordings they were tuned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """`threshold` is a Euclidean distance between centroids of unit vectors (0..2); the others are seconds of speech.

    An embedding founds speakers if it has `train_seconds` of its speaker alone. A speaker has at least
    `speaker_seconds`, or `speaker_share` of all the seconds where that is less. At most `cap` embeddings found
    speakers: linkage needs memory in the square of their number.
    """

    threshold: float = 0.7
    train_seconds: float = 1.0
    speaker_seconds: float = 6.0
    speaker_share: float = 0.1
    cap: int = 2500


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors at length 1; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def find_speakers(
    embeddings: np.ndarray,
    seconds: np.ndarray,
    *,
    num_speakers: int = 0,
    min_speakers: int = 1,
    max_speakers: int = 20,
    settings: ClusterSettings,
) -> np.ndarray:
    """Return (speakers, dimension) unit centroids, at least one, deterministic for equal input.

    `embeddings` is (n, dimension) with n >= 1, `seconds` (n,) says how much clean speech is behind each.
    `num_speakers` above 0 asks for exactly that many: fewer come out only where there are fewer embeddings.
    """
    chosen = np.flatnonzero(seconds >= settings.train_seconds)
    if len(chosen) < max(1, num_speakers or min_speakers):
        chosen = np.argsort(-seconds, kind="stable")[: max(8, num_speakers, min_speakers)]
    if len(chosen) > settings.cap:
        # The longest would all come from the most talkative speaker, so thin out evenly over time.
        chosen = chosen[np.linspace(0, len(chosen) - 1, settings.cap).round().astype(int)]
    chosen = np.sort(chosen)
    vectors, weights = unit(embeddings[chosen].astype(np.float64)), np.maximum(seconds[chosen], 0.05)
    low, high = (
        (num_speakers, num_speakers) if num_speakers > 0 else (min_speakers, max(min_speakers, max_speakers))
    )
    labels = _cut(vectors, weights, low, high, settings)
    return _centroids(vectors, weights, labels)


def _cut(
    vectors: np.ndarray, weights: np.ndarray, low: int, high: int, settings: ClusterSettings
) -> np.ndarray:
    """Return a label per vector; a vector of a group too small to be a speaker has its nearest speaker's label."""
    if len(vectors) == 1:
        return np.zeros(1, dtype=int)
    tree = linkage(vectors, method="centroid", metric="euclidean")
    least = min(settings.speaker_seconds, settings.speaker_share * weights.sum())

    def groups(height: float) -> tuple[np.ndarray, np.ndarray]:
        labels = fcluster(tree, height, criterion="distance") - 1
        return labels, np.flatnonzero(np.bincount(labels, weights=weights) >= least)

    labels, large = groups(settings.threshold)
    if not low <= len(large) <= high:
        wanted = low if len(large) < low else high
        best = (abs(len(large) - wanted), 0.0)
        for height in np.unique(tree[:, 2]):
            for at in (height - 1e-9, height + 1e-9):
                candidate, size = groups(at)
                miss = (abs(len(size) - wanted), abs(at - settings.threshold))
                if len(size) and (miss < best or not len(large)):
                    best, labels, large = miss, candidate, size
    if not len(large):
        return np.zeros(len(vectors), dtype=int)
    founders = np.stack([(vectors[labels == g] * weights[labels == g, None]).sum(axis=0) for g in large])
    out = np.argmax(vectors @ unit(founders).T, axis=1)
    for speaker, group in enumerate(large):
        out[labels == group] = speaker
    return out


def _centroids(vectors: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return unit(
        np.stack(
            [(vectors[labels == k] * weights[labels == k, None]).sum(axis=0) for k in range(labels.max() + 1)]
        )
    )
