"""Floors for quality on text that no head was trained on; real weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from analytics.nlu import default_intents, embedding, heads, intent, sentiment, understand, validate
from benchmarks import nlu_quality
from tests.nlu.calls import GOODBYE, GREETING, call

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models_dir() -> Path:
    folder = Path(os.environ.get("MODELS_DIR", HERE.parents[1] / "var" / "models"))
    if not (folder / "minilm" / "config.json").is_file():
        pytest.skip("no MiniLM: run `python -m asr_worker.models pull minilm`")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: Any) -> Path:
    return Path(tmp_path_factory.mktemp("nlu"))


def rows(name: str) -> list[tuple[str, str]]:
    raw = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
    return [(text, label) for label, texts in raw.items() for text in texts]


def test_no_test_sentence_was_trained_on() -> None:
    trained = set(sentiment.training_text()[0]) | {e for i in default_intents() for e in i["examples"]}
    assert not trained & {t for t, _ in rows("sentiment_test.yaml") + rows("intent_test.yaml")}


def test_sentiment_beats_the_lexicon_alone_and_keeps_its_floor(models_dir: Path, cache: Path) -> None:
    test = rows("sentiment_test.yaml")
    texts = [t for t, _ in test]
    truth = np.array([sentiment.LABELS.index(label) for _, label in test])
    embedder = embedding.load(models_dir)
    blend = sentiment.chunk_probabilities(texts, embedder, cache_dir=cache, warnings=[])
    alone = sentiment.chunk_probabilities(texts, None, cache_dir=cache, warnings=[])
    score, lexicon = (heads.macro_f1(truth, p.argmax(1), 3) for p in (blend, alone))
    assert score >= 0.78 and score > lexicon + 0.1


def test_labelled_turns_keep_the_floor_of_every_class(models_dir: Path, cache: Path) -> None:
    figures = nlu_quality.measure_sentiment("test", embedding.load(models_dir), cache)
    assert (
        figures["combined"]["macro"] >= 0.79 and figures["combined"]["macro"] > figures["lexicon alone"]["macro"] + 0.2
    )
    assert min(figures["combined"][label] for label in sentiment.LABELS) >= 0.74


def test_labelled_excerpts_keep_the_floor_of_every_category(models_dir: Path) -> None:
    figures = nlu_quality.risk_figures(nlu_quality.measure_risk("test", embedding.load(models_dir), errors=False))
    assert {
        c: (f["precision"], f["recall"]) for c, f in figures.items() if min(f["precision"], f["recall"]) < 0.7
    } == {}


def test_intents_keep_their_floor_and_refuse_what_nobody_defined(models_dir: Path, cache: Path) -> None:
    embedder = embedding.load(models_dir)
    head = intent.intent_head(default_intents(), embedder, model="", models_dir=models_dir, cache_dir=cache)
    assert isinstance(head, intent.SentenceHead)
    test = rows("intent_test.yaml")
    p = head.head.probabilities(embedder.encode([t for t, _ in test]))[:, : len(head.names)]
    said = [head.names[k] if p[i, k] >= head.threshold else "unknown" for i, k in enumerate(p.argmax(1))]
    known = [s == label for s, (_, label) in zip(said, test, strict=True) if label != "unknown"]
    unknown = [s == label for s, (_, label) in zip(said, test, strict=True) if label == "unknown"]
    assert np.mean(known) >= 0.75 and np.mean(unknown) >= 0.75


def test_a_call_gives_the_same_document_twice_with_real_weights(models_dir: Path, cache: Path) -> None:
    spoken = call(
        GREETING,
        ("customer", "Hello, I've found a charge on my card that I did not make and I'm really worried."),
        ("agent", "I'm sorry about that, let me look."),
        ("customer", "Thank you, that's very kind of you."),
        GOODBYE,
    )
    config = {"models_dir": str(models_dir), "cache_dir": str(cache)}
    first = understand(spoken, config)
    assert validate(first) == [] and first["warnings"] == []
    assert first["intent"] == "report_fraud"
    heads._memory.clear()
    assert understand(spoken, config) == first
