"""What the learning benchmark promises of itself: it goes on where it stopped, and claims nothing that was not seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_worker import datasets
from asr_worker.training.fit import fit
from benchmarks import common, learning, learning_data, learning_noise, learning_steps
from tests.training.small import QUICK, two_words


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> learning.Bench:
    """A bench on an empty data folder whose steps answer with how often they were asked."""
    for name in learning_data.NEEDED:
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "manifest.jsonl").write_text(name, encoding="utf-8")
    asked: list[Any] = []

    def answer(module: str, arguments: list[str], **_: Any) -> dict[str, Any]:
        asked.append(arguments)
        broken = json.loads(arguments[1]).get("config") == "broken"
        return {"error": "no room"} if broken else {"asked": len(asked)}

    monkeypatch.setattr(common, "in_own_process", answer)
    return learning.Bench(tmp_path / "work", tmp_path / "data", "base")


def again(bench: learning.Bench) -> learning.Bench:
    return learning.Bench(bench.work, bench.data, bench.base)


def test_what_a_step_found_is_used_again_and_said_to_be(bench: learning.Bench) -> None:
    assert bench.step("fit", name="main", config={"epochs": 1}) == {"asked": 1} and not bench.reused
    other = again(bench)
    assert other.step("fit", name="main", config={"epochs": 1}) == {"asked": 1} and other.reused == ["fit main"]


def test_other_settings_other_data_or_another_step_before_it_are_measured_anew(bench: learning.Bench) -> None:
    bench.step("fit", name="main", config={"epochs": 1})
    bench.step("score", name="main", after=["fit main"])
    other = again(bench)
    assert other.step("fit", name="main", config={"epochs": 2}) == {"asked": 3}
    assert other.step("score", name="main", after=["fit main"]) == {"asked": 4}
    (bench.data / learning_data.NEW / "manifest.jsonl").write_text("more", encoding="utf-8")
    third = again(bench)
    assert third.step("fit", name="main", config={"epochs": 2}) == {"asked": 5} and not third.reused


def test_a_step_that_failed_is_a_problem_and_is_asked_again(bench: learning.Bench) -> None:
    assert "error" in bench.step("fit", name="main", config="broken") and bench.problems == ["fit main: no room"]
    other = again(bench)
    assert "error" in other.step("fit", name="main", config="broken") and not other.reused


def figures(gain: float, low: float, loss: float, seconds: float, *, even: float = 0.0) -> dict[str, Any]:
    found = {"relative_gain": gain, "low": low, "old_loss": loss}
    return {"methods": {"main": {"basic": found, "en-1": {**found, "relative_gain": even}}}, "main_seconds": seconds}


@pytest.mark.parametrize(
    ("told", "missed"),
    [
        (figures(0.6, 0.4, 0.01, 600.0), set()),
        (figures(0.54, 0.4, 0.01, 600.0, even=0.9), {"relative_gain"}),
        (figures(0.6, -0.01, 0.01, 600.0), {"relative_gain"}),
        (figures(0.6, 0.4, 0.0101, 600.0), {"old_domain_loss"}),
        (figures(0.6, 0.4, 0.01, 600.1), {"seconds"}),
        ({"methods": {}}, {"relative_gain", "old_domain_loss", "seconds"}),
    ],
)
def test_a_goal_is_reached_only_by_what_was_measured(told: dict[str, Any], missed: set[str]) -> None:
    goals, met = learning.verdict(told, quick=True)
    assert {name for name, goal in goals.items() if not goal["met"]} == missed and met == (not missed)


def test_being_faster_counts_only_at_no_more_errors() -> None:
    speed = {"faster": 6.0, "ours_basic": {"wer_after": 0.4}, "trainer_basic": {"wer_after": 0.4}}
    told = {**figures(0.6, 0.4, 0.0, 1.0), "against_trainer": speed}
    assert learning.verdict(told, quick=False)[1]
    speed["trainer_basic"] = {"wer_after": 0.39}
    assert not learning.verdict(told, quick=False)[1]
    assert not learning.verdict(figures(0.6, 0.4, 0.0, 1.0), quick=False)[1]


def test_the_basic_normaliser_keeps_apart_how_numbers_are_written_and_the_own_one_does_not(tmp_path: Path) -> None:
    from asr_worker.training.validation import word_errors

    said, heard = "nine one, one A B", "911 A-B."
    assert learning_steps.basic(said, heard) == {"basic_words": 5, "basic_errors": 3}
    assert word_errors([said], [heard]) == (0, 5)
    entry = {"id": "r", "words": 5, "errors": 0, **learning_steps.basic(said, heard)}
    learning_steps._keep(tmp_path, "main", "test-new", [entry])
    errors = [learning_steps.rows_of(tmp_path, "main", "test-new", n)[0]["errors"] for n in learning_steps.NORMALISERS]
    assert errors == [3, 0]


def test_speech_labelled_for_replay_is_encoded_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_worker.training.whisper import WhisperFamily

    data = two_words(tmp_path / "data")
    rows = [{**r, "audio": str(r["path"]), "path": None} for r in datasets.read(data)]
    monkeypatch.setattr(WhisperFamily, "transcribe", lambda self, batch, prompts: ["aa"] * len(prompts))
    made = learning_data._labelled(rows, str(base), tmp_path / "cache")
    assert {r["text"] for r in made} == {"aa"} and {r["source"] for r in made} == {"pseudo"} and len(made) == 8
    monkeypatch.undo()
    folder = learning_data._write(tmp_path / "train", made)
    monkeypatch.setattr(WhisperFamily, "encode", lambda *a, **k: pytest.fail("a clip was encoded twice"))
    config = replace(QUICK, hold_out=0.0)
    assert fit(base, folder, tmp_path / "out", config, cache=tmp_path / "cache").rows == {"pseudo": 8}


def test_the_same_clip_is_disturbed_in_the_same_way_for_every_model() -> None:
    import numpy as np

    clip = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    for condition in learning_noise.CONDITIONS:
        first = learning_noise.disturbed(clip, condition, 2, [clip, clip[::-1]])
        assert np.array_equal(first, learning_noise.disturbed(clip, condition, 2, [clip, clip[::-1]]))
        assert np.array_equal(first, clip) == (condition == "clean")


def test_the_plain_trainer_beside_ours_learns_the_same_rows_and_is_exported(base: Path, tmp_path: Path) -> None:
    two_words(tmp_path / "train")
    found = learning_steps.trainer(tmp_path, str(base), "train", epochs=2, rate=1e-3, batch=4)
    assert found["rows"] == 8 and found["seconds_per_epoch"] > 0
    assert list((tmp_path / "served" / "trainer").rglob("model.bin"))
