"""How each turn sounds in words, from -1 to 1, and the curve of a call; text alone, no voice.

Per chunk, a small head (trained on text that we wrote, defaults/sentiment_train.yaml) sees the tone of the sentence
(see embedding.py) and the figures of the VADER lexicon (Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text", ICWSM 2014) for the whole, for what comes before a turning word such as "but"
and for what comes after it. How loud the lexicon speaks beside the tone, its blend weight, is the one with the least
log loss in cross-validation on our text. Without the embedding model a head on the lexicon's figures alone does the
work. A score is P(positive) - P(negative); a turn is the word-weighted mean of its chunks, stronger chunks
counting more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from analytics.nlu import heads
from analytics.nlu.embedding import Embedder
from analytics.nlu.text import CallText

if TYPE_CHECKING:  # chunks learns from the training text below
    from analytics.nlu.chunks import Chunk, EmbeddedChunks

LABELS = ("negative", "neutral", "positive")
STRENGTH = 3.0
BLENDS = (0.0, 0.15, 0.3, 0.6, 1.0)
LEXICON_STRENGTH = 10.0
FEATURES = "tones, lexicon of the whole, before and after the turn"
_TURN = re.compile(r"\b(?:but|however|though|until|now)\b", re.IGNORECASE)
TRAIN_FILE = Path(__file__).parent / "defaults" / "sentiment_train.yaml"


@lru_cache(maxsize=1)
def training_text() -> tuple[tuple[str, ...], np.ndarray]:
    """Return our labelled turns: texts and label numbers (0 negative, 1 neutral, 2 positive)."""
    raw = yaml.safe_load(TRAIN_FILE.read_text(encoding="utf-8"))
    rows = [(text, LABELS.index(label)) for label in LABELS for text in raw[label]]
    return tuple(t for t, _ in rows), np.array([y for _, y in rows])


@lru_cache(maxsize=1)
def _vader() -> Any:
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return None
    return SentimentIntensityAnalyzer()


@lru_cache(maxsize=20_000)
def _lexicon_row(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in _TURN.split(text)]
    said = [_vader().polarity_scores(part or text) for part in (text, parts[0], parts[-1])]
    return tuple(figures[name] for figures in said for name in ("compound", "neg", "pos"))


def lexicon_features(texts: Sequence[str]) -> np.ndarray:
    """Return VADER's compound, negative and positive share of each text, its first and its last part, shape (n, 9)."""
    return np.array([_lexicon_row(t) for t in texts], np.float32).reshape(-1, 9)


def lexicon_head(cache_dir: Path) -> heads.LinearHead:
    """Return the head that turns VADER's figures into class probabilities, fitted on our text."""
    texts, labels = training_text()

    def train() -> heads.LinearHead:
        features = lexicon_features(texts)
        weights, bias = heads.fit(features, labels, 3, strength=LEXICON_STRENGTH)
        return heads.LinearHead(LABELS, weights, bias)

    key = heads.content_key("lexicon", FEATURES, texts, labels.tolist(), LEXICON_STRENGTH)
    return heads.cached("sentiment-lexicon", key, cache_dir, train)


def sentence_head(
    embedder: Embedder, cache_dir: Path, blends: tuple[float, ...] = BLENDS
) -> heads.LinearHead:  # fmt: skip
    """Return the head on tones and lexicon figures; `extra["blend"]` is the scale of the latter, one of `blends`.

    `extra` also keeps the cross-validated macro-F1 of the first blend, of the lexicon alone and of the chosen blend.
    """
    texts, labels = training_text()
    if _vader() is None:
        blends = (0.0,)

    def train() -> heads.LinearHead:
        vectors = embedder.tones(texts)
        tried = []
        for blend in blends:
            logits = heads.out_of_fold(_features(vectors, texts, blend), labels, 3, strength=STRENGTH)
            t = heads.temperature(logits, labels)
            chances = heads.softmax(logits / t)[np.arange(len(labels)), labels]
            tried.append(
                (
                    -np.log(np.maximum(chances, 1e-9)).mean(),
                    blend,
                    t,
                    heads.macro_f1(labels, logits.argmax(1), 3),
                )
            )
        _, blend, t, score = min(tried)
        extra = {"blend": blend, "cv_macro_f1_head": tried[0][3], "cv_macro_f1_blend": score}
        if _vader() is not None:
            alone = heads.out_of_fold(lexicon_features(texts), labels, 3, strength=LEXICON_STRENGTH)
            extra["cv_macro_f1_lexicon"] = heads.macro_f1(labels, alone.argmax(1), 3)
        weights, bias = heads.fit(_features(vectors, texts, blend), labels, 3, strength=STRENGTH)
        return heads.LinearHead(LABELS, weights, bias, t, extra)

    key = heads.content_key("sentence", FEATURES, embedder.fingerprint, texts, labels.tolist(), STRENGTH, blends)
    return heads.cached("sentiment", key, cache_dir, train)


