"""Real Whisper and real voice activity: what is heard, and that nothing is heard where nobody speaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asr_worker import audio, vad
from asr_worker.engines import registry
from asr_worker.engines.base import Channel
from asr_worker.types import PipelineSpec, Word
from tests.speech.sounds import tune, white_noise

pytestmark = pytest.mark.slow
RATE = 16_000


@pytest.fixture(autouse=True, scope="module")
def let_go() -> Iterator[None]:
    yield
    registry.forget()


@pytest.fixture(scope="module")
def opening(stereo_path: Path) -> np.ndarray:
    """The first 24 s of the real call, float32 [2, samples] at 16 kHz."""
    return audio.decode(stereo_path)[:, : 24 * RATE]


def spec_for(engine: str, model: Path) -> PipelineSpec:
    return PipelineSpec(transcriber=engine, model=str(model), beam_size=1)


def hear(engine: str, model: Path, samples: np.ndarray) -> list[Word]:
    spec = spec_for(engine, model)
    return registry.transcriber(spec).transcribe(samples, spec)


@pytest.mark.parametrize("engine", ["faster-whisper", "transformers"])
def test_both_engines_hear_the_agent_with_times_and_probabilities(engine: str, tiny: Path, opening: np.ndarray) -> None:
    words = hear(engine, tiny, opening[0])
    said = " ".join(w.text for w in words).lower()
    assert "thank you for calling" in said
    assert "michelle" in said
    regions = vad.speech_regions(opening[0])
    assert all(any(a <= w.start_ms < w.end_ms <= b for a, b in regions) for w in words)
    assert all(0 < w.probability <= 1 for w in words)
    assert np.mean([w.probability for w in words]) > 0.6


@pytest.mark.parametrize(
    "sound",
    ["silence", "noise", "quiet noise", "hold music", "music with noise", "tone", "clicks"],
)
def test_nothing_is_heard_where_nobody_speaks(sound: str, tiny: Path) -> None:
    clicks = np.zeros(30 * RATE, np.float32)
    clicks[:: RATE // 2] = 0.8
    samples = {
        "silence": np.zeros(30 * RATE, np.float32),
        "noise": white_noise(30, rate=RATE, level=0.1),
        "quiet noise": white_noise(30, rate=RATE, level=0.003),
        "hold music": tune(30, rate=RATE),
        "music with noise": tune(30, rate=RATE, seed=4) + white_noise(30, rate=RATE, level=0.01),
        "tone": (0.3 * np.sin(2 * np.pi * 440 * np.arange(30 * RATE) / RATE)).astype(np.float32),
        "clicks": clicks,
    }[sound]
    assert hear("faster-whisper", tiny, samples) == []


def test_the_other_partys_echo_is_not_transcribed_twice(tiny: Path, opening: np.ndarray) -> None:
    from asr_worker.vad import SpeechProbabilities, levels_db, regions, without_leakage

    leak = opening.copy()
    leak[1] = white_noise(24, rate=RATE, level=0.0003) + 10 ** (-25 / 20) * opening[0]
    levels = [levels_db(c) for c in leak]
    cleaned = without_leakage([SpeechProbabilities()(c) for c in leak], levels)
    spans = [regions(p, level) for p, level in zip(cleaned, levels, strict=True)]
    spec = spec_for("faster-whisper", tiny)
    channels = [Channel(c, r) for c, r in zip(leak, spans, strict=True)]
    agent, echo = registry.transcriber(spec).transcribe_channels(channels, spec)
    assert len(agent.words) > 12
    assert len(echo.words) <= 1


def test_voice_activity_in_pieces_is_voice_activity_in_one(opening: np.ndarray) -> None:
    whole = vad.SpeechProbabilities()(opening[1])
    detector = vad.SpeechProbabilities()
    step = 100 * vad.HOP
    pieces = np.concatenate([detector(opening[1, at : at + step]) for at in range(0, opening.shape[1], step)])
    assert np.allclose(whole, pieces, atol=1e-4)


def test_a_model_without_served_weights_names_the_command(tmp_path: Path) -> None:
    from asr_worker.types import ModelMissing

    with pytest.raises(ModelMissing, match="asr_worker.models pull"):
        registry.transcriber(spec_for("faster-whisper", tmp_path))
