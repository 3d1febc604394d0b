"""From window-local speakers to one timeline: who in each window is whom, and who speaks at each moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from asr_worker.diarization.clustering import unit
from asr_worker.diarization.windows import LOCAL_SPEAKERS, WINDOW_FRAMES, WindowGrid, frame_ms
from asr_worker.types import SpeakerSegment


def assign(
    windows: np.ndarray,
    local: np.ndarray,
    embeddings: np.ndarray,
    seconds: np.ndarray,
    centroids: np.ndarray,
    count: int,
) -> np.ndarray:
    """Return (count, 3): the speaker of each window's local speakers, -1 where one is not active.

    Row i of the first four says: local speaker `local[i]` of window `windows[i]`. Two local speakers of one window are
    two people as long as there are speakers enough: the best assignment, weighted by seconds, is taken, and whoever
    is left over goes to the most similar speaker.
    """
    out = np.full((count, LOCAL_SPEAKERS), -1, dtype=int)
    if not len(windows):
        return out
    likeness = unit(embeddings.astype(np.float64)) @ centroids.T
    for window in np.unique(windows):
        rows = np.flatnonzero(windows == window)
        weight = np.maximum(seconds[rows], 0.1)[:, None]
        taken, speakers = linear_sum_assignment(-likeness[rows] * weight)
        best = np.argmax(likeness[rows], axis=1)
        best[taken] = speakers
        out[window, local[rows]] = best
    return out


def activity(
    grid: WindowGrid, probabilities: np.ndarray, who: np.ndarray, speakers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (frames, speakers) mean activity and (frames,) mean number of people speaking, both as floats.

    `probabilities` is (windows, 589, 3) per local speaker, `who` what `assign` returned.
    """
    total = np.zeros((grid.frames, speakers), np.float32)
    people = np.zeros(grid.frames, np.float32)
    seen = np.zeros(grid.frames, np.float32)
    for window in range(grid.count):
        at = slice(window * grid.hop_frames, window * grid.hop_frames + WINDOW_FRAMES)
        local = probabilities[window].astype(np.float32)
        seen[at] += 1.0
        people[at] += local.sum(axis=1)
        for speaker in np.unique(who[window][who[window] >= 0]):
            total[at, speaker] += local[:, who[window] == speaker].max(axis=1)
    return total / seen[:, None], people / seen


def choose(total: np.ndarray, people: np.ndarray, *, rounding: float) -> np.ndarray:
    """Return (frames, speakers) booleans: at each frame the most active speakers, as many as there are people.

    `people + rounding` is rounded down, so 0.5 is ordinary rounding and less than 0.5 hears fewer people.
    """
    count = np.minimum(np.floor(people + rounding).astype(int), total.shape[1])
    rank = np.argsort(np.argsort(-total, axis=1, kind="stable"), axis=1, kind="stable")
    return (rank < count[:, None]) & (total > 1e-3)


def segments(
    active: np.ndarray,
    *,
    duration_ms: int,
    bridge_ms: float,
    least_ms: float,
    names: Sequence[str] | None = None,
) -> list[SpeakerSegment]:
    """Return the runs of each speaker in time order, within the recording, named in order of first appearance.

    A pause of at most `bridge_ms` within one speaker is closed; then runs shorter than `least_ms` go.
    """
    found: list[tuple[int, int, int]] = []
    for speaker in range(active.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], active[:, speaker].astype(np.int8), [0]])))
        runs: list[list[float]] = []
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            start, stop = frame_ms(first), frame_ms(end)
            if runs and start - runs[-1][1] <= bridge_ms:
                runs[-1][1] = stop
            else:
                runs.append([start, stop])
        for start, stop in runs:
            whole = max(0, round(start)), min(duration_ms, round(stop))
            if whole[1] - whole[0] >= max(least_ms, 1):
                found.append((*whole, speaker))
    found.sort()
    order = {speaker: i for i, speaker in enumerate(dict.fromkeys(speaker for _, _, speaker in found))}
    named = names or [f"S{i + 1}" for i in range(len(order))]
    return [SpeakerSegment(start, stop, named[order[speaker]]) for start, stop, speaker in found]
