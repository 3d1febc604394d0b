"""Old rows can be held to all that the base heard in them, not only to the word it liked best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_worker.training.cache import ClipCache
from asr_worker.training.clips import Clips
from asr_worker.training.config import FitConfig
from asr_worker.training.data import read_split
from asr_worker.training.files import TrainingError
from asr_worker.training.fit import fit
from asr_worker.training.whisper import WhisperFamily
from tests.training.small import QUICK, dataset

ROWS = [
    {"text": text, "hertz": hertz + 7 * s, "speaker": f"{source}{s}", "split": "train", "source": source}
    for s in range(3)
    for text, hertz, source in (("aa", 300, "correction"), ("bee", 1800, "correction"), ("cc", 900, "replay"))
]


def heard_by(model: Path, data: Path, cache: Path) -> tuple[WhisperFamily, Any]:
    family = WhisperFamily(model)
    examples = read_split(data, seed=7, hold_out=0.0).train
    clips = Clips(family, ClipCache.of_base(cache, model), "encoder").add(examples)
    return family, clips.batch(range(len(clips)))


def test_right_after_the_start_only_new_rows_have_something_to_learn(base: Path, tmp_path: Path) -> None:
    family, batch = heard_by(base, dataset(tmp_path / "data", ROWS), tmp_path / "cache")
    assert batch["old"].sum() == 3
    family.remember()
    alone = family.loss(batch)
    with torch.no_grad():
        distilled = family.loss(batch, distillation=1.0)
        half = family.loss(batch, distillation=0.5)
        new = {k: v[~batch["old"]] if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        share = float((new["targets"] >= 0).sum() / (batch["targets"] >= 0).sum())
        assert torch.allclose(distilled, share * family.loss(new), atol=1e-5)
    assert torch.allclose(half, (alone + distilled) / 2, atol=1e-5)


def test_a_fit_with_distillation_stays_nearer_to_what_the_base_heard_in_old_rows(base: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", ROWS)
    apart = {}
    for share in (0.0, 1.0):
        config = replace(QUICK, epochs=6, hold_out=0.0, distillation=share)
        done = fit(base, data, tmp_path / f"out{share}", config)
        tuned, batch = heard_by(Path(done.checkpoint), data, tmp_path / "cache")
        before = WhisperFamily(base)
        before.remember()
        tuned.teacher = before.teacher
        old = {k: v[batch["old"]] if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        with torch.no_grad():
            apart[share] = float(tuned.loss(old, distillation=1.0))
    assert apart[1.0] < 0.5 * apart[0.0]


def test_what_cannot_be_distilled_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        FitConfig.from_json({"distillation": 1.5})
    from asr_worker.training.ctc import CtcFamily

    with pytest.raises(TrainingError) as caught:
        CtcFamily.remember(None)  # type: ignore[arg-type]
    assert caught.value.code == "unsupported_setting"
