"""Groups voice embeddings into speakers and decides how many there are.

For each number of groups the best spherical k-means solution (Dhillon and Modha, 2001) is taken, weighted by seconds
of clean speech and begun from three agglomerative trees, which makes it deterministic. The number of speakers is the
largest one whose centroids all keep their distance: cutting one person's voice in two gives two centroids that lie
close together, whatever the noise of the single embeddings, because each is a mean over many. The distances at which
a second and a further speaker are believed are parameters; the ADR says on which recordings they were tuned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Distances are Euclidean between unit centroids (0..2).

    An embedding founds speakers if it has `train_seconds` of its speaker alone. A group with less than
    `speaker_seconds` of speech, or `speaker_share` of all of it where that is less, is noise and not a speaker.
    At most `cap` embeddings found speakers: trees need memory in the square of their number.
    """

    second_distance: float = 0.65
    further_distance: float = 0.78
    train_seconds: float = 1.5
    speaker_seconds: float = 2.0
    speaker_share: float = 0.02
    spare_groups: int = 2
    cap: int = 1500


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors at length 1; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def find_speakers(
    embeddings: np.ndarray,
    seconds: np.ndarray,
    *,
    num_speakers: int = 0,
    min_speakers: int = 1,
    max_speakers: int = 4,
    coverage: float = 1.0,
    settings: ClusterSettings,
) -> np.ndarray:
    """Return (speakers, dimension) unit centroids, at least one, deterministic for equal input.

    `embeddings` is (n, dimension) with n >= 1, `seconds` (n,) says how much clean speech is behind each, `coverage`
    how many of them share each moment. `num_speakers` above 0 asks for exactly that many: fewer come out only where
    there are fewer embeddings.
    """
    low, high = (num_speakers, num_speakers) if num_speakers > 0 else (min_speakers, max(min_speakers, max_speakers))
    low, high = max(1, low), max(1, high)
    chosen = _founders(seconds, low, settings)
    vectors, weights = unit(embeddings[chosen].astype(np.float64)), np.maximum(seconds[chosen], 0.05)
    if len(vectors) <= low:
        return vectors
    solver = _Solver(vectors, weights)
    least = min(settings.speaker_seconds * coverage, settings.speaker_share * weights.sum())
    if high == 1:
        return solver.groups(1)[0]
    if low == high:
        return _exactly(solver, low, least, settings)
    best = None
    for groups in range(1, min(high + settings.spare_groups, len(vectors) - 1) + 1):
        centroids, masses = solver.groups(groups)
        kept = centroids[masses >= least]
        if low <= len(kept) <= high and _apart(kept, settings) and (best is None or len(kept) > len(best)):
            best = kept
    return best if best is not None else _exactly(solver, low, least, settings)


def _founders(seconds: np.ndarray, low: int, settings: ClusterSettings) -> np.ndarray:
    chosen = np.flatnonzero(seconds >= settings.train_seconds)
    if len(chosen) < max(4, low):
        chosen = np.sort(np.argsort(-seconds, kind="stable")[: max(8, low)])
    if len(chosen) > settings.cap:
        # The longest would all come from the most talkative speaker, so thin out evenly over time.
        chosen = chosen[np.linspace(0, len(chosen) - 1, settings.cap).round().astype(int)]
    return chosen


def _apart(centroids: np.ndarray, settings: ClusterSettings) -> bool:
    if len(centroids) < 2:
        return True
    wanted = settings.second_distance if len(centroids) == 2 else settings.further_distance
    return bool(pdist(centroids).min() >= wanted)


def _exactly(solver: _Solver, count: int, least: float, settings: ClusterSettings) -> np.ndarray:
    """Return `count` centroids; a group of noise is set aside where further groups allow that."""
    for groups in range(count, min(count + settings.spare_groups, solver.size - 1) + 1):
        centroids, masses = solver.groups(groups)
        if np.count_nonzero(masses >= least) == count:
            return centroids[masses >= least]
    return solver.groups(count)[0]


class _Solver:
    """Weighted spherical k-means over one set of vectors, for any number of groups."""

    def __init__(self, vectors: np.ndarray, weights: np.ndarray) -> None:
        self.size = len(vectors)
        self._vectors, self._weights = vectors, weights
        distances = pdist(vectors)
        self._trees = [linkage(distances, method=method) for method in ("ward", "complete", "average")]

    def groups(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (count, dimension) centroids and (count,) seconds; the solution of highest mean likeness."""
        best, best_score = None, -np.inf
        for tree in self._trees:
            centroids = self._means(fcluster(tree, count, criterion="maxclust") - 1)
            if len(centroids) < count and best is not None:
                continue
            for _ in range(20):
                labels = np.argmax(self._vectors @ centroids.T, axis=1)
                moved = self._means(labels, centroids)
                if np.allclose(moved, centroids, atol=1e-7):
                    break
                centroids = moved
            likeness = self._vectors @ centroids.T
            score = float(self._weights @ likeness.max(axis=1))
            if score > best_score + 1e-9:
                masses = np.bincount(likeness.argmax(axis=1), weights=self._weights, minlength=len(centroids))
                best, best_score = (centroids, masses), score
        assert best is not None
        return best

    def _means(self, labels: np.ndarray, empty: np.ndarray | None = None) -> np.ndarray:
        out = []
        for group in range(labels.max() + 1 if empty is None else len(empty)):
            mine = labels == group
            if mine.any():
                out.append((self._vectors[mine] * self._weights[mine, None]).sum(axis=0))
            elif empty is not None:
                out.append(empty[group])
        return unit(np.stack(out))
