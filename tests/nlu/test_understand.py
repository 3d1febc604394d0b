"""The whole of understanding, without weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analytics.nlu import understand, validate
from analytics.nlu.__main__ import main
from tests.nlu.calls import GOODBYE, GREETING, HashingEmbedder, call

CALL = call(
    GREETING,
    ("customer", "Hi, I want to cancel my subscription because I am very angry with your terrible service."),
    ("agent", "I'm sorry to hear that. This call is recorded. Let me check what I can do for you."),
    ("customer", "Thank you so much, that is great, you have been wonderful."),
    GOODBYE,
)


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return {"models_dir": str(tmp_path / "models"), "cache_dir": str(tmp_path / "nlu")}


def test_without_models_metrics_rules_and_lexicon_work_and_the_cure_is_named(config: dict[str, Any]) -> None:
    found = understand(CALL, config)
    assert validate(found) == []
    assert found["intent"] == "unknown" and found["intents"] == []
    assert any("asr_worker.models pull minilm" in w for w in found["warnings"])
    assert "churn" in {a["category"] for a in found["alerts"]}
    labels = {t["turn"]: t["label"] for t in found["sentiment"]["turns"]}
    assert labels[1] == "negative" and labels[3] == "positive"
    assert found["sentiment"]["customer_change"] > 0


def test_an_empty_transcript_is_an_ordinary_silent_call(config: dict[str, Any]) -> None:
    found = understand({"turns": [], "duration_ms": 5000, "language": "en"}, config)
    assert validate(found) == []
    assert found["alerts"] == [] and found["sentiment"]["turns"] == [] and found["warnings"] == []
    assert found["sentiment"]["customer"] is None and found["sentiment"]["quarters"]["agent"] == [None] * 4


def test_a_document_without_turns_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="turns"):
        understand({"duration_ms": 3}, config)


def test_another_language_is_said_in_the_warnings(config: dict[str, Any]) -> None:
    found = understand(CALL | {"language": "de"}, config)
    assert any("'de'" in w for w in found["warnings"])


def test_the_calls_text_is_embedded_in_one_pass(config: dict[str, Any]) -> None:
    embedder = HashingEmbedder()
    understand(CALL, config | {"embedder": embedder})
    embedder.passes.clear()
    found = understand(CALL, config | {"embedder": embedder})
    assert validate(found) == []
    assert len(embedder.passes) == 1


def test_a_taxonomy_of_ones_own_is_learned_and_kept_as_plain_arrays(config: dict[str, Any], tmp_path: Path) -> None:
    intents = [
        {"name": "leave", "examples": ["I want to cancel my subscription", "cancel my contract", "please cancel it"]},
        {"name": "parcel", "examples": ["where is my parcel", "my parcel has not come", "the parcel is lost"]},
    ]
    found = understand(CALL, config | {"embedder": HashingEmbedder(), "intents": intents})
    assert found["intent"] == "leave" and found["intents"][0]["turns"] == [1]
    kept = list((tmp_path / "nlu").glob("intent-*.npz"))
    assert len(kept) == 1


def test_a_damaged_cache_file_is_learned_anew(config: dict[str, Any], tmp_path: Path) -> None:
    from analytics.nlu import heads

    intents = [{"name": "a", "examples": ["one two three"]}, {"name": "b", "examples": ["four five six"]}]
    first = understand(CALL, config | {"embedder": HashingEmbedder(), "intents": intents})
    (kept,) = (tmp_path / "nlu").glob("intent-*.npz")
    kept.write_bytes(b"broken")
    heads._memory.clear()
    assert understand(CALL, config | {"embedder": HashingEmbedder(), "intents": intents}) == first


@pytest.mark.parametrize("intents", [[{"examples": ["x"]}], [{"name": "a"}, {"name": "a"}], [{"name": "unknown"}]])
def test_a_wrong_taxonomy_costs_the_intent_and_nothing_else(config: dict[str, Any], intents: list[Any]) -> None:
    found = understand(CALL, config | {"embedder": HashingEmbedder(), "intents": intents})
    assert found["intent"] == "unknown" and any("intents[" in w for w in found["warnings"])
    assert found["alerts"]


def test_a_missing_checkpoint_is_a_warning_and_the_default_does_the_work(config: dict[str, Any]) -> None:
    found = understand(CALL, config | {"sentiment_model": "not-there"})
    assert any("not-there" in w for w in found["warnings"]) and found["sentiment"]["turns"]


def test_a_required_statement_in_other_words_accuses_nobody(config: dict[str, Any]) -> None:
    rule = {
        "key": "notice", "category": "script_miss", "party": "agent", "absent": ["zzz never said"], "min_words": 5,
        "window": {"first_seconds": 60}, "semantic": {"examples": ["this call is recorded"], "threshold": 0.6},
    }  # fmt: skip
    spoken = call(("agent", "Welcome. So this call is recorded okay."), ("customer", "Hello I have a question for you"))
    assert understand(spoken, config | {"embedder": HashingEmbedder(), "rules": [rule]})["alerts"] == []
    assert len(understand(spoken, config | {"rules": [rule]})["alerts"]) == 1


def test_counter_examples_take_back_what_only_shares_words_with_the_examples(config: dict[str, Any]) -> None:
    semantic = {"examples": ["I want to cancel my contract", "please end my contract"], "threshold": 0.5}
    rule = {"key": "leave", "category": "churn", "party": "customer", "semantic": semantic}
    calm = ("customer", "I want to cancel my appointment")
    angry = ("customer", "I want to end my contract")
    unlike = {"unlike": ["I want to cancel my appointment on Monday", "cancel the appointment please"]}

    def said(turn: tuple[str, str], semantic: dict[str, Any]) -> list[dict[str, Any]]:
        asked = config | {"embedder": HashingEmbedder(), "rules": [rule | {"semantic": semantic}]}
        return understand(call(turn), asked)["alerts"]

    assert said(calm, semantic) and said(angry, semantic)
    assert said(calm, semantic | unlike) == []
    (alert,) = said(angry, semantic | unlike)
    assert "likelihood" in alert["components"][0]["detail"] and alert["listen_first"]


def test_what_a_rule_with_counter_examples_learned_is_kept_for_the_next_process(
    config: dict[str, Any], tmp_path: Path
) -> None:
    from analytics.nlu import heads

    heads._memory.clear()
    first = understand(CALL, config | {"embedder": HashingEmbedder()})
    assert list((tmp_path / "nlu").glob("likeness-*.npz"))
    heads._memory.clear()
    assert understand(CALL, config | {"embedder": HashingEmbedder()}) == first


def test_validate_names_what_is_wrong(config: dict[str, Any]) -> None:
    found = understand(CALL, config)
    found["alerts"][0]["severity"] = "huge"
    del found["metrics"]["words"]
    assert {p.split(":")[0] for p in validate(found)} >= {"metrics.words", "alerts[0].severity"}


def test_the_command_prints_the_document_and_refuses_bad_input(tmp_path: Path, capsys: Any) -> None:
    good, bad = tmp_path / "call.json", tmp_path / "bad.json"
    good.write_text(json.dumps(CALL))
    bad.write_text("{")
    assert main([str(good), "--models-dir", str(tmp_path / "models")]) == 0
    assert validate(json.loads(capsys.readouterr().out)) == []
    assert main([str(bad)]) == 2 and "error:" in capsys.readouterr().err


def test_importing_understanding_loads_no_model_library() -> None:
    heavy = ("torch", "transformers", "scipy", "django")
    code = f"import sys, analytics.nlu; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
