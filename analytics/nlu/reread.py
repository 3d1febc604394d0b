"""Reads what calls were about with one taxonomy, many calls after another, without their sentiment, rules or figures.

Gives the same intents as `understand` does for the same transcript and configuration. Two readers in one process share
the sentence vectors of a call, so that two taxonomies are compared at the price of one.
"""

from __future__ import annotations

from typing import Any

from analytics.nlu.chunks import EmbeddedChunks, cut
from analytics.nlu.intent import IntentError, find_intents, head_document, intent_head
from analytics.nlu.text import read
from analytics.nlu.understand import Settings, _embedder


class IntentReader:
    """One taxonomy, trained. `problem` says why nothing can be read with it, and the cure; empty when all is well.

    `figures` are the head's own from cross-validation on its examples (such as `cv_accuracy`), where it has any.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        settings = Settings.of(config)
        self._cache_dir = settings.cache_dir
        self._embedder = _embedder(settings)
        self.problem = ""
        self._head = None
        try:
            self._head = intent_head(
                settings.intents, self._embedder, model=settings.intent_model,
                models_dir=settings.models_dir, cache_dir=settings.cache_dir, relabelled=settings.relabelled,
            )  # fmt: skip
        except IntentError as error:
            self.problem = str(error)
        if self._head is None and not self.problem and settings.intents:
            self.problem = settings.warnings[0] if settings.warnings else "there is nothing to classify with"
        extra = getattr(getattr(self._head, "head", None), "extra", {})
        self.figures = {name: float(value) for name, value in extra.items() if isinstance(value, int | float)}

    @property
    def kind(self) -> str:
        """What reads: plain, tuned, checkpoint or none."""
        return head_document(self._head)["kind"]

    def read(self, transcript: dict[str, Any]) -> dict[str, Any]:
        """Return {intents, intent, intent_probability, intent_head} of a transcript document, as `understand` would."""
        call = read(transcript)
        chunks = cut(call)
        intents: list[dict[str, Any]] = []
        if self._head is not None and chunks:
            embedder = self._embedder
            embedded = EmbeddedChunks(chunks, embedder, self._cache_dir) if embedder is not None else None
            intents = find_intents(self._head, call, chunks, embedded)
        primary = next((i for i in intents if i["primary"]), None)
        return {
            "intents": intents,
            "intent": primary["name"] if primary else "unknown",
            "intent_probability": primary["probability"] if primary else 0.0,
            "intent_head": head_document(self._head if chunks else None),
        }
