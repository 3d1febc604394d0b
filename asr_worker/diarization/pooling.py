"""One embedding per speaker of each window, at the cost of reading the recording once.

A speaker network is a long convolutional trunk, a pooling of its frames (weighted mean and deviation) and one matrix.
Only pooling needs to know who is speaking. So the trunk runs once over the speech of the whole recording, in pieces,
and each piece adds its share to the weighted sums of every (window, speaker) that it touches; what overlaps between
windows is never computed twice and the frame features are never all in memory. The statistics are those of
Okabe et al., "Attentive Statistics Pooling for Deep Speaker Embedding" (2018), with activity as the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from asr_worker.diarization.runtime import EMBEDDING_SIZE, MEL_BINS, Networks
from asr_worker.diarization.windows import FIRST_CENTRE, FRAME_SAMPLES, SAMPLE_RATE

STRIDE = 8  # feature frames per trunk step
HOP = 160  # samples per feature frame
STEP_SAMPLES = STRIDE * HOP
STEP_SECONDS = STEP_SAMPLES / SAMPLE_RATE
PIECE_STEPS = 250
MARGIN_STEPS = 8


@dataclass(frozen=True, slots=True)
class Voice:
    """A weight per grid frame, from `first` on: how much of a speaker alone each frame holds."""

    first: int
    weights: np.ndarray


def regions(speech: np.ndarray, samples: int, *, pad_seconds: float = 0.16, gap_seconds: float = 0.64) -> list[tuple]:
    """Return (first, end) trunk steps that hold the frames where `speech` is true, in order and disjoint."""
    steps = samples // STEP_SAMPLES + 1
    wanted = np.zeros(steps, dtype=bool)
    at = (np.flatnonzero(speech) * FRAME_SAMPLES + FIRST_CENTRE) // STEP_SAMPLES
    wanted[at[at < steps]] = True
    pad, gap = round(pad_seconds / STEP_SECONDS), round(gap_seconds / STEP_SECONDS)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wanted.astype(np.int8), [0]])))
    out: list[tuple[int, int]] = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        first, end = max(0, int(first) - pad), min(steps, int(end) + pad)
        if out and first - out[-1][1] <= gap:
            out[-1] = (out[-1][0], end)
        else:
            out.append((first, end))
    return out


def speech_mean(networks: Networks, audio: np.ndarray, where: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the (80,) mean of the log mel energies of the given regions.

    One mean for the whole call, not one per window: it takes away what the line adds to everybody and leaves the
    difference between two telephones, which helps to tell their speakers apart.
    """
    total, count = np.zeros(MEL_BINS), 0
    for first, end in where:
        for a in range(first, end, PIECE_STEPS):
            features = _features(networks, audio, a, min(end, a + PIECE_STEPS))
            total += features.sum(axis=0, dtype=np.float64)
            count += len(features)
    return (total / max(count, 1)).astype(np.float32)


def embed(
    networks: Networks,
    audio: np.ndarray,
    voices: Sequence[Voice],
    where: Sequence[tuple[int, int]],
    *,
    progress: Callable[[float], None],
) -> np.ndarray:
    """Return (voices, 256) embeddings; zeros for a voice that has no weight in any region.

    `voices` must be sorted by `first`. Only the voices that overlap the current piece hold sums (20 KiB each), so
    memory does not grow with the length of the recording.
    """
    out = np.zeros((len(voices), EMBEDDING_SIZE), np.float32)
    firsts = np.array([v.first for v in voices])
    ends = np.array([v.first + len(v.weights) for v in voices])
    mean = speech_mean(networks, audio, where)
    todo, done = sum(end - first for first, end in where), 0
    held: dict[int, _Sums] = {}
    for first, end in where:
        for a in range(first, end, PIECE_STEPS):
            b = min(end, a + PIECE_STEPS)
            low, high = max(first, a - MARGIN_STEPS), min(end, b + MARGIN_STEPS)
            features = _features(networks, audio, low, high) - mean
            if len(features) == 0:
                continue
            frames = networks.trunk(features)[a - low : b - low]
            centres = ((np.arange(a, a + len(frames)) * STEP_SAMPLES + 200) - FIRST_CENTRE) / FRAME_SAMPLES
            _finish(networks, out, held, [i for i in held if ends[i] < centres[0] - 3])
            near = np.flatnonzero((firsts <= centres[-1] + 3) & (ends >= centres[0] - 3))
            if len(near):
                weights = np.stack([_at(voices[int(i)], centres) for i in near])
                sums, squares = weights @ frames, weights @ (frames * frames)
                for row, i in enumerate(near):
                    held.setdefault(int(i), _Sums()).add(weights[row], sums[row], squares[row])
            done += b - a
            progress(done / todo)
    _finish(networks, out, held, list(held))
    return out


class _Sums:
    """Running weighted sums of one voice."""

    __slots__ = ("first", "mass", "mass2", "second")

    def __init__(self) -> None:
        self.mass = self.mass2 = 0.0
        self.first: np.ndarray | float = 0.0
        self.second: np.ndarray | float = 0.0

    def add(self, weights: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> None:
        self.mass += float(weights.sum())
        self.mass2 += float((weights * weights).sum())
        self.first = self.first + sums
        self.second = self.second + squares

    def statistics(self) -> np.ndarray:
        """Return the (5120,) mean and unbiased deviation."""
        mean = self.first / self.mass
        unbiased = self.mass / max(self.mass - self.mass2 / self.mass, 1e-3 * self.mass)
        spread = np.maximum(self.second / self.mass - mean * mean, 0.0) * unbiased
        return np.concatenate([mean, np.sqrt(spread + 1e-7)])


def _finish(networks: Networks, out: np.ndarray, held: dict[int, _Sums], which: list[int]) -> None:
    ready = [i for i in which if held[i].mass > 1e-3]
    if ready:
        out[ready] = networks.project(np.stack([held[i].statistics() for i in ready]))
    for i in which:
        del held[i]


def _features(networks: Networks, audio: np.ndarray, first: int, end: int) -> np.ndarray:
    # Each feature frame is 25 ms wide and 10 ms after the one before: 240 samples reach past the last hop.
    piece = audio[first * STEP_SAMPLES : end * STEP_SAMPLES + 240]
    if len(piece) < 400:
        return np.zeros((0, MEL_BINS), np.float32)
    return networks.filterbank(piece)[: (end - first) * STRIDE]


def _at(voice: Voice, centres: np.ndarray) -> np.ndarray:
    """Return the mean weight over the five grid frames (84 ms, one trunk step) around each centre."""
    padded = np.pad(voice.weights.astype(np.float64), (3, 3))
    running = np.concatenate([[0.0], np.cumsum(padded)])
    at = np.round(centres).astype(int) - voice.first + 3
    low, high = np.clip(at - 2, 0, len(padded)), np.clip(at + 3, 0, len(padded))
    return ((running[high] - running[low]) / 5.0).astype(np.float32)
