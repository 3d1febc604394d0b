"""Mono diarization that reads each second of speech once.

Three steps: (1) the segmentation network says, in overlapping windows of ten seconds, who of up to three local
speakers is active at each frame; (2) the embedding network's trunk runs once over the speech, and every local speaker
of every window pools an embedding from it; (3) the embeddings are clustered, and the windows vote on one timeline.
The order of steps and the networks are pyannote's (Bredin, "pyannote.audio 2.1 speaker diarization pipeline", 2023;
Plaquet and Bredin, "Powerset multi-class cross entropy loss", 2023); how the work is shared between windows is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from asr_worker.diarization import pooling, timeline
from asr_worker.diarization.clustering import ClusterSettings, find_speakers
from asr_worker.diarization.runtime import Networks
from asr_worker.diarization.windows import (
    FRAME_SAMPLES,
    LOCAL_SPEAKERS,
    SAMPLE_RATE,
    WINDOW_FRAMES,
    WindowGrid,
    alone,
    marginals,
)
from asr_worker.types import SpeakerSegment

FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class FastSettings:
    """How the diarizer works; the defaults are the tuned ones (docs/adr/0002-diarization.md)."""

    hop_frames: int = 59
    batch: int = 8
    least_alone_seconds: float = 0.3
    least_active_seconds: float = 0.1
    rounding: float = 0.5
    bridge_ms: float = 250.0
    least_ms: float = 0.0
    cluster: ClusterSettings = field(default_factory=ClusterSettings)


def diarize(
    networks: Networks,
    audio: np.ndarray,
    *,
    num_speakers: int = 0,
    min_speakers: int = 1,
    max_speakers: int = 4,
    progress: Callable[[float], None] = lambda fraction: None,
    settings: FastSettings | None = None,
) -> list[SpeakerSegment]:
    """Return who speaks when in float32 (samples,) at 16 kHz: no segment for silence, the same answer every time.

    Speakers are named S1, S2, ... in order of first appearance. `num_speakers` above 0 is the number of people,
    else it is found between the bounds. `progress` is called with growing fractions, the last one 1.0.
    """
    settings = settings or FastSettings()
    if audio.ndim != 1:
        raise ValueError(f"one channel is expected, not an array of shape {audio.shape}")
    if len(audio) == 0:
        progress(1.0)
        return []
    grid = WindowGrid(len(audio), settings.hop_frames)
    probabilities = segment(networks, audio, grid, batch=settings.batch, progress=lambda f: progress(0.45 * f))
    local = marginals(probabilities)
    windows, speakers, voices = find_voices(grid, probabilities, local, settings)
    if not len(windows):
        progress(1.0)
        return []
    speech = timeline.activity(grid, local, np.full((grid.count, LOCAL_SPEAKERS), -1), 1)[1] > 0.25
    where = pooling.regions(speech, len(audio))
    embeddings = pooling.embed(networks, audio, voices, where, progress=lambda f: progress(0.45 + 0.5 * f))
    known = np.flatnonzero(np.abs(embeddings).sum(axis=1) > 0)
    if not len(known):
        progress(1.0)
        return []
    windows, speakers, embeddings = windows[known], speakers[known], embeddings[known]
    seconds = alone(probabilities)[windows, :, speakers].sum(axis=1) * FRAME_SECONDS
    seconds[seconds < settings.least_alone_seconds] = 0.0
    centroids = find_speakers(
        embeddings, seconds, num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers,
        coverage=min(grid.count, WINDOW_FRAMES / settings.hop_frames), settings=settings.cluster,
    )  # fmt: skip
    who = timeline.assign(windows, speakers, embeddings, seconds, centroids, grid.count)
    total, people = timeline.activity(grid, local, who, len(centroids))
    active = timeline.choose(total, people, rounding=settings.rounding)
    found = timeline.segments(
        active,
        duration_ms=len(audio) * 1000 // SAMPLE_RATE,
        bridge_ms=settings.bridge_ms,
        least_ms=settings.least_ms,
    )
    progress(1.0)
    return found


def segment(
    networks: Networks, audio: np.ndarray, grid: WindowGrid, *, batch: int, progress: Callable[[float], None]
) -> np.ndarray:
    """Return (windows, 589, 7) class probabilities as float16, which keeps two hours under 100 MiB."""
    out = np.zeros((grid.count, WINDOW_FRAMES, 7), np.float16)
    for first in range(0, grid.count, batch):
        end = min(grid.count, first + batch)
        out[first:end] = networks.segment(np.stack([grid.cut(audio, w) for w in range(first, end)]))
        progress(end / grid.count)
    return out


def find_voices(
    grid: WindowGrid, probabilities: np.ndarray, local: np.ndarray, settings: FastSettings
) -> tuple[np.ndarray, np.ndarray, list[pooling.Voice]]:
    """Return (windows, local speakers, weights) of every local speaker that is active, in time order.

    The weights are the probability that the speaker is the only one; of somebody who is hardly ever alone, the
    probability of being active at all.
    """
    windows, speakers, voices = [], [], []
    single = alone(probabilities)
    for window in range(grid.count):
        for k in range(LOCAL_SPEAKERS):
            weights = single[window, :, k]
            if weights.sum(dtype=np.float32) * FRAME_SECONDS < settings.least_alone_seconds:
                weights = local[window, :, k]
                if weights.sum(dtype=np.float32) * FRAME_SECONDS < settings.least_active_seconds:
                    continue
            windows.append(window)
            speakers.append(k)
            voices.append(pooling.Voice(window * grid.hop_frames, weights))
    return np.array(windows, dtype=int), np.array(speakers, dtype=int), voices
