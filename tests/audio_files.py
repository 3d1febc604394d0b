"""Sound made for tests: tones, pulses like speech, silence, noise, and files that are broken on purpose."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile


def pulses(seconds: float, *, rate: int = 8000, pitch: float = 140.0, seed: int = 0) -> np.ndarray:
    """Return bursts of a buzzing voice-like tone with pauses, float32 in -0.3..0.3."""
    generator = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * pitch * k * t + generator.uniform(0, 6)) / k for k in range(1, 12))
    gate = (np.sin(2 * np.pi * 0.7 * t + generator.uniform(0, 6)) > -0.2) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    return (0.1 * voice * gate).astype(np.float32)


def wav(samples: np.ndarray, *, rate: int = 8000, subtype: str = "PCM_16") -> bytes:
    """Return samples [frames] or [frames, channels] as a WAV file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def call_wav(seconds: float = 3.0, *, seed: int = 0) -> bytes:
    """Return a stereo call: a different voice on each channel."""
    left = pulses(seconds, pitch=120, seed=seed)
    right = pulses(seconds, pitch=210, seed=seed + 1000)
    return wav(np.stack([left, right], axis=1))


def write(path: Path, data: bytes) -> Path:
    """Write bytes, making folders on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
