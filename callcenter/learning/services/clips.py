"""Cutting clips out of recordings: which stretch, which words, and the sound of it as 16 kHz mono FLAC."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 16_000
PADDING_MS = 200
MAX_MS = 29_000
MIN_MS = 300
#: A long segment is cut at its longest pause within this last part of what a clip may hold.
_CUT_FROM = 0.5
_WINDOW_SECONDS = 120.0

Word = tuple[str, int, int]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one channel and the words in it. Times are milliseconds from the start of the recording."""

    words: tuple[Word, ...]
    start_ms: int
    end_ms: int

    @property
    def text(self) -> str:
        return " ".join(word[0] for word in self.words)

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


def pieces(
    words: Sequence[Word], *, others: Iterable[Span] = (), hidden: Sequence[Span] = (), duration_ms: int
) -> list[Piece]:
    """Return the stretches of a segment that may become clips, in time order.

    `others` are the words around it on the same channel: padding never reaches into one. `hidden` spans are cut out
    of sound and text: the segment falls into parts around them. No piece is longer than 29 s or shorter than 0.3 s.
    """
    # A recogniser's word times are rough at the borders, so what is hidden is hidden with a margin.
    cut = [(start - 150, end + 150) for start, end in hidden]
    runs: list[list[Word]] = [[]]
    for word in sorted(words, key=lambda w: (w[1], w[2])):
        if any(word[1] < end and word[2] > start for start, end in cut):
            runs.append([])
        else:
            runs[-1].append(word)
    walls = [*others, *cut]
    found = []
    for run in runs:
        for part in _short(run):
            start, end = _padded(part, walls, duration_ms)
            if end - start >= MIN_MS:
                found.append(Piece(tuple(part), start, end))
    return found


def _short(run: list[Word]) -> list[list[Word]]:
    """Cut a run of words into parts of at most 29 s with their padding, each at its longest pause."""
    out: list[list[Word]] = []
    limit = MAX_MS - 2 * PADDING_MS
    rest = list(run)
    while rest:
        fits = sum(1 for word in rest if word[2] - rest[0][1] <= limit)
        if fits == len(rest):
            out.append(rest)
            break
        if not fits:  # one word of half a minute is a recogniser's mistake, not a word
            rest = rest[1:]
            continue
        low = max(1, int(fits * _CUT_FROM))
        at = max(range(low, fits + 1), key=lambda k: rest[k][1] - rest[k - 1][2])
        out.append(rest[:at])
        rest = rest[at:]
    return out


def _padded(words: list[Word], walls: Iterable[Span], duration_ms: int) -> Span:
    first, last = words[0][1], max(word[2] for word in words)
    start, end = max(0, first - PADDING_MS), min(duration_ms, last + PADDING_MS)
    for wall_start, wall_end in walls:
        middle = (wall_start + wall_end) / 2
        if middle <= first:
            start = max(start, min(wall_end, first))
        elif middle >= last:
            end = min(end, max(wall_start, last))
    return start, min(end, duration_ms)


def sounds(path: Path, wanted: Sequence[tuple[int, int, int]]) -> list[np.ndarray]:
    """Return float32 mono at 16 kHz for each (channel, start_ms, end_ms), reading the recording once.

    A channel that the recording has not means its first one. Raises BadAudio for a recording that cannot be decoded.
    """
    from asr_worker.audio import stream

    bounds = [(channel, start * RATE // 1000, end * RATE // 1000) for channel, start, end in wanted]
    parts: list[list[np.ndarray]] = [[] for _ in bounds]
    last = max((end for _, _, end in bounds), default=0)
    for offset, data in stream(path, seconds=_WINDOW_SECONDS, rate=RATE):
        for out, (channel, start, end) in zip(parts, bounds, strict=True):
            low, high = max(start - offset, 0), min(end - offset, data.shape[1])
            if low < high:
                out.append(data[channel if 0 <= channel < data.shape[0] else 0, low:high].copy())
        if offset + data.shape[1] >= last:
            break
    return [np.concatenate(out) if out else np.zeros(0, np.float32) for out in parts]


def flac(audio: np.ndarray) -> bytes:
    """Return 16-bit mono FLAC at 16 kHz; the same samples give the same bytes."""
    import soundfile

    out = io.BytesIO()
    samples = np.rint(np.clip(audio, -1.0, 1.0) * 32767.0).astype(np.int16)
    soundfile.write(out, samples, RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()
