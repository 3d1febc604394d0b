"""One call understood: the transcript's JSON in, one JSON document out, with or without models installed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from analytics.nlu import sentiment as sentiment_module
from analytics.nlu.chunks import EmbeddedChunks, cut
from analytics.nlu.embedding import Embedder, EmbedderMissing, load
from analytics.nlu.engine import run_rules
from analytics.nlu.intent import IntentError, find_intents, head_document, intent_head
from analytics.nlu.metrics import talk_metrics
from analytics.nlu.phrases import near_available
from analytics.nlu.rules import Problem, Rule, compile_leniently
from analytics.nlu.schema import NLU_VERSION, SCHEMA_VERSION
from analytics.nlu.text import read

DEFAULTS = Path(__file__).parent / "defaults"


@lru_cache(maxsize=8)
def load_default(name: str) -> Any:
    """Return the parsed default file `name`.yaml. Callers must not change what they get."""
    return yaml.safe_load((DEFAULTS / f"{name}.yaml").read_text(encoding="utf-8"))


def default_rules() -> list[dict[str, Any]]:
    """Return the default risk pack as rule mappings, ready to be stored and edited."""
    return [dict(rule) for rule in load_default("rules")]


def default_intents() -> list[dict[str, Any]]:
    """Return the default intent taxonomy: name, description, examples."""
    return [dict(intent) for intent in load_default("intents")["intents"]]


@dataclass(slots=True)
class Settings:
    """The configuration of one call of `understand`, with the defaults filled in."""

    models_dir: Path
    cache_dir: Path
    intents: list[dict[str, Any]]
    rules: list[Any] | None
    sentiment_model: str
    intent_model: str
    embedder: Embedder | None
    relabelled: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, config: dict[str, Any]) -> Settings:
        models_dir = Path(config.get("models_dir") or os.environ.get("MODELS_DIR") or "var/models")
        intents = config.get("intents")
        return cls(
            models_dir=models_dir,
            cache_dir=Path(config.get("cache_dir") or models_dir.parent / "nlu"),
            intents=default_intents() if intents is None else list(intents),
            rules=config.get("rules"),
            sentiment_model=str(config.get("sentiment_model") or ""),
            intent_model=str(config.get("intent_model") or ""),
            embedder=config.get("embedder"),
            relabelled=list(config.get("relabelled") or ()),
        )


def understand(transcript: dict[str, Any], config: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a call was about, how it went and what is risky in it, as `schema.Understanding` documents.

    `transcript` is the speech side's JSON. `config` may give `intents`, `rules`, `models_dir`, `cache_dir`,
    `sentiment_model`, `intent_model`, `relabelled` and, for tests, `embedder`; whatever is missing takes the shipped
    default. Talk metrics and rules never depend on a model: what a missing model makes impossible is said in
    `warnings`, with the cure. Raises ValueError when the transcript has no turns list; an empty list is an ordinary,
    silent call.
    """
    settings = Settings.of(config or {})
    call = read(transcript)
    warnings = settings.warnings
    metrics = talk_metrics(call)
    chunks = cut(call)
    embedder = _embedder(settings) if chunks else None
    if chunks and not call.language.lower().startswith("en"):
        warnings.append(
            f"the call's language is {call.language!r}; the default intents, sentiment and rules are English: "
            "give rules and intents in that language, and models by `intent_model` and `sentiment_model`"
        )
    rules, problems = _compiled(settings.rules)
    warnings.extend(f"rule left out: {problem}" for problem in problems)
    if not near_available():
        warnings.append("near-phrase matching is off: it needs the package rapidfuzz")
    embedded = EmbeddedChunks(chunks, embedder, settings.cache_dir) if embedder is not None else None
    if embedded is None and chunks and any(r.enabled and r.semantic for r in rules):
        warnings.append("semantic parts of rules were not tried, because there is no embedding model")
    mood = sentiment_module.call_sentiment(
        call, chunks, embedded, model=settings.sentiment_model, models_dir=settings.models_dir,
        cache_dir=settings.cache_dir, warnings=warnings,
    )  # fmt: skip
    intents, head = _intents(settings, call, chunks, embedded)
    primary = next((i for i in intents if i["primary"]), None)
    return {
        "schema_version": SCHEMA_VERSION,
        "nlu_version": NLU_VERSION,
        "intents": intents,
        "intent": primary["name"] if primary else "unknown",
        "intent_probability": primary["probability"] if primary else 0.0,
        "intent_head": head,
        "sentiment": mood,
        "metrics": metrics,
        "alerts": run_rules(rules, call, metrics, embedded),
        "warnings": warnings,
    }


def _embedder(settings: Settings) -> Embedder | None:
    if settings.embedder is not None:
        return settings.embedder
    try:
        return load(settings.models_dir)
    except EmbedderMissing as error:
        settings.warnings.append(f"intent is unknown and sentiment comes from a lexicon alone: {error}")
        return None


_compiled_cache: dict[str, tuple[tuple[Rule, ...], list[Problem]]] = {}


def _compiled(raw: list[Any] | None) -> tuple[tuple[Rule, ...], list[Problem]]:
    """Return compiled rules; the same pack is compiled once per process."""
    key = "default" if raw is None else repr(raw)
    if key not in _compiled_cache:
        if len(_compiled_cache) > 16:
            _compiled_cache.clear()
        _compiled_cache[key] = compile_leniently(load_default("rules") if raw is None else raw)
    return _compiled_cache[key]


def _intents(
    settings: Settings, call: Any, chunks: Any, embedded: EmbeddedChunks | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the intents of the call and which head said so."""
    try:
        head = intent_head(
            settings.intents, embedded.embedder if embedded is not None else None, model=settings.intent_model,
            models_dir=settings.models_dir, cache_dir=settings.cache_dir, relabelled=settings.relabelled,
        )  # fmt: skip
    except IntentError as error:
        settings.warnings.append(f"intent is unknown: {error}")
        head = None
    if head is None or not chunks:
        return [], head_document(None)
    return find_intents(head, call, chunks, embedded), head_document(head)
