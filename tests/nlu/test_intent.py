"""What a head of intents learns from, what it says of itself, and that vectors are fitted only where that pays."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.nlu import heads, intent, train_tuned, tuned, understand, validate
from analytics.nlu.contrastive import PER_CLASS, States, _batches, batches_of_tokens
from analytics.nlu.reread import IntentReader
from benchmarks import nlu, nlu_intent, nlu_speed
from tests.nlu.calls import GREETING, HashingEmbedder, call

INTENTS = [
    {"name": "leave", "examples": ["I want to cancel my subscription", "cancel my contract", "please cancel it"]},
    {"name": "parcel", "examples": ["where is my parcel", "my parcel has not come", "the parcel is lost"]},
]
LOST = call(GREETING, ("customer", "Hello there, the package never reached our house yesterday."))


def config(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "embedder": HashingEmbedder(),
        "intents": INTENTS,
        "rules": [],
        "cache_dir": str(folder),
        "models_dir": str(folder),
    } | more


def test_a_name_in_words_is_one_more_example_that_nothing_is_measured_on() -> None:
    lessons = intent.lessons_of([{"name": "lost_parcel", "examples": ["where is it"]}, INTENTS[0]])
    at = lessons.texts.index("lost parcel")
    assert lessons.labels[at] == 0 and lessons.hints[at] and lessons.hints.sum() == 2
    head = intent.train(lessons, HashingEmbedder())
    assert 0 <= head.extra["cv_accuracy"] <= 1 and head.classes == ("lost_parcel", "leave", intent.OTHER)


def test_what_people_relabel_counts_twice_and_unknown_teaches_what_is_no_intent() -> None:
    relabelled = [("the package never came", "parcel"), ("nice weather today", "unknown"), ("gone", "no such intent")]
    lessons = intent.lessons_of(INTENTS, relabelled)
    rows = dict(zip(lessons.texts, zip(lessons.labels.tolist(), lessons.times.tolist(), strict=True), strict=True))
    assert rows["the package never came"] == (1, 2) and rows["nice weather today"] == (2, 2)
    assert "gone" not in rows and rows["where is my parcel"] == (1, 1)


def test_a_relabel_gives_a_new_head_that_reads_calls_otherwise(tmp_path: Path) -> None:
    before = understand(LOST, config(tmp_path))
    said = [["the package never reached our house", "parcel"], ["package never reached us yesterday", "parcel"]]
    after = understand(LOST, config(tmp_path, relabelled=said))
    assert before["intent"] == "unknown" and after["intent"] == "parcel"
    assert before["intent_head"]["kind"] == after["intent_head"]["kind"] == "plain"
    assert before["intent_head"]["key"] != after["intent_head"]["key"] and validate(after) == []


def test_reading_again_says_which_head_read_and_the_same_as_understanding(tmp_path: Path) -> None:
    spoken = call(GREETING, ("customer", "I want to cancel my subscription please"))
    whole, again = understand(spoken, config(tmp_path)), IntentReader(config(tmp_path)).read(spoken)
    assert again == {k: whole[k] for k in again} and again["intent_head"]["kind"] == "plain"


def test_only_what_the_customer_said_is_asked_of_the_head(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    class Head:
        kind, key, names, threshold = "plain", "", ("leave",), 0.5

        def probabilities(self, texts: Any, vectors: Any) -> np.ndarray:
            asked.append(list(texts))
            return np.full((len(texts), 1), 0.9)

    from analytics.nlu.chunks import cut
    from analytics.nlu.text import read

    text = read(call(GREETING, ("customer", "Please cancel my contract now."), ("customer", "Okay yes.")))
    (found,) = intent.find_intents(Head(), text, cut(text), None)
    assert asked == [["Please cancel my contract now."]] and found["turns"] == [1]


def test_fitting_needs_the_sentence_model_and_two_intents(tmp_path: Path) -> None:
    with pytest.raises(intent.IntentError, match="only the sentence model"):
        train_tuned(config(tmp_path))
    with pytest.raises(intent.IntentError, match="pull minilm"):
        train_tuned(config(tmp_path, embedder=None))
    with pytest.raises(intent.IntentError, match=r"intents\[0\].name"):
        train_tuned(config(tmp_path, intents=[{"examples": ["x"]}]))


def test_every_row_is_seen_once_in_an_epoch_several_of_a_class_together() -> None:
    labels = np.repeat(np.arange(30), 9)
    plan = _batches(labels, 8, np.random.default_rng(1))
    assert sorted(int(r) for b in plan for r in b) == list(range(len(labels)))
    assert max(len(b) for b in plan) <= 8 * PER_CLASS
    assert all(max(np.bincount(labels[b])) <= PER_CLASS for b in plan)
    assert all(max(np.bincount(labels[b])) > 1 for b in plan[: len(plan) // 2])


def test_batches_hold_texts_of_like_length_and_states_keep_their_places() -> None:
    lengths = np.array([9, 1, 4, 4, 30])
    batches = batches_of_tokens(lengths, 12)
    assert sorted(r for b in batches for r in b) == [0, 1, 2, 3, 4] and batches[-1] == [4]
    states = States(np.arange(48, dtype=np.float32)[:, None], lengths)
    x, mask = states.batch([1, 2])
    assert x[0, 0, 0] == 9 and x[1, :, 0].tolist() == [10, 11, 12, 13] and mask.sum(1).tolist() == [1, 4]
    part = states.pick(np.array([3, 0]))
    assert part.batch([1])[0][0, :, 0].tolist() == list(range(9)) and len(part) == 2


def test_calibration_error_is_the_gap_between_confidence_and_being_right() -> None:
    p = np.array([[0.8, 0.2]] * 10)
    right = np.zeros(10, int)
    assert nlu_intent.calibration_error(p, right) == pytest.approx(0.2)
    right[:2] = 1
    assert nlu_intent.calibration_error(p, right) == pytest.approx(0.0, abs=1e-9)


def test_the_limit_of_unknown_costs_no_more_right_answers_than_allowed() -> None:
    sure, right = np.linspace(0.01, 1, 100), np.ones(100, bool)
    limit = nlu_intent.limit_for(sure, right, loss=0.05)
    assert (sure < limit).sum() == 5
    assert nlu_intent.limit_for(sure, ~right) == 0.5


def test_a_part_that_could_not_run_is_not_measured_and_the_goals_are_not_met() -> None:
    good = {"figures": {"x": 1}, "goals": {"x": 1}, "met": True}
    figures, goals, met = nlu.outcome({"speed": good, "redaction": {"error": "no data"}})
    assert not met and figures["redaction"] == {"not measured": "no data"} and goals["speed"] == {"x": 1}
    assert figures["met_by_part"] == {"speed": True, "redaction": False}
    assert nlu.run("benchmarks.no_such_part", [])["error"]


def test_each_part_of_the_intents_answers_for_its_own_goals() -> None:
    full = {"tf-idf": {"accuracy": 0.9}, "vectors": {"accuracy": 0.93}, "fitted": {"accuracy": 0.95}}
    below = nlu_intent.below({"banking77_full": full})
    assert "banking77_5_shot not measured" in below and not any(b.startswith("banking77_full") for b in below)
    assert nlu._met("intent_banking77", {"figures": {"quick": False, "banking77_full": full, "below": below}})
    assert not nlu._met("intent_clinc150", {"figures": {"quick": False, "below": below}})


def test_stored_calls_are_ruled_and_counted() -> None:
    figures = nlu_speed.stored_figures(3)
    assert figures["one_rule"]["calls_per_second"] > 0 and figures["all_phrase_rules"]["rules"] > 5


@pytest.fixture(scope="module")
def models_dir() -> Path:
    folder = Path(os.environ.get("MODELS_DIR", Path(__file__).parents[2] / "var" / "models"))
    if not (folder / "minilm" / "config.json").is_file():
        pytest.skip("no MiniLM: run `python -m asr_worker.models pull minilm`")
    return folder


@pytest.mark.slow
def test_vectors_fitted_to_a_taxonomy_are_stored_used_and_never_for_another(
    models_dir: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tuned, "EPOCHS", (1, 1))
    monkeypatch.setattr(tuned, "MIN_TRIAL", 1)
    monkeypatch.setattr(intent, "small_talk", lambda: ("okay thank you", "bear with me", "nice weather", "hold on"))
    settings = {"models_dir": str(models_dir), "cache_dir": str(tmp_path), "intents": INTENTS}
    heard: list[float] = []
    figures = train_tuned(settings, progress=heard.append)
    assert heard == sorted(heard) and heard[-1] == 1.0
    assert {"trial_accuracy", "trial_accuracy_plain", "trial_rows", "threshold", "pays"} <= set(figures)
    (kept,) = tmp_path.glob("intent-tuned-*.npz")
    with np.load(kept, allow_pickle=False) as data:
        meta = json.loads(str(data["meta"]))
    assert "subscription" not in json.dumps(meta)
    again: list[float] = []
    assert train_tuned(settings, progress=again.append) == figures and again == []

    spoken = call(GREETING, ("customer", "I want to cancel my subscription please"))
    monkeypatch.setattr(tuned, "_memory", {})
    read = IntentReader(settings).read(spoken)
    assert read["intent_head"]["kind"] == ("tuned" if figures["pays"] else "plain")
    other = [*INTENTS, {"name": "bill", "examples": ["my bill is wrong"]}]
    assert IntentReader(settings | {"intents": other}).read(spoken)["intent_head"]["kind"] == "plain"
    kept.write_bytes(b"broken")
    monkeypatch.setattr(tuned, "_memory", {})
    assert IntentReader(settings).read(spoken)["intent_head"]["kind"] == "plain"


@pytest.mark.slow
def test_fitting_draws_a_class_together_and_can_be_stopped(models_dir: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from analytics.nlu.contrastive import Recipe, tune
    from analytics.nlu.embedding import load

    model = load(models_dir)
    texts = [
        "my card has not arrived", "where is the card you sent", "still waiting for my new card", "card not here yet",
        "my card was swallowed", "the machine kept my card", "a cash machine ate my card", "card stuck in the machine",
    ]  # fmt: skip
    labels = np.repeat([0, 1], 4)
    recipe = replace(Recipe(), epochs=6)
    states = model.states(texts, recipe.depth)
    encoder, prototypes = tune(model, states, labels, 2, recipe)
    plain, fitted = model.encode(texts), encoder.encode_states(states)[:, : model.dim]

    def gap(rows: np.ndarray) -> float:
        likeness = rows @ rows.T
        same = labels[:, None] == labels[None]
        return float(likeness[same & ~np.eye(8, dtype=bool)].mean() - likeness[~same].mean())

    assert gap(fitted) > gap(plain) + 0.1
    assert ((fitted @ prototypes.T).argmax(1) == labels).all()
    assert np.allclose(encoder.encode(texts[:2]), encoder.encode_states(states)[:2], atol=1e-4)

    class Stop(Exception):
        pass

    def stop(done: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        tune(model, states, labels, 2, recipe, progress=stop)


def test_a_row_that_is_always_seen_is_never_scored() -> None:
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(20, 4)).astype(np.float32), np.arange(20) % 2
    fold = heads.folds(labels)
    fold[3] = -1
    logits = heads.out_of_fold(vectors, labels, 2, strength=1.0, fold=fold)
    assert (logits[3] == 0).all() and (np.delete(logits, 3, 0) != 0).any(1).all()
