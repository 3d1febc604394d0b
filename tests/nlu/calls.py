"""Calls in words: a transcript document from (party, text) turns, and an embedder without weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from analytics.nlu.text import tokens_of

WORD_MS = 280
STEP_MS = 330
PAUSE_MS = 400


def call(*turns: tuple[Any, ...], probability: float = 0.95, **fields: Any) -> dict[str, Any]:
    """Return a transcript of turns (party, text[, pause before in ms]); words take 280 ms each, 50 ms apart."""
    now = 0
    out = []
    for index, turn in enumerate(turns):
        party, text = turn[0], turn[1]
        now += turn[2] if len(turn) > 2 else PAUSE_MS
        words = []
        for word in text.split():
            words.append({"text": word, "start_ms": now, "end_ms": now + WORD_MS, "probability": probability})
            now += STEP_MS
        out.append(
            {
                "index": index,
                "party": party,
                "speaker": party,
                "channel": 0,
                "start_ms": words[0]["start_ms"],
                "end_ms": words[-1]["end_ms"],
                "words": words,
                "text": text,
            }
        )
    document = {"schema_version": 1, "turns": out, "duration_ms": now, "language": "en", "mapping": {"confidence": 1.0}}
    return document | fields


def timed(*turns: tuple[str, int, int, str], duration_ms: int) -> dict[str, Any]:
    """Return a transcript of turns (party, start_ms, end_ms, text) whose words fill their turn evenly."""
    out = []
    for index, (party, start, end, text) in enumerate(turns):
        parts = text.split()
        step = (end - start) / len(parts)
        words = [
            {
                "text": w,
                "start_ms": round(start + k * step),
                "end_ms": round(start + (k + 1) * step),
                "probability": 0.9,
            }
            for k, w in enumerate(parts)
        ]
        out.append({"index": index, "party": party, "start_ms": start, "end_ms": end, "words": words, "text": text})
    return {"schema_version": 1, "turns": out, "duration_ms": duration_ms, "language": "en"}


class HashingEmbedder:
    """Bags of words hashed to 256 places: sentences that share words are near each other. Counts its passes."""

    fingerprint = "hashing-256"

    def __init__(self) -> None:
        self.passes: list[int] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.passes.append(len(texts))
        return self.tones(texts)

    def tones(self, texts: Sequence[str]) -> np.ndarray:
        out = np.zeros((len(texts), 256), np.float32)
        for row, text in enumerate(texts):
            for token in tokens_of(text):
                out[row, int(hashlib.sha256(token.encode()).hexdigest(), 16) % 256] += 1
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)

    def encode_fixed(self, texts: tuple[str, ...]) -> np.ndarray:
        return self.tones(texts)


GREETING = ("agent", "Thank you for calling Acme, my name is Anna, how can I help you today?")
GOODBYE = ("agent", "Is there anything else? Thank you for calling, have a nice day, goodbye.")
