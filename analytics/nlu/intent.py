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
RELABEL_TIMES = 2
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
    """Anything that gives intent probabilities per text. `kind` is plain, tuned or checkpoint; `key` names it."""

    @property
    def kind(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float: ...

    def probabilities(self, texts: Sequence[str], vectors: np.ndarray | None) -> np.ndarray:
        """Return (texts, names) probabilities; `vectors` are the texts' sentence vectors, where there is a model."""
        ...


@dataclass(frozen=True, slots=True)
class SentenceHead:
    """The default classifier: a calibrated linear head on the shared sentence vectors."""

    head: heads.LinearHead
    key: str = ""

    kind = "plain"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c for c in self.head.classes if c != OTHER)

    @property
    def threshold(self) -> float:
        return self.head.extra["threshold"]

    def probabilities(self, texts: Sequence[str], vectors: np.ndarray | None) -> np.ndarray:
        assert vectors is not None
        keep = [i for i, c in enumerate(self.head.classes) if c != OTHER]
        return self.head.probabilities(vectors)[:, keep]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a head learns from, row by row: text, label (the last is no intent at all), how often it counts.

    `hints` are rows that nobody said (names of intents): they are learned from and never measured on.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    labels: np.ndarray
    times: np.ndarray
    hints: np.ndarray

    @property
    def key(self) -> str:
        """A hash of all that is learned from."""
        rows = [self.labels.tolist(), self.times.tolist(), self.hints.tolist()]
        return heads.content_key(self.names, self.texts, rows)


def lessons_of(intents: Sequence[dict[str, Any]], relabelled: Sequence[Sequence[str]] = ()) -> Lessons:
    """Return what the head of a taxonomy learns from. Raises IntentError for a taxonomy that cannot be learned.

    An intent's name in words is an example of it. `relabelled` are (text, intent name) by people: what callers really
    said counts twice; one called unknown teaches what is no intent, one of an intent that is gone is passed over.
    """
    examples = taxonomy(intents)
    names = tuple(examples)
    place = {name: k for k, name in enumerate(names)} | {"unknown": len(names)}
    rows: dict[tuple[str, int], tuple[int, bool]] = {}
    for name, texts in examples.items():
        rows |= {(text, place[name]): (1, False) for text in texts}
    for text, name in relabelled:
        if str(text).strip() and name in place:
            rows[(str(text).strip(), place[name])] = (RELABEL_TIMES, False)
    for name in names:
        rows.setdefault((name.replace("_", " "), place[name]), (1, True))
    for text in small_talk():
        rows.setdefault((text, len(names)), (1, False))
    return Lessons(
        names,
        tuple(text for text, _ in rows),
        np.array([label for _, label in rows], int),
        np.array([times for times, _ in rows.values()], int),
        np.array([hint for _, hint in rows.values()], bool),
    )


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
    relabelled: Sequence[Sequence[str]] = (),
) -> Classifier | None:
    """Return the classifier of a taxonomy, trained at first use and kept by the hash of its text.

    `model` (a text-classification or zero-shot checkpoint) replaces the head. Where `train_tuned` has fitted sentence
    vectors to the same taxonomy and relabels, and that paid, they are used. None when there is nothing to classify
    with. Raises IntentError.
    """
    if model:
        from analytics.nlu.checkpoints import CheckpointError, intent_checkpoint

        try:
            return intent_checkpoint(model, models_dir, intents)
        except CheckpointError as error:
            raise IntentError(str(error)) from error
    if embedder is None or not taxonomy(intents):
        return None
    from analytics.nlu.tuned import tuned_head

    lessons = lessons_of(intents, relabelled)
    tuned = tuned_head(lessons, embedder, cache_dir)
    if tuned is not None:
        return tuned
    key = heads.content_key("intent", embedder.fingerprint, lessons.key, STRENGTH)
    return SentenceHead(heads.cached("intent", key, cache_dir, lambda: train(lessons, embedder)), key)


