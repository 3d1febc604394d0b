"""pyannote.audio's own pipeline with agglomerative clustering, built from local weights: the one that ours is held to.

pyannote.audio 4 wants a gated PLDA model for its newer clustering; agglomerative clustering, the default of its
version 3.1, needs none, so the loader of that model is answered with nothing while the pipeline is built.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from asr_worker.types import SpeakerSegment

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")

THRESHOLD_3_1 = 0.7045654963945799  # published with pyannote's pipeline 3.1, as are the other two
MIN_CLUSTER_3_1 = 12


def build(segmentation_dir: Path, embedding_dir: Path, *, device: str = "cpu", step: float = 0.1) -> Any:
    """Return a `SpeakerDiarization` pipeline with pyannote 3.1's parameters; `step` is the hop over the window."""
    import torch
    from pyannote.audio.pipelines import speaker_diarization

    from asr_worker.models.pyannote_native import load_embedding, load_segmentation

    with patch.object(speaker_diarization, "get_plda", lambda *args, **kwargs: None):
        pipeline = speaker_diarization.SpeakerDiarization(
            legacy=True, segmentation=load_segmentation(segmentation_dir), segmentation_step=step,
            embedding=load_embedding(embedding_dir), embedding_exclude_overlap=True, plda=None,
            clustering="AgglomerativeClustering", segmentation_batch_size=8, embedding_batch_size=8,
        )  # fmt: skip
    pipeline.instantiate(
        {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {
                "method": "centroid",
                "min_cluster_size": MIN_CLUSTER_3_1,
                "threshold": THRESHOLD_3_1,
            },
        }
    )
    return pipeline.to(torch.device(device))


def diarize(
    pipeline: Any,
    audio: np.ndarray,
    *,
    num_speakers: int = 0,
    min_speakers: int = 1,
    max_speakers: int = 4,
    progress: Callable[[float], None] = lambda fraction: None,
) -> list[SpeakerSegment]:
    """Return the pipeline's segments for float32 (samples,) at 16 kHz in time order, speakers named S1, S2, ..."""
    import torch

    if len(audio) == 0:
        return []
    halves = {"segmentation": 0.0, "embeddings": 0.5}

    def hook(
        step: str, artefact: Any, file: Any = None, total: int | None = None, completed: int = 0, **_: Any
    ) -> None:
        if step in halves and total:
            progress(halves[step] + 0.5 * completed / total)

    bounds = (
        {"num_speakers": num_speakers}
        if num_speakers > 0
        else {"min_speakers": min_speakers, "max_speakers": max_speakers}
    )
    wave = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None]
    found = pipeline({"waveform": wave, "sample_rate": 16_000, "uri": "call"}, hook=hook, **bounds)
    names: dict[str, str] = {}
    out = []
    for turn, _, label in found.itertracks(yield_label=True):
        name = names.setdefault(label, f"S{len(names) + 1}")
        out.append(SpeakerSegment(round(turn.start * 1000), round(turn.end * 1000), name))
    progress(1.0)
    return out
