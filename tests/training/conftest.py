"""A small Whisper, built once, and voice activity that calls everything speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.gate.small_whisper import build


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("base") / "small", width=48)


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones are no speech, so the voice activity of these tests takes everything."""

    def regions(samples: np.ndarray, options: object = None) -> list[tuple[int, int]]:
        return [(0, len(samples) // 16)]

    monkeypatch.setattr("asr_worker.vad.speech_regions", regions)
