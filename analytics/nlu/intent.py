"""What the caller wanted: supervisors' example phrases, sentence vectors and a calibrated head that may say unknown.

The threshold of `unknown` is learned: every intent in turn is left out of training and its examples, together with
small talk that we wrote, stand for what the head has never seen; the threshold best separates them (balanced accuracy)
from examples of known intents that the head has not seen either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml

from analytics.nlu import heads
from analytics.nlu.chunks import Chunk, EmbeddedChunks
from analytics.nlu.embedding import Embedder
from analytics.nlu.text import CallText

STRENGTH = 5.0
OTHER = "_other"
MAX_INTENTS = 4
MIN_CHUNK_WORDS = 3
SECOND_OPINION = 0.25
SECONDARY = 0.75
DEFAULTS = Path(__file__).parent / "defaults" / "intents.yaml"


class IntentError(Exception):
    """The taxonomy or the model cannot be used; the message names the cure."""


@lru_cache(maxsize=1)
def small_talk() -> tuple[str, ...]:
    """Return sentences of calls that carry no intent, the background class of every head."""
    return tuple(yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["small_talk"])


class Classifier(Protocol):
    """Anything that gives intent probabilities per chunk."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float: ...

    def probabilities(self, chunks: Sequence[Chunk], embedded: EmbeddedChunks | None) -> np.ndarray:
        """Return (chunks, names) probabilities."""
        ...


@dataclass(frozen=True, slots=True)
class SentenceHead:
    """The default classifier: a calibrated linear head on the shared sentence vectors."""

    head: heads.LinearHead

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c for c in self.head.classes if c != OTHER)

    @property
    def threshold(self) -> float:
        return self.head.extra["threshold"]

    def probabilities(self, chunks: Sequence[Chunk], embedded: EmbeddedChunks | None) -> np.ndarray:
        assert embedded is not None
        keep = [i for i, c in enumerate(self.head.classes) if c != OTHER]
        return self.head.probabilities(embedded.vectors)[:, keep]