def train(lessons: Lessons, embedder: Embedder) -> heads.LinearHead:
    """Return the plain head with its temperature, its threshold of `unknown` and cross-validated figures."""
    vectors, labels = embedder.encode(lessons.texts), lessons.labels
    other = len(lessons.names)
    weights, bias = _fit(vectors, labels, lessons.times, other + 1)
    fold = np.where(lessons.hints, -1, heads.folds(labels))
    oof = heads.out_of_fold(vectors, labels, other + 1, strength=STRENGTH, fold=fold)
    said = ~lessons.hints
    t = heads.temperature(oof[said], labels[said])
    known = (labels != other) & said
    inside = heads.softmax(oof / t)[known][:, :other]
    right = inside.argmax(1) == labels[known]
    talk = heads.softmax(oof / t)[labels == other][:, :other].max(1)
    unseen = _unseen(vectors, lessons, t)
    threshold = threshold_of(inside.max(1)[right], talk, unseen)
    extra = {
        "threshold": threshold,
        "cv_accuracy": float(right.mean()) if right.size else 0.0,
        "cv_known_kept": float((inside.max(1)[right] >= threshold).mean()) if right.any() else 0.0,
        "cv_small_talk_refused": float((talk < threshold).mean()),
        "cv_unseen_refused": float((unseen < threshold).mean()) if len(unseen) else 0.0,
    }
    return heads.LinearHead((*lessons.names, OTHER), weights, bias, t, extra)


def _fit(vectors: np.ndarray, labels: np.ndarray, times: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    return heads.fit(np.repeat(vectors, times, axis=0), np.repeat(labels, times), classes, strength=STRENGTH)


def plain_probabilities(
    vectors: np.ndarray, labels: np.ndarray, train: np.ndarray, asked: np.ndarray, classes: int, times: np.ndarray
) -> np.ndarray:
    """Return what a plain head trained on the rows `train` says of the rows `asked`, uncalibrated."""
    weights, bias = _fit(vectors[train], labels[train], times[train], classes)
    return heads.softmax(vectors[asked] @ weights.T + bias)


def _unseen(vectors: np.ndarray, lessons: Lessons, t: float) -> np.ndarray:
    """Return the highest intent probability for examples of intents that were left out of training in turn."""
    labels, other = lessons.labels, len(lessons.names)
    scores: list[np.ndarray] = []
    groups = np.arange(other) % min(10, other) if other > 1 else np.zeros(0, int)
    for group in np.unique(groups):
        held = np.isin(labels, np.flatnonzero(groups == group))
        asked = held & ~lessons.hints
        rest = np.unique(labels[~held])
        index = {int(k): i for i, k in enumerate(rest)}
        keep = [i for k, i in index.items() if k != other]
        if len(rest) < 2 or not keep:
            continue
        new = np.array([index.get(int(k), -1) for k in labels])
        weights, bias = _fit(vectors[~held], new[~held], lessons.times[~held], len(rest))
        scores.append(heads.softmax((vectors[asked] @ weights.T + bias) / t)[:, keep].max(1))
    return np.concatenate(scores) if scores else np.zeros(0)


def threshold_of(inside: np.ndarray, talk: np.ndarray, unseen: np.ndarray) -> float:
    """Return the limit that keeps the most known and refuses the most unknown; 0.5 with nothing to learn from.

    Small talk counts three times as much as intents that nobody defined: every call has dozens of such sentences.
    """
    if not len(inside):
        return 0.5
    grid = np.linspace(0.1, 0.9, 81)
    gains = [
        (inside >= g).mean()
        + (0.75 * (talk < g).mean() if len(talk) else 0.0)
        + (0.25 * (unseen < g).mean() if len(unseen) else 0.0)
        for g in grid
    ]
    return float(grid[int(np.argmax(gains))])


def head_document(head: Classifier | None) -> dict[str, str]:
    """Return what a document says of the head that read it: kind (plain, tuned, checkpoint or none) and key."""
    return {"kind": head.kind if head is not None else "none", "key": head.key if head is not None else ""}


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
    mine = [i for i, c in enumerate(chunks) if c.party == party and c.words >= MIN_CHUNK_WORDS]
    p = np.zeros((len(chunks), len(classifier.names)), np.float32)
    if mine:
        vectors = embedded.vectors[mine] if embedded is not None else None
        p[mine] = classifier.probabilities([chunks[i].text for i in mine], vectors)
    span = max(1, call.last_ms - call.first_ms)
    weight = np.array(
        [
            1.0 - 0.5 * max(0.0, ((c.start_ms - call.first_ms) / span - 0.2) / 0.8)
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
