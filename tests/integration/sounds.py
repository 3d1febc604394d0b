"""The recordings of the integration scenarios: demo calls as they are, and what people upload by mistake."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import av
import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "callcenter" / "demo" / "audio"
STEREO, MONO = DEMO / "cancellation_threat.opus", DEMO / "engineer_booking.opus"
RATE = 8000


def decoded(path: Path) -> np.ndarray:
    """Return a recording as float32 [frames, channels] at 8 kHz."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", rate=RATE)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    channels = len(frames[0].layout.channels)
    samples = np.concatenate([frame.to_ndarray().reshape(-1, channels) for frame in frames])
    return (samples / 32768).astype(np.float32)


def wav(samples: np.ndarray, *, subtype: str = "PCM_16") -> bytes:
    """Return samples [frames] or [frames, channels] as an 8 kHz WAV file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="WAV", subtype=subtype)
    return buffer.getvalue()


def hold_tune(seconds: float, *, seed: int = 0) -> np.ndarray:
    """Return soft chords with a melody and a beat, as played to people who wait; float32 [frames]."""
    generator = np.random.default_rng(seed)
    step = RATE // 3
    t = np.arange(step) / RATE
    decay = np.exp(-3 * t)
    out = np.zeros(int(seconds * RATE) + step, np.float32)
    roots = (220.0, 174.6, 130.8, 196.0)
    for number, at in enumerate(range(0, int(seconds * RATE), step)):
        root = roots[number // 8 % 4]
        chord = sum(np.sin(2 * np.pi * root * k * t) for k in (1, 1.26, 1.5))
        note = np.sin(2 * np.pi * root * generator.choice([2, 2.25, 2.5, 3, 3.37]) * t)
        beat = generator.standard_normal(step) * np.exp(-60 * t) * (number % 2)
        out[at : at + step] += (0.05 * chord + 0.09 * note * decay + 0.05 * beat).astype(np.float32)
    return out[: int(seconds * RATE)]


def noise(seconds: float, *, seed: int = 0) -> np.ndarray:
    """Return white noise, float32 [frames]."""
    return (0.05 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


def bomb() -> bytes:
    """Return a small zip archive that would unpack to 64 MiB of zeros named as a recording."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("calls/zeros.wav", bytes(64 * 2**20))
    return buffer.getvalue()


def upload() -> dict[str, bytes]:
    """Return file name -> content of one batch in which nearly everything that can be wrong is wrong."""
    stereo = STEREO.read_bytes()
    whole = wav(decoded(STEREO)[: 20 * RATE])
    tune = hold_tune(25)
    return {
        "stereo.opus": stereo,
        "mono.opus": MONO.read_bytes(),
        "again/stereo copy.opus": stereo,
        "empty.wav": b"",
        "text.wav": b"Dear team, the recordings will follow on Monday.\n" * 40,
        "truncated.wav": whole[: len(whole) // 2],
        "seven.wav": wav(np.stack([noise(2, seed=n) for n in range(7)], axis=1)),
        "silence.wav": wav(np.zeros(10 * RATE, np.float32)),
        "noise.wav": wav(noise(20)),
        "tune.wav": wav(np.stack([tune, tune], axis=1)),
        "bomb.zip": bomb(),
    }
