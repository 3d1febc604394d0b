"""What a fine-tuning promises: it learns, leaves everything it says, goes on after a kill, and says what is wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_worker.datasets import DatasetError
from asr_worker.training.config import METHODS
from asr_worker.training.files import TrainingError
from asr_worker.training.fit import fit
from asr_worker.types import ModelMissing
from tests.training.small import QUICK, dataset, two_words

ROOT = Path(__file__).resolve().parents[2]


def test_a_fit_lowers_the_loss_on_people_it_was_not_taught(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data", speakers=6)
    done = fit(base, data, tmp_path / "out", replace(QUICK, method="full", epochs=12, learning_rate=3e-3))
    assert done.curve[-1]["validation_loss"] < 0.1 * done.curve[0]["validation_loss"]
    assert done.validation_wer_before == 1.0 and done.validation_wer_after == 0.0


def test_a_fit_leaves_a_checkpoint_a_card_a_curve_and_its_figures(base: Path, tmp_path: Path) -> None:
    from transformers import AutoProcessor, WhisperForConditionalGeneration

    seen: list[dict[str, Any]] = []
    data = two_words(tmp_path / "data")
    done = fit(base, data, tmp_path / "out", QUICK, progress=seen.append)
    out = tmp_path / "out"
    model = WhisperForConditionalGeneration.from_pretrained(out / "checkpoint")
    before = WhisperForConditionalGeneration.from_pretrained(base)
    same = torch.equal(model.model.encoder.conv1.weight, before.model.encoder.conv1.weight)
    changed = not torch.equal(model.model.decoder.layers[0].fc1.weight, before.model.decoder.layers[0].fc1.weight)
    assert same and changed
    assert AutoProcessor.from_pretrained(out / "checkpoint").tokenizer("aa").input_ids
    card = (out / "MODEL_CARD.md").read_text()
    assert done.dataset_sha256 in card and done.base_fingerprint in card and "| correction | 6 |" in card
    assert json.loads((out / "fit.json").read_text())["result"] == json.loads(json.dumps(done.to_json()))
    assert list((out / "tensorboard").glob("events*"))
    assert not (out / "resume").exists() and not (out / "cache").exists()
    assert [p["step"] for p in done.curve] == [0, 2, 4] and done.steps == 4
    fractions = [d["fraction"] for d in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {d["stage"] for d in seen} >= {"encode", "train", "validate", "save"}


def test_a_finished_fit_is_returned_at_once_and_other_settings_make_another(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    first = fit(base, data, tmp_path / "out", QUICK)
    assert fit(base, data, tmp_path / "out", QUICK) == first
    other = fit(base, data, tmp_path / "out", replace(QUICK, seed=8))
    assert other != first


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_and_leaves_the_frozen_part_alone(method: str, base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    rate = {"full": 3e-3, "frozen_encoder": 1e-2, "lora": 3e-2, "adalora": 3e-2}.get(method, 1e-1)
    config = replace(QUICK, method=method, epochs=8, learning_rate=rate, rank=4, bottleneck=8, virtual_tokens=4)
    done = fit(base, data, tmp_path / "out", config)
    assert min(p["validation_loss"] for p in done.curve[1:]) < done.curve[0]["validation_loss"]
    assert done.mergeable == (method in ("full", "frozen_encoder", "lora", "adalora", "ia3"))
    assert (tmp_path / "out" / "adapter").is_dir() == (method not in ("full", "frozen_encoder"))
    if method not in ("full", "frozen_encoder"):
        assert done.trainable_parameters < 0.35 * done.parameters
    from transformers import WhisperForConditionalGeneration

    kept = WhisperForConditionalGeneration.from_pretrained(tmp_path / "out" / "checkpoint")
    before = WhisperForConditionalGeneration.from_pretrained(base)
    named = dict(before.named_parameters())
    assert set(dict(kept.named_parameters())) == set(named)
    moved = {n for n, p in kept.named_parameters() if not torch.allclose(p, named[n])}
    assert bool(moved) == done.mergeable
    if method != "full":
        assert not any("encoder.conv" in n or ".encoder.layers" in n for n in moved)


def test_a_wholly_averaged_model_is_the_base_and_half_is_between(base: Path, tmp_path: Path) -> None:
    from transformers import WhisperForConditionalGeneration

    data = two_words(tmp_path / "data")
    name = "model.decoder.layers.0.fc1.weight"
    found = {}
    for share in (0.0, 0.5, 1.0):
        done = fit(base, data, tmp_path / f"out{share}", replace(QUICK, average_with_base=share))
        model = WhisperForConditionalGeneration.from_pretrained(done.checkpoint)
        found[share] = dict(model.named_parameters())[name].detach()
    before = dict(WhisperForConditionalGeneration.from_pretrained(base).named_parameters())[name].detach()
    assert torch.equal(found[1.0], before)
    assert torch.allclose(found[0.5], (found[0.0] + before) / 2, atol=1e-6)
    chosen = fit(base, data, tmp_path / "out", replace(QUICK, average_with_base=-1.0))
    assert chosen.averaged_with_base in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def test_top_encoder_layers_learn_when_asked_to(base: Path, tmp_path: Path) -> None:
    from transformers import WhisperForConditionalGeneration

    data = two_words(tmp_path / "data")
    done = fit(base, data, tmp_path / "out", replace(QUICK, encoder_layers=1))
    model = WhisperForConditionalGeneration.from_pretrained(done.checkpoint)
    before = WhisperForConditionalGeneration.from_pretrained(base)
    pairs = [(m.model.encoder.layers[-1].fc1.weight, m.model.encoder.conv1.weight) for m in (model, before)]
    assert not torch.equal(pairs[0][0], pairs[1][0]) and torch.equal(pairs[0][1], pairs[1][1])


def test_patience_stops_a_fit_that_no_longer_gets_better(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    done = fit(base, data, tmp_path / "out", replace(QUICK, epochs=30, learning_rate=1e-9, patience=2))
    assert done.steps < 30 * 2


def test_a_search_tries_settings_and_keeps_the_best(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    done = fit(base, data, tmp_path / "out", replace(QUICK, epochs=1, search_trials=3))
    found = json.loads((tmp_path / "out" / "search.json").read_text())
    best = min(found["trials"], key=lambda t: t["value"])
    assert len(found["trials"]) == 3 and found["trials"][0]["learning_rate"] == QUICK.learning_rate
    assert done.config["learning_rate"] == best["learning_rate"] == found["chosen"]["learning_rate"]


# --- what goes wrong -------------------------------------------------------------------------------


def test_an_empty_dataset_is_refused(base: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [{"text": "", "speaker": "a", "split": "train"}])
    with pytest.raises(DatasetError) as caught:
        fit(base, data, tmp_path / "out", QUICK)
    assert caught.value.code == "dataset_empty"


def test_one_speaker_only_is_refused_unless_somebody_else_validates(base: Path, tmp_path: Path) -> None:
    alone = [{"text": "aa", "speaker": "a", "split": "train"}] * 3
    with pytest.raises(DatasetError) as caught:
        fit(base, dataset(tmp_path / "alone", alone), tmp_path / "out", QUICK)
    assert caught.value.code == "one_speaker"
    with_other = [*alone, {"text": "bee", "speaker": "b", "split": "validation"}]
    assert fit(base, dataset(tmp_path / "two", with_other), tmp_path / "out", QUICK).validation_rows == 1


def test_a_clip_that_is_gone_is_named(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    (data / "3.wav").unlink()
    with pytest.raises(DatasetError, match="r3") as caught:
        fit(base, data, tmp_path / "out", QUICK)
    assert caught.value.code == "clip_gone"


def test_a_folder_without_a_checkpoint_is_no_base(tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    with pytest.raises(ModelMissing):
        fit(tmp_path, data, tmp_path / "out", QUICK)


def test_a_loss_that_is_no_number_is_said(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    config = replace(QUICK, learning_rate=1e30, max_gradient_norm=0.0, warmup_ratio=0.0, epochs=5)
    with pytest.raises(TrainingError) as caught:
        fit(base, data, tmp_path / "out", config)
    assert caught.value.code == "diverged" and not (tmp_path / "out" / "fit.json").exists()


@pytest.mark.faults
@pytest.mark.parametrize("full_at", ["cache", "resume", "checkpoint", "fit.json"])
def test_a_full_disk_is_said_and_nothing_half_written_counts(
    full_at: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = two_words(tmp_path / "data"), tmp_path / "out"
    real = os.replace

    def full(source: Any, target: Any, **more: Any) -> None:
        if full_at in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target, **more)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(TrainingError) as caught:
            fit(base, data, out, QUICK)
    assert caught.value.code == "disk_full"
    assert not (out / "fit.json").exists() and not list(out.rglob("*.part"))
    assert fit(base, data, out, QUICK).steps == 4  # the same call succeeds once there is room


@pytest.mark.faults
def test_a_killed_fit_goes_on_from_a_saved_step_and_ends_like_one_that_was_not(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data")
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from asr_worker import vad
        from asr_worker.training.fit import fit
        from tests.training.small import QUICK
        vad.speech_regions = lambda samples, options=None: [(0, len(samples) // 16)]
        def tell(document):
            if document["step"] >= 3 and document["stage"] == "train":
                print("here", flush=True)
                sys.stdin.read()
        base, data, out = map(Path, sys.argv[1:])
        fit(base, data, out, QUICK, progress=tell)
        """
    )
    places = [str(base), str(data), str(tmp_path / "killed")]
    child = subprocess.Popen(
        [sys.executable, "-c", script, *places], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert any("here" in line for line in child.stdout)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (tmp_path / "killed" / "resume" / "state.pt").is_file()
    assert not (tmp_path / "killed" / "fit.json").exists()
    resumed = fit(base, data, tmp_path / "killed", QUICK)
    whole = fit(base, data, tmp_path / "whole", QUICK)
    assert resumed.resumed_from_step == 2 and whole.resumed_from_step == 0
    assert [p["validation_loss"] for p in resumed.curve] == pytest.approx([p["validation_loss"] for p in whole.curve])


def test_a_damaged_state_is_not_gone_on_from(base: Path, tmp_path: Path) -> None:
    data, out = two_words(tmp_path / "data"), tmp_path / "out"
    (out / "resume").mkdir(parents=True)
    (out / "resume" / "state.pt").write_bytes(b"half a file")
    assert fit(base, data, out, QUICK).resumed_from_step == 0
