"""Keeps invented speech out: loops, words with no sound under them, and sentences said of silence.

What Whisper invents has signs: the same words over and over (a high compression ratio), a high no-speech
probability together with low token probabilities, and words where the channel is quiet. Nothing here logs or
returns text in a warning.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_worker.engines.base import Heard, Timed, in_order
from asr_worker.types import Word

RATE = 16_000
LOOPED = "a repetition loop was decoded again"
_MAX_COMPRESSION = 2.4
_NO_SPEECH, _UNSURE = 0.6, -1.0
_HOPELESS = -1.6
_QUIET_DB = -62.0
_REPEATS = 4
_STUTTER = re.compile(r"(\S{1,6}?)\1{7,}")  # C-C-C-C-C-C-C-C- inside one word


@dataclass(frozen=True, slots=True)
class Decoded:
    """A recogniser's result for one clip: words timed within the clip, and how sure it was."""

    words: list[Timed]
    mean_log_probability: float
    no_speech: float = 0.0


def judge(decoded: Decoded, audio: np.ndarray) -> tuple[list[Timed], str]:
    """Return the words to keep and why some are not kept: empty, `loop`, or a sentence for the transcript."""
    words = decoded.words
    if not words:
        return [], ""
    if decoded.mean_log_probability < _HOPELESS or (
        decoded.no_speech > _NO_SPEECH and decoded.mean_log_probability < _UNSURE
    ):
        return [], f"{len(words)} word(s) were dropped: the model itself heard no speech there"
    seconds = max(0.1, len(audio) / RATE)
    if is_loop(" ".join(w.text for w in words)) or len(words) / seconds > 9:
        return words, "loop"
    return words, ""


def is_loop(text: str) -> bool:
    """Say whether a text repeats itself as only a decoder does."""
    if _STUTTER.search(text):
        return True
    raw = text.encode()
    if len(raw) > 60 and len(raw) / len(zlib.compress(raw)) > _MAX_COMPRESSION:
        return True
    words = text.lower().split()
    return any(_longest_run(words, n) >= (2 * _REPEATS if n == 1 else _REPEATS) for n in range(1, 9))


def _longest_run(words: Sequence[str], n: int) -> int:
    """Return how often the same n words stand in a row at most."""
    best = run = 1
    i = 0
    while i + 2 * n <= len(words):
        if words[i : i + n] == words[i + n : i + 2 * n]:
            run += 1
            best = max(best, run)
            i += n
        else:
            run = 1
            i += 1
    return best


def collapse(words: Sequence[Timed]) -> list[Timed]:
    """Return the words with every run of four or more equal n-grams cut to its first two rounds."""
    out = [replace(w, text=_STUTTER.sub(r"\1\1", w.text)) for w in words]
    for n in range(8, 0, -1):
        limit = 2 * _REPEATS if n == 1 else _REPEATS
        keep: list[Timed] = []
        i = 0
        while i < len(out):
            rounds = 1
            gram = [w.text.lower() for w in out[i : i + n]]
            while len(gram) == n and [w.text.lower() for w in out[i + rounds * n : i + (rounds + 1) * n]] == gram:
                rounds += 1
            if rounds >= limit:
                keep += out[i : i + 2 * n]
                i += rounds * n
            else:
                keep.append(out[i])
                i += 1
        out = keep
    return out


def finish(heard: Heard, audio: np.ndarray) -> Heard:
    """Return one channel's words in time order, without those that have no sound under them."""
    words, dropped = without_energy(in_order(heard.words), audio)
    warnings = list(heard.warnings)
    if dropped:
        warnings.append(f"{dropped} word(s) without sound under them were dropped")
    return Heard(words, warnings)


def without_energy(words: Sequence[Word], audio: np.ndarray) -> tuple[list[Word], int]:
    """Return the words that have sound under them, and how many had none.

    A word passes when any 20 ms within 120 ms of it is louder than -62 dB of full scale.
    """
    kept = []
    for word in words:
        a = max(0, (word.start_ms - 120) * RATE // 1000)
        part = audio[a : (word.end_ms + 120) * RATE // 1000]
        part = part[: len(part) // 320 * 320].reshape(-1, 320)
        power = np.square(part, dtype=np.float64).mean(axis=1).max(initial=0.0)
        if power > 10 ** (_QUIET_DB / 10):
            kept.append(word)
    return kept, len(words) - len(kept)
