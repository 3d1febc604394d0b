"""How a recording sounds, whoever speaks and whatever is said: loudness and pitch of each channel, ten times a second.

The tracks depend on the sound alone, so that turns may be corrected and parties swapped without listening again; who
was aroused is read from them by understanding. Pitch is the best peak of the autocorrelation, divided by that of its
window, after Boersma ("Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
sampled sound", IFA Proceedings 17, 1993). Costs far below a hundredth of the recording's length; imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from asr_worker import audio
from asr_worker.storage import Store, artefact_key

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
RATE = 8_000
STEP_MS = 100
_HOP, _FRAME, _FFT = 160, 320, 512
_HOPS = RATE * STEP_MS // 1000 // _HOP
_LOWEST, _HIGHEST = 75.0, 400.0
_VOICED, _OCTAVE_COST = 0.5, 0.04
#: Pitch is looked for below this: higher harmonics fall between two samples and make twice the period look better.
_CUT_HZ = 1000
#: Below this a frame is silence, and below this loudness nothing is told apart.
_SILENT_DB, FLOOR_DB = -55.0, -80.0
_WINDOW_SECONDS = 60.0
_PARAMETERS = [
    SCHEMA_VERSION, RATE, STEP_MS, _HOP, _FRAME, _FFT, _LOWEST, _HIGHEST, _VOICED, _OCTAVE_COST, _CUT_HZ,
    _SILENT_DB, FLOOR_DB,
]  # fmt: skip

_window = np.hanning(_FRAME + 2)[1:-1].astype(np.float32)


def voice_key(sha256: str) -> str:
    """Return the key of the tracks of a recording, measured as this code measures."""
    fingerprint = hashlib.sha256(json.dumps(_PARAMETERS).encode()).hexdigest()[:16]
    return artefact_key(sha256, "voice", fingerprint)


def tracks(path: str | Path) -> dict[str, Any]:
    """Return {schema_version, step_ms, channels: [{energy_db, pitch_hz}]}; a pitch of 0 means that nobody voices.

    Memory does not grow with the length of the sound. Raises BadAudio where nothing can be decoded.
    """
    energy: list[list[np.ndarray]] = []
    pitch: list[list[np.ndarray]] = []
    for _, samples in audio.stream(path, seconds=_WINDOW_SECONDS, rate=RATE):
        for channel, sound in enumerate(samples):
            if channel == len(energy):
                energy.append([])
                pitch.append([])
            loud, tone = measure(sound)
            energy[channel].append(loud)
            pitch[channel].append(tone)
    channels = [
        {
            "energy_db": [round(float(v), 1) for v in np.concatenate(loud)],
            "pitch_hz": [round(float(v), 1) for v in np.concatenate(tone)],
        }
        for loud, tone in zip(energy, pitch, strict=True)
    ]
    return {"schema_version": SCHEMA_VERSION, "step_ms": STEP_MS, "channels": channels}


def measure(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (loudness in dB, pitch in Hz or 0) of each tenth of a second of one channel at 8 kHz."""
    steps = -(-len(sound) // (_HOP * _HOPS))
    hops = steps * _HOPS
    padded = np.zeros(hops * _HOP + _FRAME, np.float32)
    padded[: len(sound)] = sound
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][:hops]
    power = np.square(padded[: hops * _HOP]).reshape(hops, _HOP).mean(1)
    energy = 10 * np.log10(np.maximum(power.reshape(steps, _HOPS).mean(1), 10 ** (FLOOR_DB / 10)))
    tones = np.zeros(hops, np.float32)
    heard = np.flatnonzero(10 * np.log10(np.maximum(power, 1e-12)) > _SILENT_DB)
    for part in range(0, len(heard), 4096):
        some = heard[part : part + 4096]
        tones[some] = _pitch(frames[some])
    grouped = tones.reshape(steps, _HOPS)
    voiced = grouped > 0
    median = np.zeros(steps, np.float32)
    sure = voiced.sum(1) >= 2
    if sure.any():
        median[sure] = np.nanmedian(np.where(voiced, grouped, np.nan)[sure], axis=1)
    return energy, median


def _pitch(frames: np.ndarray) -> np.ndarray:
    """Return the pitch of each frame, 0 where it has none."""
    short, long = int(RATE / _HIGHEST), int(RATE / _LOWEST)
    own = _autocorrelation(_window[None, :], _FFT)[0]
    centred = frames - frames.mean(axis=1, keepdims=True)
    found = _autocorrelation(centred * _window, _CUT_HZ * _FFT // RATE)
    found /= np.maximum(found[:, :1], 1e-12)
    found = found[:, : long + 2] / (own[: long + 2] / own[0])
    lags = np.arange(short, long + 1)
    strength = found[:, lags] - _OCTAVE_COST * np.log2(lags / short)
    # A peak, and not the slope down from lag 0.
    peak = (found[:, lags] > found[:, lags - 1]) & (found[:, lags] >= found[:, lags + 1])
    strength = np.where(peak, strength, -1.0)
    at = lags[strength.argmax(1)]
    rows = np.arange(len(frames))
    left, middle, right = found[rows, at - 1], found[rows, at], found[rows, at + 1]
    bend = left - 2 * middle + right
    shift = np.where(np.abs(bend) > 1e-9, 0.5 * (left - right) / np.where(bend == 0, 1, bend), 0.0)
    voiced = (middle >= _VOICED) & (strength.max(1) > -1.0)
    return np.where(voiced, RATE / (at + np.clip(shift, -0.5, 0.5)), 0.0).astype(np.float32)


def _autocorrelation(frames: np.ndarray, bins: int) -> np.ndarray:
    """Return the autocorrelation of what the frames hold below a bin of their spectrum."""
    from scipy import fft

    spectrum = fft.rfft(frames, _FFT, axis=1)[:, :bins]
    power = spectrum.real**2 + spectrum.imag**2
    return fft.irfft(power, _FFT, axis=1)[:, : _FRAME // 2].astype(np.float32)


def _readable(store: Store, key: str) -> bool:
    try:
        return isinstance(json.loads(store.get_bytes(key))["channels"], list)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def ensure(store: Store, audio_key: str, sha256: str) -> float:
    """Have the tracks of a recording in the store; return the seconds it took, 0.0 where they were there.

    Never raises: a call without them is understood from its words alone.
    """
    key = voice_key(sha256)
    began = time.perf_counter()
    try:
        if _readable(store, key):
            return 0.0
        with store.local_path(audio_key) as path:
            document = tracks(path)
        store.put_bytes(key, json.dumps(document, separators=(",", ":")).encode())
    except Exception as error:  # an optional signal must not cost the words
        log.warning("the voice of a recording was not measured: %s", type(error).__name__)
        return 0.0
    return round(time.perf_counter() - began, 3)
