"""Finds where somebody speaks: Silero's network in ONNX, then regions that a recogniser can be fed with.

Only speech reaches a recogniser, because Whisper invents sentences for silence, noise and hold music. The network
is the batched ONNX form of silero-vad (Silero Team 2021-2025, MIT) that the faster-whisper wheel carries: it
takes minutes of audio in one call, where the usual form takes 32 ms, and is several times quicker for it.
No torch is imported.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr_worker.types import ModelMissing

RATE = 16_000
HOP = 512
HOP_MS = HOP * 1000 / RATE
_CONTEXT = 64
_BATCH = 4096
_QUIET_DB = -65.0
_LEAK_DB = 18.0

Region = tuple[int, int]


@dataclass(frozen=True, slots=True)
class VadOptions:
    """How probabilities become regions; lengths in ms. The defaults are tuned for 8 kHz telephone speech."""

    threshold: float = 0.5
    release: float = 0.35
    min_speech_ms: int = 96
    min_silence_ms: int = 600
    pad_ms: int = 200
    max_region_ms: int = 27_000


def _model_file() -> Path:
    spec = importlib.util.find_spec("faster_whisper")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("silero_vad_v6.onnx",):
            if (path := Path(folder) / "assets" / name).is_file():
                return path
    raise ModelMissing("the voice activity model is missing; install it with: pip install faster-whisper")


@functools.lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = min(2, os.cpu_count() or 1)
    options.log_severity_level = 3
    # The arena would keep the largest batch's memory for the life of the worker.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(_model_file()), providers=["CPUExecutionProvider"], sess_options=options)


class SpeechProbabilities:
    """Turns consecutive pieces of one channel (float32, 16 kHz) into one speech probability per 32 ms.

    The network's memory is carried from piece to piece, so cutting a recording into windows changes nothing as
    long as every piece but the last is a multiple of 512 samples.
    """

    def __init__(self) -> None:
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Return float32 [ceil(samples / 512)]; the last hop is padded with silence."""
        if not audio.size:
            return np.zeros(0, np.float32)
        hops = np.pad(audio, (0, -len(audio) % HOP)).reshape(-1, HOP)
        before = np.vstack((self._context, hops[:-1, -_CONTEXT:]))
        rows = np.concatenate((before, hops), axis=1).astype(np.float32, copy=False)
        session, parts = _session(), []
        for at in range(0, len(rows), _BATCH):
            out, self._h, self._c = session.run(None, {"input": rows[at : at + _BATCH], "h": self._h, "c": self._c})
            parts.append(np.asarray(out).reshape(-1))
        self._context = hops[-1, -_CONTEXT:]
        return np.concatenate(parts)


def levels_db(audio: np.ndarray) -> np.ndarray:
    """Return the level of each 32 ms hop in dB of full scale, at least -100."""
    hops = np.pad(audio, (0, -len(audio) % HOP)).reshape(-1, HOP)
    power = np.einsum("hs,hs->h", hops, hops, dtype=np.float64) / HOP
    return 10 * np.log10(power + 1e-10)


def without_leakage(probabilities: Sequence[np.ndarray], levels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the two channels' probabilities with the other party's echo taken out.

    Silero hears speech at any level, so an echo 25 dB down would be transcribed a second time for the wrong party.
    While one channel is much louder than the other and speaking, what the quiet one carries is taken for its echo.
    """
    smooth = [np.convolve(row, np.ones(5) / 5, "same") if len(row) >= 5 else row for row in levels]
    cleaned = []
    for me, other in ((0, 1), (1, 0)):
        echo = (smooth[other] - smooth[me] > _LEAK_DB) & (probabilities[other] > 0.3)
        cleaned.append(np.where(echo, 0.0, probabilities[me]))
    return cleaned[0], cleaned[1]


def regions(
    probabilities: np.ndarray,
    levels: np.ndarray,
    options: VadOptions | None = None,
    *,
    length_ms: int | None = None,
) -> list[Region]:
    """Return speech regions as sorted, disjoint (start_ms, end_ms), each at most `max_region_ms` long.

    Speech starts above `threshold` and ends after `min_silence_ms` below `release`; regions are padded without
    overlapping, and dropped where nothing in them is louder than -65 dB of full scale.
    """
    opts = options or VadOptions()
    spans = _hysteresis(probabilities, opts)
    spans = [(a, b) for a, b in spans if levels[a:b].max(initial=-100.0) > _QUIET_DB]
    limit = length_ms if length_ms is not None else round(len(probabilities) * HOP_MS)
    pieces: list[tuple[float, float]] = []
    for a, b in spans:
        pieces += _split(probabilities, a, b, opts)
    out: list[Region] = []
    for i, (start, end) in enumerate(pieces):
        before = pieces[i - 1][1] if i else 0.0
        after = pieces[i + 1][0] if i + 1 < len(pieces) else float(limit)
        left = min(opts.pad_ms, max(0.0, (start - before) / (2 if i else 1)))
        right = min(opts.pad_ms, max(0.0, (after - end) / (2 if i + 1 < len(pieces) else 1)))
        a_ms, b_ms = round(start - left), min(limit, round(end + right))
        if b_ms > a_ms:
            out.append((a_ms, b_ms))
    return out


def _hysteresis(probabilities: np.ndarray, opts: VadOptions) -> list[tuple[int, int]]:
    min_speech = max(1, round(opts.min_speech_ms / HOP_MS))
    min_silence = max(1, round(opts.min_silence_ms / HOP_MS))
    spans: list[tuple[int, int]] = []
    start, last = -1, -1
    high = probabilities >= opts.threshold
    low = probabilities >= opts.release
    for i in map(int, np.flatnonzero(low)):
        if start >= 0 and i - last > min_silence:
            spans.append((start, last + 1))
            start = -1
        if start < 0 and high[i]:
            start = i
        if start >= 0:
            last = i
    if start >= 0:
        spans.append((start, last + 1))
    return [(a, b) for a, b in spans if int(high[a:b].sum()) >= min_speech]


def _split(probabilities: np.ndarray, a: int, b: int, opts: VadOptions) -> list[tuple[float, float]]:
    """Cut a span that is too long where speech is least likely in the second half of the allowed length."""
    most = int((opts.max_region_ms - 2 * opts.pad_ms) / HOP_MS)
    out = []
    while b - a > most:
        window = probabilities[a + most // 2 : a + most]
        cut = a + most // 2 + int(window.argmin())
        out.append((a * HOP_MS, cut * HOP_MS))
        a = cut
    out.append((a * HOP_MS, b * HOP_MS))
    return out


def speech_regions(audio: np.ndarray, options: VadOptions | None = None) -> list[Region]:
    """Return the speech regions of one whole channel (float32, 16 kHz) as (start_ms, end_ms)."""
    return regions(
        SpeechProbabilities()(audio),
        levels_db(audio),
        options,
        length_ms=len(audio) * 1000 // RATE,
    )
