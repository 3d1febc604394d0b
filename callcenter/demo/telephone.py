"""What a telephone line does to clean speech: band, level, noise, companding, and the hold tune.

Pure functions of arrays and a seeded generator, so a call sounds the same every time it is made.
All signals are float32, shape (samples,), at 8 kHz unless said otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8_000
MARGIN = 400
Signal = NDArray[np.float32]


def to_line_rate(waveform: Signal, rate: int) -> Signal:
    """`waveform` at `rate` (a multiple of 8 kHz) as 8 kHz, free of aliases; about its length / factor."""
    factor = rate // RATE
    if rate != factor * RATE:
        raise ValueError(f"{rate} Hz is no multiple of {RATE} Hz")
    # Quiet on both sides keeps what rings at one end from coming round to the other.
    padded = np.pad(waveform, (MARGIN * factor, MARGIN * factor + -len(waveform) % (2 * factor)))
    spectrum = np.fft.rfft(padded)[: len(padded) // factor // 2 + 1]
    slow = np.fft.irfft(spectrum, len(padded) // factor) / factor
    return slow[MARGIN:-MARGIN].astype(np.float32)


def trim(waveform: Signal, floor_db: float = -42.0) -> Signal:
    """`waveform` without the quiet before and after it; a few centiseconds of it stay."""
    frame = RATE // 100
    level = _frame_level(waveform, frame)
    loud = np.flatnonzero(level > level.max(initial=0.0) * 10 ** (floor_db / 20))
    if not len(loud):
        return waveform
    return waveform[max(0, (loud[0] - 2) * frame) : (loud[-1] + 5) * frame]


def at_level(waveform: Signal, level_db: float) -> Signal:
    """`waveform` scaled so that its active part has `level_db` dBFS RMS; peaks are rounded off softly."""
    active = active_level(waveform)
    if active == 0:
        return waveform
    scaled = waveform * (10 ** (level_db / 20) / active)
    knee = 0.6
    over = np.abs(scaled) > knee
    scaled[over] = np.sign(scaled[over]) * (knee + 0.35 * np.tanh((np.abs(scaled[over]) - knee) / 0.35))
    return scaled.astype(np.float32)


def active_level(waveform: Signal) -> float:
    """The RMS of the frames within 30 dB of the loudest one; 0.0 for silence."""
    level = _frame_level(waveform, RATE // 50)
    if not len(level) or level.max() == 0:
        return 0.0
    return float(np.sqrt(np.mean(level[level > level.max() * 10**-1.5] ** 2)))


def band(waveform: Signal, low: float = 300.0, high: float = 3400.0) -> Signal:
    """`waveform` through the telephone band, with raised-cosine edges below `low` and above `high` Hz."""
    padded = np.pad(waveform, MARGIN)
    spectrum = np.fft.rfft(padded)
    hertz = np.fft.rfftfreq(len(padded), 1 / RATE)
    rise = np.clip((hertz - (low - 120)) / 120, 0, 1)
    fall = np.clip((high + 250 - hertz) / 250, 0, 1)
    # The lower edge of a real line is gentle: 25 dB down is enough, and keeps low voices alive.
    shape = np.maximum(0.5 - 0.5 * np.cos(np.pi * rise), 0.056) * (0.5 - 0.5 * np.cos(np.pi * fall))
    return np.fft.irfft(spectrum * shape, len(padded))[MARGIN:-MARGIN].astype(np.float32)


def noise(kind: str, samples: int, random: np.random.Generator) -> Signal:
    """Noise of RMS one: `hiss` (line), `hum` (mains and hiss), `street` (traffic) or `office` (murmur)."""
    white = random.standard_normal(samples)
    seconds = np.arange(samples) / RATE
    if kind == "hiss":
        shaped = _tilt(white, 0.5)
    elif kind == "hum":
        mains = sum(np.sin(2 * np.pi * 50 * n * seconds + n) / n for n in (2, 4, 6, 7, 8, 12))
        shaped = _tilt(white, 0.5) + 0.8 * mains
    elif kind == "street":
        shaped = _tilt(white, 1.4) * _swell(samples, random, 0.25)
    elif kind == "office":
        shaped = _tilt(white, 1.0) * (0.5 + _swell(samples, random, 3.0))
    else:
        raise ValueError(f"no noise called {kind!r}")
    heard = band(shaped.astype(np.float32))
    heard /= np.sqrt(np.mean(heard**2))
    return heard


def mulaw(waveform: Signal) -> Signal:
    """`waveform` after 8 bits per sample of mu-law and back, as a G.711 trunk carries it."""
    limited = np.clip(waveform, -1, 1)
    pressed = np.sign(limited) * np.log1p(255 * np.abs(limited)) / np.log(256)
    steps = np.round((pressed + 1) / 2 * 255) / 255 * 2 - 1
    back: Signal = (np.sign(steps) * (256 ** np.abs(steps) - 1) / 255).astype(np.float32)
    return back


def hold_tune(seconds: float, level_db: float = -27.0) -> Signal:
    """A small waltz of plucked tones for callers on hold, composed here; `seconds` long, faded in and out."""
    beat = 0.42
    bass = (45, 52, 43, 50, 41, 48, 40, 47)
    melody = (69, 72, 76, 74, 71, 67, 69, 65, 72, 71, 68, 64)
    samples = int(seconds * RATE)
    tune = np.zeros(samples + 2 * RATE)
    for number in range(int(seconds / beat) + 1):
        root = bass[number // 3 % len(bass)]
        notes = [(root, 0.5)] if number % 3 == 0 else [(root + 12, 0.2), (root + 16, 0.16)]
        notes.append((melody[(number * 5 + number // 12) % len(melody)], 0.42))
        for note, gain in notes:
            start = int(number * beat * RATE)
            if start < samples:
                tune[start : start + RATE] += gain * _pluck(note)
    tune = tune[:samples]
    fade = min(samples // 4, RATE // 2)
    tune[:fade] *= np.linspace(0, 1, fade)
    tune[samples - fade :] *= np.linspace(1, 0, fade)
    return at_level(band(tune.astype(np.float32)), level_db)


def _pluck(note: int) -> NDArray[np.float64]:
    seconds = np.arange(RATE) / RATE
    hertz = 440 * 2 ** ((note - 69) / 12)
    tone = np.zeros(RATE)
    for n in (1, 2, 3):
        tone += np.sin(2 * np.pi * hertz * n * seconds) * np.exp(-seconds * 2.5 * n) / n
    return tone * np.minimum(1, seconds / 0.01) * np.minimum(1, (1 - seconds) / 0.1)


def _frame_level(waveform: Signal, frame: int) -> NDArray[np.float64]:
    whole = len(waveform) // frame * frame
    power: NDArray[np.float64] = np.mean(waveform[:whole].reshape(-1, frame).astype(np.float64) ** 2, axis=1)
    return np.sqrt(power)


def _tilt(white: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """White noise with its amplitude falling as frequency to the minus `exponent`."""
    spectrum = np.fft.rfft(white)
    hertz = np.maximum(np.fft.rfftfreq(len(white), 1 / RATE), 60)
    return np.fft.irfft(spectrum * (hertz / 1000) ** -exponent, len(white))


def _swell(samples: int, random: np.random.Generator, per_second: float) -> NDArray[np.float64]:
    """A slow positive curve that changes about `per_second` times a second, mean near one."""
    points = random.uniform(0.3, 1.7, max(4, int(samples / RATE * per_second) + 2))
    return np.interp(np.linspace(0, len(points) - 1, samples), np.arange(len(points)), points)
