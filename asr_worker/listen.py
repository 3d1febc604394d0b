"""Walks through a recording in windows, finds the speech and has it transcribed, in memory that stays bounded.

A window ends where it ends; speech that is still going on there is carried into the next one, so no word is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr_worker import audio, vad
from asr_worker.engines.base import Channel, Region, Transcriber
from asr_worker.types import PipelineSpec, Word

WINDOW_SECONDS = 900.0 - (900.0 * audio.RATE % vad.HOP) / audio.RATE  # a multiple of the network's hop
_MAX_CARRY_MS = 60_000
RATE = audio.RATE

Result = tuple[tuple[tuple[Word, ...], ...], tuple[tuple[Region, ...], ...], tuple[str, ...]]


@dataclass(slots=True)
class _Track:
    """One channel on its way through the windows. Arrays begin at `start_ms` of the recording."""

    detector: vad.SpeechProbabilities = field(default_factory=lambda: vad.SpeechProbabilities())
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    levels: np.ndarray = field(default_factory=lambda: np.zeros(0))
    start_ms: int = 0
    words: list[Word] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)

    def drop_before(self, ms: int) -> None:
        """Forget what lies before a time, down to whole hops."""
        hops = max(0, int((ms - self.start_ms) / vad.HOP_MS))
        self.samples = self.samples[hops * vad.HOP :].copy()
        self.probabilities = self.probabilities[hops:].copy()
        self.levels = self.levels[hops:].copy()
        self.start_ms += int(hops * vad.HOP_MS)


def listen(
    path: Path,
    channels: Sequence[int],
    engine: Transcriber,
    spec: PipelineSpec,
    duration_ms: int,
    progress: Callable[[float], None],
) -> Result:
    """Return words, speech regions (ms) and warnings per listened channel, in that order.

    Words and regions are in time order and in ms of the recording.
    """
    tracks = [_Track() for _ in channels]
    warnings: list[str] = []
    window_samples = int(WINDOW_SECONDS * RATE)
    total = max(1, -(-duration_ms * RATE // 1000 // window_samples))
    for number, (start, piece) in enumerate(audio.stream(path, seconds=WINDOW_SECONDS)):
        last = start + piece.shape[1] >= duration_ms * RATE // 1000 - RATE // 50
        for track, channel in zip(tracks, channels, strict=True):
            samples = piece[channel]
            track.probabilities = np.concatenate((track.probabilities, track.detector(samples)))
            track.levels = np.concatenate((track.levels, vad.levels_db(samples)))
            track.samples = np.concatenate((track.samples, samples)) if track.samples.size else samples
        found = _regions(tracks)
        ready = [_finished(track, row, last) for track, row in zip(tracks, found, strict=True)]

        def tell(fraction: float, number: int = number) -> None:
            progress(min(1.0, (number + fraction) / total))

        heard = engine.transcribe_channels(
            [Channel(t.samples, r) for t, r in zip(tracks, ready, strict=True)], spec, progress=tell
        )
        for track, row, result in zip(tracks, ready, heard, strict=True):
            at = track.start_ms
            track.words += [Word(w.text, w.start_ms + at, w.end_ms + at, w.probability) for w in result.words]
            track.regions += [(a + at, b + at) for a, b in row]
            warnings += result.warnings
        _carry(tracks, found, ready)
    return (
        tuple(tuple(track.words) for track in tracks),
        tuple(tuple(track.regions) for track in tracks),
        tuple(warnings),
    )


def _regions(tracks: Sequence[_Track]) -> list[list[Region]]:
    probabilities = [track.probabilities for track in tracks]
    if len(tracks) == 2:
        probabilities = list(vad.without_leakage(probabilities, [t.levels for t in tracks]))
    return [
        vad.regions(p, track.levels, length_ms=len(track.samples) * 1000 // RATE)
        for p, track in zip(probabilities, tracks, strict=True)
    ]


def _finished(track: _Track, found: list[Region], last: bool) -> list[Region]:
    """Return the regions that cannot change when more audio comes."""
    if last or not found:
        return found
    end = len(track.samples) * 1000 // RATE
    return [r for r in found if r[1] < end - 1500]


def _carry(tracks: Sequence[_Track], found: list[list[Region]], ready: list[list[Region]]) -> None:
    """Keep from where the first unfinished region begins, at one time for all channels, at most a minute."""
    ends, starts = [], []
    for track, all_rows, done in zip(tracks, found, ready, strict=True):
        end = len(track.samples) * 1000 // RATE
        open_rows = all_rows[len(done) :]
        starts.append(max(0, (open_rows[0][0] if open_rows else end - 1000) - 300))
        ends.append(done[-1][1] if done else 0)
    length = len(tracks[0].samples) * 1000 // RATE
    keep = max(min(starts), length - _MAX_CARRY_MS)
    for track, done_until in zip(tracks, ends, strict=True):
        # What was transcribed already must not be heard again from the part that is kept.
        cut = int(np.ceil(done_until / vad.HOP_MS))
        track.probabilities[:cut] = 0.0
        track.drop_before(track.start_ms + keep)
