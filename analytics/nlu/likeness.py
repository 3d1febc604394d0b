"""Whether a sentence means what the examples of a rule mean, and not what only sounds like them.

Cosine to the nearest example cannot tell "I want to cancel my contract" from "I do not want to cancel my contract". A
rule that also gives counter-examples (`semantic.unlike`) therefore gets a small head of its own: its examples against
its counter-examples, ordinary talk (our neutral and positive turns, the examples of the default intents) and what the
shipped rules of other categories are about. All but the rule itself is shipped text, so editing one rule never moves
another. A head reads what a sentence is about and how it is said; it is trained at the first call that needs it and
kept like the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analytics.nlu import heads, sentiment
from analytics.nlu.embedding import Embedder
from analytics.nlu.rules import Semantic

STRENGTH = 3.0
UNLIKE_WEIGHT = 3
TOO_NEAR = 0.6
DEFAULTS = Path(__file__).parent / "defaults"


def readings(embedder: Embedder, texts: Sequence[str]) -> np.ndarray:
    """Return vector and tone of every text side by side, shape (len(texts), any width)."""
    return np.concatenate([embedder.encode(texts), embedder.tones(texts)], axis=1)


@lru_cache(maxsize=16)
def other_talk(category: str) -> tuple[tuple[str, ...], str]:
    """Return sentences that no rule of the category is about, and a key that changes with them."""
    texts, labels = sentiment.training_text()
    calm = [t for t, label in zip(texts, labels, strict=True) if sentiment.LABELS[label] != "negative"]
    wanted = [e for i in _default("intents")["intents"] for e in i["examples"]]
    rules = [r for r in _default("rules") if r["category"] != category and r.get("semantic", {}).get("unlike")]
    talk = tuple(dict.fromkeys([*calm, *wanted, *(e for r in rules for e in r["semantic"]["examples"])]))
    return talk, heads.content_key(talk)


@lru_cache(maxsize=2)
def _default(name: str) -> Any:
    return yaml.safe_load((DEFAULTS / f"{name}.yaml").read_text(encoding="utf-8"))


def head(semantic: Semantic, category: str, embedder: Embedder, cache_dir: Path | None) -> heads.LinearHead:
    """Return the head of a rule with counter-examples; class 1 is "means the same". None as folder keeps it in memory.

    A counter-example counts as three other sentences: it stands for the mistakes that are near at hand. What comes too
    near to an example is left out, because nobody has said whether this rule means it ("cancel" is an intent as well).
    """
    talk, talk_key = other_talk(category)

    def train() -> heads.LinearHead:
        near = (embedder.encode(talk) @ embedder.encode(semantic.examples).T).max(1)
        others = [t for t, cosine in zip(talk, near, strict=True) if cosine < TOO_NEAR]
        data = readings(embedder, (*semantic.examples, *semantic.unlike, *others))
        sizes = (len(semantic.examples), len(semantic.unlike), len(others))
        times = np.repeat((1, UNLIKE_WEIGHT, 1), sizes)
        labels = np.repeat((1, 0, 0), sizes)
        weights, bias = heads.fit(np.repeat(data, times, axis=0), np.repeat(labels, times), 2, strength=STRENGTH)
        return heads.LinearHead(("other", "same"), weights, bias)

    parts = (talk_key, embedder.fingerprint, semantic.examples, semantic.unlike, STRENGTH, UNLIKE_WEIGHT, TOO_NEAR)
    key = heads.content_key("likeness", *parts)
    return heads.cached("likeness", key, cache_dir, train)