def taxonomy(intents: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return name -> example phrases. Raises IntentError for a taxonomy that cannot be learned.

    An intent without examples is learned from its name and description.
    """
    out: dict[str, tuple[str, ...]] = {}
    for at, item in enumerate(intents):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise IntentError(f"intents[{at}].name: must be a non-empty text")
        if name in out or name in (OTHER, "unknown"):
            raise IntentError(f"intents[{at}].name: {name!r} is taken")
        examples = tuple(str(e).strip() for e in item.get("examples") or () if str(e).strip())
        described = tuple(t for t in (str(item.get("description") or "").strip(), name.replace("_", " ")) if t)
        out[name] = examples or described
    return out


def intent_head(
    intents: Sequence[dict[str, Any]],
    embedder: Embedder | None,
    *,
    model: str,
    models_dir: Path,
    cache_dir: Path,
) -> Classifier | None:
    """Return the classifier of a taxonomy, trained at first use and kept by the hash of its text.

    `model` (a text-classification or zero-shot checkpoint) replaces the head. None when there is nothing to classify
    with. Raises IntentError.
    """
    if model:
        from analytics.nlu.checkpoints import CheckpointError, intent_checkpoint

        try:
            return intent_checkpoint(model, models_dir, intents)
        except CheckpointError as error:
            raise IntentError(str(error)) from error
    if embedder is None:
        return None
    examples = taxonomy(intents)
    if not examples:
        return None
    key = heads.content_key("intent", embedder.fingerprint, examples, small_talk(), STRENGTH)
    return SentenceHead(heads.cached("intent", key, cache_dir, lambda: train(examples, embedder)))


def train(examples: dict[str, tuple[str, ...]], embedder: Embedder) -> heads.LinearHead:
    """Return the head of a taxonomy with its temperature, its threshold of `unknown` and cross-validated figures."""
    names = [*examples, OTHER]
    texts = [(t, k) for k, name in enumerate(examples) for t in examples[name]]
    texts += [(t, len(examples)) for t in small_talk()]
    vectors = embedder.encode([t for t, _ in texts])
    labels = np.array([k for _, k in texts])
    weights, bias = heads.fit(vectors, labels, len(names), strength=STRENGTH)
    oof = heads.out_of_fold(vectors, labels, len(names), strength=STRENGTH)
    t = heads.temperature(oof, labels)
    other = len(examples)
    known = labels != other
    inside = heads.softmax(oof / t)[known][:, :other]
    right = inside.argmax(1) == labels[known]
    talk = heads.softmax(oof / t)[~known][:, :other].max(1)
    unseen = _unseen(vectors, labels, other, t)
    threshold = _threshold(inside.max(1)[right], talk, unseen)
    extra = {
        "threshold": threshold,
        "cv_accuracy": float(right.mean()),
        "cv_known_kept": float((inside.max(1)[right] >= threshold).mean()) if right.any() else 0.0,
        "cv_small_talk_refused": float((talk < threshold).mean()),
        "cv_unseen_refused": float((unseen < threshold).mean()) if len(unseen) else 0.0,
    }
    return heads.LinearHead(tuple(names), weights, bias, t, extra)


def _unseen(vectors: np.ndarray, labels: np.ndarray, other: int, t: float) -> np.ndarray:
    """Return the highest intent probability for texts of intents that were left out of training, and for small talk."""
    scores: list[np.ndarray] = []
    groups = np.arange(other) % min(10, other) if other > 1 else np.zeros(0, int)
    for group in np.unique(groups):
        left_out = np.flatnonzero(groups == group)
        held = np.isin(labels, left_out)
        rest = np.unique(labels[~held])
        index = {int(k): i for i, k in enumerate(rest)}
        if len(rest) < 2:
            continue
        weights, bias = heads.fit(
            vectors[~held], np.array([index[int(k)] for k in labels[~held]]), len(rest), strength=STRENGTH
        )
        p = heads.softmax((vectors[held] @ weights.T + bias) / t)
        keep = [i for k, i in index.items() if k != other]
        if keep:
            scores.append(p[:, keep].max(1))
    return np.concatenate(scores) if scores else np.zeros(0)


def _threshold(inside: np.ndarray, talk: np.ndarray, unseen: np.ndarray) -> float:
    """Return the limit that keeps the most known and refuses the most unknown; 0.5 with nothing to learn from.

    Small talk counts three times as much as intents that nobody defined: every call has dozens of such sentences.
    """
    if not len(inside):
        return 0.5
    grid = np.linspace(0.1, 0.9, 81)
    gains = [
        (inside >= g).mean() + 0.75 * (talk < g).mean() + (0.25 * (unseen < g).mean() if len(unseen) else 0.0)
        for g in grid
    ]
    return float(grid[int(np.argmax(gains))])


def find_intents(
    classifier: Classifier, call: CallText, chunks: Sequence[Chunk], embedded: EmbeddedChunks | None
) -> list[dict[str, Any]]:
    """Return the intents of a call above the threshold, the strongest first and primary, with the turns that decided.

    Only the customer's words count (everybody's where no party is known). The first fifth of the talk weighs fully and
    the end half: people say early what they want. A second chunk of the same mind adds a quarter of what is
    missing. Further intents must come within three quarters of the first.
    """
    party = next((p for p in ("customer", "unknown") if any(c.party == p for c in chunks)), None)
    if party is None:
        return []
    p = classifier.probabilities(chunks, embedded)
    span = max(1, call.last_ms - call.first_ms)
    weight = np.array(
        [
            0.0 if c.party != party or c.words < MIN_CHUNK_WORDS
            else 1.0 - 0.5 * max(0.0, ((c.start_ms - call.first_ms) / span - 0.2) / 0.8)
            for c in chunks
        ]
    )  # fmt: skip
    scored = p * weight[:, None]
    found: list[dict[str, Any]] = []
    for k, name in enumerate(classifier.names):
        order = np.argsort(-scored[:, k], kind="stable")
        best = float(scored[order[0], k])
        second = float(scored[order[1], k]) if len(order) > 1 else 0.0
        probability = best + SECOND_OPINION * (1 - best) * second
        if probability < classifier.threshold:
            continue
        turns = list(dict.fromkeys(chunks[i].turn for i in order if scored[i, k] >= 0.5 * best))[:5]
        found.append({"name": name, "probability": round(min(1.0, probability), 4), "turns": turns, "primary": False})
    found.sort(key=lambda i: (-i["probability"], i["name"]))
    if not found:
        return []
    found[0]["primary"] = True
    return [i for i in found if i["primary"] or i["probability"] >= SECONDARY * found[0]["probability"]][:MAX_INTENTS]
