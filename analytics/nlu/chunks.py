"""The call cut into sentence-sized pieces, embedded once for intent, sentiment and semantic rules together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analytics.nlu import likeness
from analytics.nlu.embedding import Embedder
from analytics.nlu.rules import Semantic
from analytics.nlu.text import CallText, CallTurn, is_speech
from analytics.redaction import merged

MAX_WORDS = 32
MIN_WORDS = 4
_ENDS = (".", "?", "!", "…")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Words [first, end) of one turn; `words` counts those that somebody really said."""

    turn: int
    party: str
    first: int
    end: int
    start_ms: int
    end_ms: int
    text: str
    words: int


def cut(call: CallText) -> list[Chunk]:
    """Return the pieces of all turns in time order: whole sentences up to 32 words, very short ones joined."""
    return [chunk for turn in call.turns for chunk in _cut_turn(turn)]


def _cut_turn(turn: CallTurn) -> list[Chunk]:
    pieces: list[tuple[int, int]] = []
    first = 0
    for at, word in enumerate(turn.words):
        size = at + 1 - first
        ends = word.text.endswith(_ENDS) and size >= MIN_WORDS
        if ends or size >= MAX_WORDS:
            pieces.append((first, at + 1))
            first = at + 1
    if first < len(turn.words):
        rest = len(turn.words) - first
        if pieces and rest < MIN_WORDS and turn.words[first - 1].end_ms and pieces[-1][1] - pieces[-1][0] < MAX_WORDS:
            pieces[-1] = (pieces[-1][0], len(turn.words))
        else:
            pieces.append((first, len(turn.words)))
    out = []
    for lo, hi in pieces:
        said = [w for w in turn.words[lo:hi] if is_speech(w.text)]
        if said:
            text = " ".join(merged(w.text for w in said))
            out.append(
                Chunk(
                    turn.index,
                    turn.party,
                    lo,
                    hi,
                    turn.words[lo].start_ms,
                    turn.words[hi - 1].end_ms,
                    text,
                    len(said),
                )
            )
    return out


class EmbeddedChunks:
    """Chunks with their unit vectors; satisfies `engine.Chunks`."""

    def __init__(self, chunks: Sequence[Chunk], embedder: Embedder, cache_dir: Path | None = None) -> None:
        self.chunks = list(chunks)
        self.embedder = embedder
        self.cache_dir = cache_dir
        texts = [c.text for c in self.chunks]
        self.vectors = embedder.encode(texts)
        self.readings = np.concatenate([self.vectors, embedder.tones(texts)], axis=1)

    def of(self, party: str, lo_ms: int, hi_ms: int) -> list[tuple[int, int, int, np.ndarray]]:
        return [
            (c.turn, c.first, c.end, self.vectors[i])
            for i, c in enumerate(self.chunks)
            if c.party == party and lo_ms <= c.start_ms <= hi_ms
        ]

    def alike(
        self, semantic: Semantic, category: str, party: str, lo_ms: int, hi_ms: int
    ) -> list[tuple[int, int, int, float, str]]:
        mine = [i for i, c in enumerate(self.chunks) if c.party == party and lo_ms <= c.start_ms <= hi_ms]
        if not mine:
            return []
        cosines = self.vectors[mine] @ self.embed(semantic.examples).T
        scores = cosines.max(1)
        if semantic.unlike:
            head = likeness.head(semantic, category, self.embedder, self.cache_dir)
            scores = head.probabilities(self.readings[mine])[:, 1]
        rows = zip((self.chunks[i] for i in mine), scores, cosines.argmax(1), strict=True)
        return [
            (c.turn, c.first, c.end, float(score), semantic.examples[at])
            for c, score, at in rows
            if score >= semantic.threshold
        ]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self.embedder.encode_fixed(tuple(texts))
