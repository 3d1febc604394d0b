"""Adapters belong to one base, are whole or refused, and sound the same after loading as before saving."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr_worker.engines.transformers_engine import load
from asr_worker.training import adapters
from asr_worker.training.fit import fit
from asr_worker.types import PipelineSpec
from tests.gate.small_whisper import build
from tests.training.small import QUICK, two_words


def _logits(model: torch.nn.Module) -> torch.Tensor:
    torch.manual_seed(3)
    features = torch.randn(1, 80, 3000)
    with torch.inference_mode():
        return model(features, decoder_input_ids=torch.tensor([[258, 97, 97]])).logits


@pytest.fixture(scope="module", params=["lora", "bottleneck", "prefix", "prompt"])
def fitted(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    from asr_worker import vad

    data = two_words(folder / "data")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vad, "speech_regions", lambda samples, options=None: [(0, len(samples) // 16)])
        config = replace(QUICK, method=request.param, learning_rate=0.1, rank=4, bottleneck=8, virtual_tokens=4)
        fit(base, data, folder / "out", config)
    return folder / "out"


def test_an_adapter_loads_onto_its_base_and_changes_what_it_says(fitted: Path, base: Path) -> None:
    with_adapter, _, _ = load(PipelineSpec(model=str(base), adapter=str(fitted / "adapter")))
    without, _, _ = load(PipelineSpec(model=str(base)))
    assert not torch.allclose(_logits(with_adapter), _logits(without), atol=1e-4)
    document = json.loads((fitted / "fit.json").read_text())["result"]
    if document["mergeable"]:
        merged, _, _ = load(PipelineSpec(model=str(fitted / "checkpoint")))
        assert torch.allclose(_logits(with_adapter), _logits(merged), atol=1e-3)


def test_an_adapter_on_another_base_is_refused(fitted: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other", seed=5)
    with pytest.raises(adapters.AdapterError, match="another base model") as caught:
        load(PipelineSpec(model=str(other), adapter=str(fitted / "adapter")))
    assert caught.value.code == "adapter_base_differs"


@pytest.mark.parametrize("damage", ["cut", "gone", "lineage", "without lineage"])
def test_a_damaged_adapter_is_refused(fitted: Path, base: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(fitted / "adapter", folder)
    weights = next(folder.glob("*.safetensors"))
    if damage in ("cut", "without lineage"):
        weights.write_bytes(weights.read_bytes()[:-100])
    if damage == "gone":
        weights.unlink()
    if damage == "lineage":
        (folder / "lineage.json").write_text("{")
    if damage == "without lineage":
        (folder / "lineage.json").unlink()
    with pytest.raises(adapters.AdapterError) as caught:
        load(PipelineSpec(model=str(base), adapter=str(folder)))
    assert caught.value.code == "adapter_corrupt"


def test_an_untrained_adapter_leaves_the_model_as_it_was(base: Path) -> None:
    from asr_worker.training import own_adapters

    plain, _, _ = load(PipelineSpec(model=str(base)))
    expected = _logits(plain)
    for kind in ("bottleneck", "prefix"):
        model, _, _ = load(PipelineSpec(model=str(base)))
        own_adapters.put_in(model, kind, 4)
        assert torch.allclose(_logits(model), expected, atol=1e-5)
