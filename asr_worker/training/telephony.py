"""What telephone networks do to speech: the band and the codecs, as functions of float32 [samples] at 16 kHz.

Each returns as many samples as it got, in time with them, since word times and labels must go on fitting. G.711 takes
the laws themselves, not their straight segments. GSM full rate is our own model of its coder (RPE-LTP, ETSI GSM
06.10) with the standard's quantisers in floating point: not bit-exact, since the usual media libraries can only
decode it. AMR narrow band is the real coder where the media library brings one.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np

RATE = 16_000
LINE_RATE = 8_000
AMR_BIT_RATES = (4750, 5900, 7950, 12200)

# GSM 06.10, tables 4.1 to 4.3: the quantisers of the log area ratios, and the filter that picks the pulse grid.
_LAR_SLOPE = np.array([20, 20, 20, 20, 13.637, 15, 8.334, 8.824])
_LAR_OFFSET = np.array([0, 0, 4, -5, 0.184, -3.5, -0.666, -2.235])
_LAR_LOW = np.array([-32, -32, -16, -16, -8, -8, -4, -4])
_LAR_HIGH = np.array([31, 31, 15, 15, 7, 7, 3, 3])
_LTP_GAINS = np.array([0.1, 0.35, 0.65, 1.0])
_LTP_EDGES = np.array([0.2, 0.5, 0.8])
_WEIGHTING = np.array([-134, -374, 0, 2054, 5741, 8192, 5741, 2054, 0, -374, -134]) / 8192
_FRAME, _PART, _ORDER = 160, 40, 8


def band(audio: np.ndarray, low: float = 300.0, high: float = 3400.0) -> np.ndarray:
    """Return the audio through the telephone band; beyond 150 Hz past its edges nothing is left."""
    if not len(audio):
        return audio
    margin = RATE // 10
    padded = np.pad(audio, margin)
    hertz = np.fft.rfftfreq(len(padded), 1 / RATE)
    rise, fall = np.clip((hertz - low + 150) / 150, 0, 1), np.clip((high + 150 - hertz) / 150, 0, 1)
    shape = (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))
    return np.fft.irfft(np.fft.rfft(padded) * shape, len(padded))[margin:-margin].astype(np.float32)


def g711(audio: np.ndarray, law: str = "mu") -> np.ndarray:
    """Return the audio after 8 bits a sample at 8 kHz and back, by `mu` or `a` law (ITU-T G.711)."""
    line = np.clip(_to_line(audio), -1, 1)
    size = np.abs(line)
    if law == "mu":
        pressed = np.log1p(255 * size) / np.log(256)
        coarse = np.round(pressed * 127) / 127
        back = np.expm1(coarse * np.log(256)) / 255
    elif law == "a":
        bend = 1 + np.log(87.6)
        pressed = np.where(size < 1 / 87.6, 87.6 * size, 1 + np.log(np.maximum(87.6 * size, 1))) / bend
        coarse = (np.floor(np.minimum(pressed * 128, 127)) + 0.5) / 128
        back = np.where(coarse < 1 / bend, coarse * bend, np.exp(coarse * bend - 1)) / 87.6
    else:
        raise ValueError(f"no law called {law!r}; known: mu, a")
    return _from_line(np.sign(line) * back, len(audio))


def amr(audio: np.ndarray, bit_rate: int = 7950) -> np.ndarray:
    """Return the audio after AMR narrow band at a bit rate, where `has_amr()`; the coder's delay is taken out."""
    import av

    line = np.round(np.clip(_to_line(audio), -1, 1) * 32767).astype(np.int16)
    # The coder looks 5 ms ahead, so what comes out is 40 samples late.
    padded = np.pad(line, (0, 40 + _FRAME - (len(line) + 40) % _FRAME))
    held = io.BytesIO()
    with av.open(held, "w", format="amr") as target:
        stream: Any = target.add_stream("libopencore_amrnb", rate=LINE_RATE)
        stream.layout, stream.bit_rate = "mono", bit_rate
        frame = av.AudioFrame.from_ndarray(padded[None], format="s16", layout="mono")
        frame.sample_rate = LINE_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            target.mux(packet)
    held.seek(0)
    with av.open(held, "r", format="amr") as source:
        parts = [one.to_ndarray().reshape(-1) for one in source.decode(audio=0)]
    joined = np.concatenate(parts)
    heard = joined.astype(np.float64) / (32768 if joined.dtype.kind == "i" else 1)
    return _from_line(np.pad(heard[40:], (0, len(line)))[: len(line)], len(audio))


@cache
def has_amr() -> bool:
    """Return whether the media library here can code AMR narrow band."""
    import av

    try:
        av.codec.Codec("libopencore_amrnb", "w")
    except ValueError:
        return False
    return True


