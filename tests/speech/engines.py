"""Engines that need no weights: they say what they are told, fail on demand, and count how often they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asr_worker.engines.base import Channel, Heard
from asr_worker.types import PipelineSpec, SpeakerSegment, Word


@dataclass
class Echo:
    """Says one word per second of each region: the number of the channel in this call, and which second it is."""

    name: str = "echo"
    calls: int = 0
    fail: Exception | None = None
    longest_ms: int = 0

    def transcribe(self, audio: np.ndarray, spec: PipelineSpec, **options: Any) -> list[Word]:
        raise NotImplementedError

    def transcribe_channels(self, channels: Sequence[Channel], spec: PipelineSpec, *, progress: Any) -> list[Heard]:
        self.calls += 1
        if self.fail:
            raise self.fail
        progress(0.5)
        heard = []
        for number, channel in enumerate(channels):
            self.longest_ms = max(self.longest_ms, len(channel.audio) // 16)
            words = [
                Word(f"c{number}", at, min(at + 500, end), 0.9)
                for start, end in channel.regions
                for at in range(start, max(start + 1, end - 400), 1000)
            ]
            heard.append(Heard(words))
        progress(1.0)
        return heard


@dataclass
class Halves:
    """Says that one speaker has the first half and another the second."""

    name: str = "halves"
    calls: int = 0
    fail: Exception | None = None
    asked: dict[str, Any] = field(default_factory=dict)

    def diarize(self, audio: np.ndarray, **options: Any) -> list[SpeakerSegment]:
        self.calls += 1
        self.asked = {k: v for k, v in options.items() if k != "progress"}
        if self.fail:
            raise self.fail
        options["progress"](1.0)
        length = len(audio) // 16
        return [SpeakerSegment(0, length // 2, "S1"), SpeakerSegment(length // 2, length, "S2")]
