"""What an engine must do, and the packing of speech regions into clips that every recogniser here shares.

An engine MUST be a class whose constructor loads its weights from the disk alone, and MUST give every word a start,
an end and a probability. It MUST NOT download, write files or log text. It SHOULD keep its weights for many calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from asr_worker.types import PipelineSpec, SpeakerSegment, Word

RATE = 16_000
Region = tuple[int, int]
Progress = Callable[[float], None]


def no_progress(fraction: float) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel to transcribe: float32 [samples] at 16 kHz and its speech regions in ms within it."""

    audio: np.ndarray
    regions: Sequence[Region]


@dataclass(slots=True)
class Heard:
    """What a recogniser made of one channel: words in time order and warnings that carry no text."""

    words: list[Word] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@runtime_checkable
class Transcriber(Protocol):
    """Speech to words."""

    name: str

    def transcribe(
        self,
        audio: np.ndarray,
        spec: PipelineSpec,
        *,
        regions: Sequence[Region] | None = None,
        progress: Progress = no_progress,
    ) -> list[Word]:
        """Return the words of one channel, float32 [samples] at 16 kHz, in time order.

        Regions default to voice activity detection. Every word lies within one region.
        """
        ...

    def transcribe_channels(
        self, channels: Sequence[Channel], spec: PipelineSpec, *, progress: Progress = no_progress
    ) -> list[Heard]:
        """Return one Heard per channel; channels MAY share batches."""
        ...


@runtime_checkable
class Diarizer(Protocol):
    """Speech to speaker labels."""

    def diarize(
        self,
        audio: np.ndarray,
        *,
        num_speakers: int = 0,
        min_speakers: int = 1,
        max_speakers: int = 4,
        progress: Progress = no_progress,
    ) -> list[SpeakerSegment]:
        """Return the segments of each speaker in float32 [samples] at 16 kHz; 0 speakers means: find out."""
        ...


@dataclass(frozen=True, slots=True)
class Timed:
    """A word inside a clip, times in ms from the clip's start."""

    text: str
    start_ms: float
    end_ms: float
    probability: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A region inside a clip: `at_ms` is where it begins in the clip, `start_ms`..`end_ms` where it is in the call."""

    at_ms: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Clip:
    """Up to 30 s of one channel's speech with the silence left out, and how to find the way back."""

    channel: int
    pieces: tuple[Piece, ...]

    @property
    def duration_ms(self) -> int:
        last = self.pieces[-1]
        return last.at_ms + last.end_ms - last.start_ms

    def audio(self, source: np.ndarray) -> np.ndarray:
        """Return float32 [samples]: the regions one after the other, with silence in the small gaps."""
        out = np.zeros(self.duration_ms * RATE // 1000, np.float32)
        for piece in self.pieces:
            part = source[piece.start_ms * RATE // 1000 : piece.end_ms * RATE // 1000]
            at = piece.at_ms * RATE // 1000
            part = part[: len(out) - at]
            out[at : at + len(part)] = part
        return out

    def place(self, words: Sequence[Timed]) -> list[Word]:
        """Return the words with their times in the call, each within one piece and at least 20 ms long.

        Attention is vague at a join: a word may seem to begin before the region that it was spoken in. So each join
        takes the boundary between two words that lies nearest, and a boundary after a sentence counts as nearer.
        """
        out: list[Word] = []
        taken = 0
        for piece, following in zip(self.pieces, (*self.pieces[1:], None), strict=True):
            until = len(words) if following is None else _nearest_break(words, taken, following.at_ms)
            shift = piece.start_ms - piece.at_ms
            for word in words[taken:until]:
                start = max(0, min(max(round(word.start_ms) + shift, piece.start_ms), piece.end_ms - 20))
                end = max(min(round(word.end_ms) + shift, piece.end_ms), start + 20)
                out.append(Word(word.text, start, end, round(word.probability, 4)))
            taken = until
        return out


def _nearest_break(words: Sequence[Timed], first: int, join_ms: int) -> int:
    best, least = first, float("inf")
    for k in range(first, len(words) + 1):
        at = words[k].start_ms if k < len(words) else words[-1].end_ms if words else 0.0
        if k and k < len(words):
            at = (at + words[k - 1].end_ms) / 2
        ending = words[k - 1].text[-1:] if k else "."
        cost = abs(at - join_ms) - (350 if ending in ".?!" else 120 if ending in ",;:" else 0)
        if cost < least:
            best, least = k, cost
    return best


def pack(channel: int, regions: Sequence[Region], *, longest_ms: int = 29_500, gap_ms: int = 80) -> list[Clip]:
    """Return clips that hold every region once, in time order, each clip at most `longest_ms` long.

    Whisper's encoder costs the same for 3 s as for 30 s, so full clips are what makes it quick. A region longer
    than a clip is cut into equal parts. Regions closer than the gap keep their true distance.
    """
    clips: list[Clip] = []
    pieces: list[Piece] = []
    for start, end in _no_longer_than(regions, longest_ms):
        at = 0
        if pieces:
            last = pieces[-1]
            at = last.at_ms + last.end_ms - last.start_ms + min(gap_ms, max(0, start - last.end_ms))
            if at + end - start > longest_ms:
                clips.append(Clip(channel, tuple(pieces)))
                pieces, at = [], 0
        pieces.append(Piece(at, start, end))
    if pieces:
        clips.append(Clip(channel, tuple(pieces)))
    return clips


def _no_longer_than(regions: Sequence[Region], longest_ms: int) -> list[Region]:
    out: list[Region] = []
    for start, end in regions:
        parts = -(-(end - start) // longest_ms)
        edges = [start + (end - start) * i // parts for i in range(parts + 1)] if parts > 1 else [start, end]
        out += [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]
    return out


def in_order(words: list[Word]) -> list[Word]:
    """Return the words sorted by time with overlaps between neighbours taken out, each at least 20 ms long."""
    out: list[Word] = []
    for word in sorted(words, key=lambda w: (w.start_ms, w.end_ms)):
        start = max(word.start_ms, out[-1].end_ms) if out else word.start_ms
        if start > word.end_ms - 20:
            # Squeezed out by its neighbour: it keeps its place and gets the least length there is.
            start = max(word.start_ms, out[-1].start_ms) if out else word.start_ms
        out.append(Word(word.text, start, max(word.end_ms, start + 20), word.probability))
    return out