def gsm(audio: np.ndarray, *, levels: int = 8) -> np.ndarray:
    """Return the audio after a model of GSM full rate: 13 kbit/s, 20 ms frames, `levels` steps for each pulse."""
    from scipy.signal import lfilter, lfiltic

    line = np.clip(_to_line(audio), -1, 1) * 32767
    whole = np.pad(line, (0, -len(line) % _FRAME))
    sharp = lfilter([1, -0.86], [1], whole)
    out = np.zeros(len(whole))
    past = np.zeros(120)  # the residual as the decoder knows it
    before, heard_before = np.zeros(_ORDER), np.zeros(_ORDER)
    for at in range(0, len(whole), _FRAME):
        frame = sharp[at : at + _FRAME]
        taps = _predictor(frame)
        residual = lfilter(taps, [1], frame, zi=lfiltic(taps, [1], [], x=before))[0]
        coded = np.zeros(_FRAME)
        for part in range(0, _FRAME, _PART):
            coded[part : part + _PART] = _code_part(residual[part : part + _PART], past, levels)
            past = np.concatenate([past[_PART:], coded[part : part + _PART]])
        made = lfilter([1], taps, coded, zi=lfiltic([1], taps, heard_before))[0]
        before, heard_before = frame[::-1][:_ORDER], made[::-1][:_ORDER]
        out[at : at + _FRAME] = made
    return _from_line(lfilter([1], [1, -0.86], out)[: len(line)] / 32767, len(audio))


def _predictor(frame: np.ndarray) -> np.ndarray:
    """Return the taps [1, a1..a8] of the short-term filter after the quantiser of the log area ratios."""
    correlation = np.array([frame[: len(frame) - k] @ frame[k:] for k in range(_ORDER + 1)])
    if correlation[0] <= 0:
        return np.array([1.0] + [0.0] * _ORDER)
    correlation[0] *= 1.0001
    taps, error = np.array([1.0]), correlation[0]
    reflections = np.zeros(_ORDER)
    for k in range(_ORDER):
        reflections[k] = -(taps @ correlation[k + 1 : 0 : -1]) / error
        longer = np.append(taps, 0.0)
        taps = longer + reflections[k] * longer[::-1]
        error *= 1 - reflections[k] ** 2
    # The standard's reflection coefficients have the other sign; its tables are not symmetric.
    standard = np.clip(-reflections, -0.9999, 0.9999)
    ratios = np.log10((1 + standard) / (1 - standard))
    coded = np.clip(np.round(_LAR_SLOPE * ratios + _LAR_OFFSET), _LAR_LOW, _LAR_HIGH)
    grown = 10 ** ((coded - _LAR_OFFSET) / _LAR_SLOPE)
    taps = np.array([1.0])
    for value in -(grown - 1) / (grown + 1):
        longer = np.append(taps, 0.0)
        taps = longer + value * longer[::-1]
    return taps


def _code_part(residual: np.ndarray, past: np.ndarray, levels: int) -> np.ndarray:
    """Return 5 ms of residual as the decoder gets it: a lag and gain of the past, and 13 pulses every third sample."""
    windows = np.lib.stride_tricks.sliding_window_view(past, _PART)  # lag 120 first, lag 40 last
    match = windows @ residual
    best = int(np.argmax(match))
    power = float(windows[best] @ windows[best])
    gain = _LTP_GAINS[np.searchsorted(_LTP_EDGES, match[best] / power)] if power > 0 and match[best] > 0 else 0.1
    predicted = gain * windows[best]
    left = residual - predicted
    smooth = np.convolve(left, _WEIGHTING, mode="same")
    grid = max(range(4), key=lambda m: float(np.square(smooth[m : m + 37 : 3]).sum()))
    pulses = smooth[grid : grid + 37 : 3]
    peak = float(np.abs(pulses).max())
    if peak > 0:
        # Six bits for the block's maximum, on a scale of steps that double every eight.
        step = 2.0 ** max(0, int(np.floor(np.log2(max(peak, 1) / 512))) + 1) * 32
        peak = max(step, np.ceil(peak / step) * step)
        half = levels / 2
        pulses = (np.clip(np.floor(pulses / peak * half), -half, half - 1) + 0.5) / half * peak
    sparse = np.zeros(_PART)
    sparse[grid : grid + 37 : 3] = pulses
    return predicted + sparse


def _to_line(audio: np.ndarray) -> np.ndarray:
    import soxr

    return soxr.resample(np.asarray(audio, np.float64), RATE, LINE_RATE)


def _from_line(line: np.ndarray, samples: int) -> np.ndarray:
    import soxr

    back = soxr.resample(np.asarray(line, np.float64), LINE_RATE, RATE)
    return np.pad(back, (0, max(0, samples - len(back))))[:samples].astype(np.float32)
