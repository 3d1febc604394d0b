"""Loaders of the diarization models: pyannote.audio's own torch modules, from a plain safetensors directory.

A directory holds `model.safetensors` and `config.json` (architecture, its arguments, its specifications), so no
pickle is ever read. Loading needs neither a network nor an account.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from asr_worker.types import ModelMissing

# pyannote.audio reports usage to its authors unless this is set before the first import.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

WEIGHTS = "model.safetensors"
CONFIG = "config.json"

SEGMENTATION: dict[str, Any] = {
    "architecture": "PyanNet",
    "arguments": {
        "sincnet": {"stride": 10},
        "lstm": {
            "hidden_size": 128,
            "num_layers": 4,
            "bidirectional": True,
            "monolithic": True,
            "dropout": 0.5,
        },
        "linear": {"hidden_size": 128, "num_layers": 2},
        "sample_rate": 16000,
        "num_channels": 1,
    },
    # Ten-second windows; at most three speakers in a window and two at once, as powerset classes.
    "specifications": {
        "problem": "MONO_LABEL_CLASSIFICATION",
        "resolution": "FRAME",
        "permutation_invariant": True,
        "duration": 10.0,
        "classes": ["speaker#1", "speaker#2", "speaker#3"],
        "powerset_max_classes": 2,
    },
}
EMBEDDING: dict[str, Any] = {
    "architecture": "WeSpeakerResNet34",
    "arguments": {"sample_rate": 16000, "num_channels": 1, "num_mel_bins": 80},
    "specifications": {
        "problem": "REPRESENTATION",
        "resolution": "CHUNK",
        "permutation_invariant": False,
        "duration": 5.0,
        "classes": None,
        "powerset_max_classes": None,
    },
}


def load_segmentation(directory: Path | str) -> torch.nn.Module:
    """Return the speaker segmentation model in evaluation mode (a `pyannote.audio.models.segmentation.PyanNet`).

    It maps waveforms (batch, 1, samples) at 16 kHz to log-probabilities (batch, frames, 7 powerset classes).
    Raises `asr_worker.types.ModelMissing` when the directory does not hold one.
    """
    return _load(Path(directory), "PyanNet", "pyannote-segmentation")


def load_embedding(directory: Path | str) -> torch.nn.Module:
    """Return the speaker embedding model in evaluation mode (a pyannote.audio `WeSpeakerResNet34`).

    It maps waveforms (batch, 1, samples) at 16 kHz, with optional frame weights, to embeddings (batch, 256).
    Raises `asr_worker.types.ModelMissing` when the directory does not hold one.
    """
    return _load(Path(directory), "WeSpeakerResNet34", "wespeaker-resnet34")


def create(config: dict[str, Any]) -> torch.nn.Module:
    """Return an untrained module for a config document. Raises ValueError for an architecture not known here."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    known = {"PyanNet": PyanNet, "WeSpeakerResNet34": WeSpeakerResNet34}
    architecture = config.get("architecture")
    if architecture not in known:
        raise ValueError(f"unknown diarization architecture {architecture!r}")
    model = known[architecture](**config["arguments"])
    facts = config["specifications"]
    model.specifications = Specifications(
        problem=Problem[facts["problem"]],
        resolution=Resolution[facts["resolution"]],
        duration=facts["duration"],
        min_duration=None,
        warm_up=(0.0, 0.0),
        classes=facts["classes"],
        powerset_max_classes=facts["powerset_max_classes"],
        permutation_invariant=facts["permutation_invariant"],
    )
    model.build()
    return model.eval()


def save(model: torch.nn.Module, config: dict[str, Any], directory: Path) -> None:
    """Write a module and its config so that the loaders here read it back exactly."""
    state = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(state, str(directory / WEIGHTS))
    (directory / CONFIG).write_text(json.dumps(config, indent=2))


def _load(directory: Path, architecture: str, name: str) -> torch.nn.Module:
    if not (directory / WEIGHTS).is_file() or not (directory / CONFIG).is_file():
        raise ModelMissing(f"{directory} holds no {name}; run: python -m asr_worker.models pull {name}")
    config = json.loads((directory / CONFIG).read_text())
    if config.get("architecture") != architecture:
        raise ModelMissing(f"{directory} holds a {config.get('architecture')}, not a {architecture} ({name})")
    model = create(config)
    model.load_state_dict(load_file(str(directory / WEIGHTS)))
    return model.eval()
