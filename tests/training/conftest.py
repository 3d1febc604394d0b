"""A small Whisper, built once, and voice activity that calls everything speech."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.gate.small_whisper import build


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = build(tmp_path_factory.mktemp("base") / "small", width=48)
    path = made / "generation_config.json"
    # The real model's list of tokens never to say would forbid this one's bytes.
    told = {**json.loads(path.read_text()), "suppress_tokens": [], "begin_suppress_tokens": []}
    path.write_text(json.dumps(told))
    return made


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones are no speech, so the voice activity of these tests takes everything."""

    def regions(samples: np.ndarray, options: object = None) -> list[tuple[int, int]]:
        return [(0, len(samples) // 16)]

    monkeypatch.setattr("asr_worker.vad.speech_regions", regions)