def _features(tones: np.ndarray, texts: Sequence[str], blend: float) -> np.ndarray:
    """Return tones beside scaled lexicon figures; without VADER the scale is 0 and the tones stand alone."""
    return np.concatenate([tones, blend * lexicon_features(texts)], axis=1) if blend else tones


def chunk_probabilities(
    texts: Sequence[str], embedder: Embedder | None, *, cache_dir: Path, warnings: list[str]
) -> np.ndarray:
    """Return (n, 3) class probabilities by head and lexicon, or by what there is; neutral when neither is."""
    if _vader() is None:
        warnings.append("sentiment works without a lexicon: it needs the package vaderSentiment")
    if embedder is not None:
        head = sentence_head(embedder, cache_dir)
        return head.probabilities(_features(embedder.tones(texts), texts, head.extra["blend"]))
    if _vader() is not None:
        return lexicon_head(cache_dir).probabilities(lexicon_features(texts))
    return np.tile(np.array([0.0, 1.0, 0.0]), (len(texts), 1))


def call_sentiment(
    call: CallText, chunks: Sequence[Chunk], embedded: EmbeddedChunks | None, *,
    model: str, models_dir: Path, cache_dir: Path, warnings: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Return the sentiment part of the document (see schema.Sentiment); an empty call is a neutral one."""
    texts = [c.text for c in chunks]
    probabilities: np.ndarray | None = None
    if model and texts:
        from analytics.nlu.checkpoints import CheckpointError, sentiment_probabilities

        try:
            probabilities = sentiment_probabilities(model, models_dir, texts)
        except CheckpointError as error:
            warnings.append(f"the sentiment model was not used: {error}")
    if probabilities is None and texts:
        embedder = embedded.embedder if embedded is not None else None
        probabilities = chunk_probabilities(texts, embedder, cache_dir=cache_dir, warnings=warnings)
    turns = _turns(call, chunks, probabilities if probabilities is not None else np.zeros((0, 3)))
    return summary(turns, call)


def _turns(call: CallText, chunks: Sequence[Chunk], probabilities: np.ndarray) -> list[dict[str, Any]]:
    rows: dict[int, list[int]] = {}
    for i, chunk in enumerate(chunks):
        rows.setdefault(chunk.turn, []).append(i)
    out = []
    for turn in call.turns:
        mine = rows.get(turn.index)
        if not mine:
            continue
        p = probabilities[mine]
        spread = np.abs(p[:, 2] - p[:, 0])
        weights = np.array([chunks[i].words for i in mine], float) * (0.25 + spread)
        mean = (p * weights[:, None]).sum(0) / weights.sum()
        out.append(
            {
                "turn": turn.index,
                "party": turn.party,
                "start_ms": turn.start_ms,
                "end_ms": turn.end_ms,
                "score": round(float(np.clip(mean[2] - mean[0], -1, 1)), 4),
                "label": LABELS[int(mean.argmax())],
                "_weight": float(np.sqrt(sum(chunks[i].words for i in mine))),
            }
        )
    return out


def summary(turns: list[dict[str, Any]], call: CallText) -> dict[str, Any]:
    """Return the call's figures from its turns (which lose their private weight here).

    A turn weighs as the square root of its words. The call is its customer's sentiment (the agent's tone is largely
    script), of whoever spoke where there is no customer; turns in the last third of the talk count double, because a
    call that ends well went well.
    """
    first, last = call.first_ms, call.last_ms
    length = max(1, last - first)

    def middle(turn: dict[str, Any]) -> float:
        return ((turn["start_ms"] + turn["end_ms"]) / 2 - first) / length

    def mean(some: list[dict[str, Any]], *, late: float = 1.0) -> float | None:
        weights = [t["_weight"] * (late if middle(t) >= 2 / 3 else 1.0) for t in some]
        if not some:
            return None
        value = sum(t["score"] * w for t, w in zip(some, weights, strict=True)) / sum(weights)
        return round(value, 4)

    by = {party: [t for t in turns if t["party"] == party] for party in ("agent", "customer", "unknown")}
    early = mean([t for t in by["customer"] if middle(t) < 1 / 3])
    late = mean([t for t in by["customer"] if middle(t) >= 2 / 3])
    score = mean(by["customer"] or by["unknown"] or by["agent"], late=2.0)
    quarters = {
        party: [mean([t for t in by[party] if min(3, int(middle(t) * 4)) == q]) for q in range(4)]
        for party in ("agent", "customer")
    }
    document = {
        "score": score if score is not None else 0.0,
        "agent": mean(by["agent"]),
        "customer": mean(by["customer"]),
        "customer_change": round(late - early, 4) if early is not None and late is not None else None,
        "quarters": quarters,
    }
    for turn in turns:
        turn.pop("_weight")
    return document | {"turns": turns}
