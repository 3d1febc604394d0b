"""Sounds made for tests: speech-like bursts, noise, a tune; and files of any format to hold them."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 8000


def burst_talk(seconds: float, *, rate: int = RATE, seed: int = 0, on: tuple[float, float] = (0.4, 1.2)) -> np.ndarray:
    """Return float32 [samples] with voiced bursts and pauses, loud and quiet as talk is; not speech to a network."""
    rng = np.random.default_rng(seed)
    count = int(seconds * rate)
    out = rng.normal(0, 0.0005, count)
    at = int(rng.uniform(0, 0.5) * rate)
    while at < count:
        length = min(int(rng.uniform(*on) * rate), count - at)
        t = np.arange(length) / rate
        pitch = rng.uniform(90, 220)
        tone = sum(np.sin(2 * np.pi * pitch * k * t + rng.uniform(0, 6)) / k for k in range(1, 9))
        envelope = np.abs(np.sin(np.pi * 4 * t)) * np.sin(np.pi * np.arange(length) / max(1, length))
        out[at : at + length] += 0.1 * tone * envelope
        at += length + int(rng.uniform(0.3, 1.0) * rate)
    return out.astype(np.float32)


def white_noise(seconds: float, *, rate: int = RATE, level: float = 0.05, seed: int = 0) -> np.ndarray:
    """Return float32 [samples] of Gaussian noise."""
    return np.random.default_rng(seed).normal(0, level, int(seconds * rate)).astype(np.float32)


def tune(seconds: float, *, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Return float32 [samples] of hold music: plucked chords and a melody over a bass."""
    rng = np.random.default_rng(seed)
    scale = 220 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
    t = np.arange(int(0.35 * rate)) / rate
    fade = np.exp(-4 * t)
    notes = []
    for i in range(int(seconds / 0.35) + 1):
        melody = scale[int(rng.integers(len(scale)))] * 2
        chord = [scale[(i // 4 * 3 + k) % 7] for k in (0, 2, 4)]
        voices = [(melody, 0.5), (chord[0] / 2, 0.5), *[(c, 0.2) for c in chord]]
        note = sum(a * sum(np.sin(2 * np.pi * f * k * t) / k**2 for k in (1, 2, 3)) for f, a in voices)
        notes.append(0.12 * note * fade)
    return np.concatenate(notes)[: int(seconds * rate)].astype(np.float32)


def wav(path: Path, samples: np.ndarray, *, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    """Write float samples, [samples] or [channels, samples], as a wav file."""
    soundfile.write(path, samples.T if samples.ndim == 2 else samples, rate, subtype=subtype, format="WAV")
    return path


def encoded(path: Path, samples: np.ndarray, *, codec: str, container: str, rate: int = 16_000) -> Path:
    """Write float samples [channels, samples] with any codec that PyAV carries."""
    samples = np.atleast_2d(samples)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono" if len(samples) == 1 else "stereo")
        kind = stream.codec_context.format.name
        resampler = av.AudioResampler(format=kind, rate=rate)
        for at in range(0, samples.shape[1], 960):
            part = np.ascontiguousarray(samples[:, at : at + 960], np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono" if len(part) == 1 else "stereo")
            frame.sample_rate = rate
            frame.pts = at
            for ready in resampler.resample(frame):
                out.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    return path


def long_mulaw_wav(path: Path, seconds: int, *, rate: int = RATE) -> Path:
    """Write a long wav quickly: one minute of bursts in mu-law, repeated."""
    minute = path.with_suffix(".minute.wav")
    wav(minute, burst_talk(60, rate=rate), rate=rate, subtype="ULAW")
    body = minute.read_bytes()
    body = body[body.index(b"data") + 8 :][: 60 * rate]
    size = seconds * rate
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 7, 1, rate, rate, 1, 8)
    with path.open("wb") as out:
        out.write(header + b"data" + struct.pack("<I", size))
        for _ in range(seconds // 60):
            out.write(body)
        out.write(body[: seconds % 60 * rate])
    return path
