"""The mono diarizers: `pyannote` (their networks, our shared computation) and `pyannote-pipeline` (their pipeline).

Both load the model directories `pyannote-segmentation` and `wespeaker-resnet34`; constructing one without them raises
ModelMissing. Neither downloads anything.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from asr_worker.engines.base import Progress, no_progress
from asr_worker.types import PipelineSpec, SpeakerSegment

if TYPE_CHECKING:
    from asr_worker.diarization.fast import FastSettings

SEGMENTATION = "pyannote-segmentation"
EMBEDDING = "wespeaker-resnet34"


class PyannoteDiarizer:
    """Diarizes by reading each second of speech once; the same answer every time, bounded memory."""

    name = "pyannote"

    def __init__(self, spec: PipelineSpec, *, settings: FastSettings | None = None) -> None:
        from asr_worker.diarization import runtime
        from asr_worker.engines.registry import find_model

        threads = int(os.environ.get("SPEECH_THREADS", "0") or 0)
        self._settings = settings
        self._networks = runtime.load(
            find_model(SEGMENTATION), find_model(EMBEDDING), device=spec.device, threads=threads
        )

    def diarize(
        self,
        audio: np.ndarray,
        *,
        num_speakers: int = 0,
        min_speakers: int = 1,
        max_speakers: int = 4,
        progress: Progress = no_progress,
    ) -> list[SpeakerSegment]:
        """Return the segments of each speaker, named S1, S2, ... in order of appearance; none for silence."""
        from asr_worker.diarization import fast

        return fast.diarize(
            self._networks, audio, num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers,
            progress=progress, settings=self._settings,
        )  # fmt: skip


class PyannotePipelineDiarizer:
    """pyannote.audio's own pipeline with agglomerative clustering: slower, and the reference of the benchmark."""

    name = "pyannote-pipeline"

    def __init__(self, spec: PipelineSpec) -> None:
        from asr_worker.diarization import reference
        from asr_worker.engines.registry import find_model

        self._pipeline = reference.build(find_model(SEGMENTATION), find_model(EMBEDDING), device=spec.device)

    def diarize(
        self,
        audio: np.ndarray,
        *,
        num_speakers: int = 0,
        min_speakers: int = 1,
        max_speakers: int = 4,
        progress: Progress = no_progress,
    ) -> list[SpeakerSegment]:
        """Return the pipeline's segments, named S1, S2, ... in order of appearance."""
        from asr_worker.diarization import reference

        return reference.diarize(
            self._pipeline, audio, num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers,
            progress=progress,
        )  # fmt: skip
