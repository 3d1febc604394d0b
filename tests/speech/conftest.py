"""Where the shared recordings and the installed models are; tests without them skip with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings: CALLCENTER_DATA, or `../shared/data` beside the repository."""
    path = Path(os.environ.get("CALLCENTER_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip("no recordings: set CALLCENTER_DATA to the folder that holds them")
    return path


@pytest.fixture(scope="session")
def stereo_path(data_dir: Path) -> Path:
    """A real call with the agent on channel 0 and the caller on channel 1."""
    path = data_dir / "contact_centre_calls" / "auto_repairs_40_stereo.flac"
    if not path.is_file():
        pytest.skip("the shared stereo call is not there")
    return path


@pytest.fixture(scope="session")
def stereo(stereo_path: Path) -> np.ndarray:
    """The first two minutes of the real call, float32 [2, samples] at 8 kHz."""
    from asr_worker import audio

    return audio.decode(stereo_path, rate=8000)[:, : 120 * 8000]


def model_dir(name: str) -> Path:
    """Return the directory of an installed model, or skip the test."""
    from asr_worker.engines.registry import find_model
    from asr_worker.types import ModelMissing

    local = Path(os.environ.get("MODELS_DIR") or ROOT / "var" / "models") / name
    if local.is_dir():
        return local
    try:
        return find_model(name)
    except ModelMissing:
        pytest.skip(f"model {name} is not installed: python -m asr_worker.models pull {name}")


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The directory of Whisper tiny.en."""
    return model_dir("whisper-tiny.en")
