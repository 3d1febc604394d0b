"""What is exported is whole and says what it is; what cannot be exported leaves nothing behind and says why."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_worker import export
from asr_worker.engines import registry
from asr_worker.types import PipelineSpec, SpeechError
from tests.gate import small_whisper


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_whisper.build(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(autouse=True)
def no_warm_engines() -> Any:
    yield
    registry.forget()


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(str(folder / "model.safetensors"))


def _model(folder: Path) -> Any:
    from asr_worker.engines import transformers_engine

    return transformers_engine.load(PipelineSpec(transcriber="transformers", model=str(folder)))[0]


def _logits(folder: Path) -> Any:
    import torch

    with torch.inference_mode():
        features = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(1))
        return _model(folder)(features, decoder_input_ids=torch.tensor([[257, 363, 65, 66]])).logits


def _nothing_left(folder: Path, *allowed: str) -> bool:
    return {path.name for path in folder.iterdir()} == set(allowed)


def test_an_export_is_a_checkpoint_and_what_is_served_in_one_directory(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "trained").mkdir()
    trained = tmp_path / "trained" / "checkpoint"
    shutil.copytree(checkpoint, trained)
    (trained / "optimizer.pt").write_bytes(b"not to be served")
    out = export.export(trained, tmp_path / "served")
    assert {p.name for p in out.iterdir()} >= {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "ct2-int8",
        "ct2-float16",
    }
    assert not (out / "optimizer.pt").exists()
    for kind in ("ct2-int8", "ct2-float16"):
        assert {p.name for p in (out / kind).iterdir()} >= {"model.bin", "tokenizer.json", "preprocessor_config.json"}
    sizes = [(out / kind / "model.bin").stat().st_size for kind in ("ct2-int8", "ct2-float16")]
    assert sizes[0] < sizes[1] < (out / "model.safetensors").stat().st_size
    assert registry.transcriber(PipelineSpec(model=str(out))).name == "faster-whisper"
    assert _nothing_left(tmp_path, "trained", "served")


def test_a_checkpoint_saved_with_the_newer_names_is_exported_too(checkpoint: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(checkpoint, newer)
    settings = json.loads((newer / "preprocessor_config.json").read_text())
    (newer / "preprocessor_config.json").unlink()
    (newer / "processor_config.json").write_text(
        json.dumps({"feature_extractor": settings, "processor_class": "WhisperProcessor"})
    )
    out = export.export(newer, tmp_path / "served", kinds=("int8",))
    assert json.loads((out / "ct2-int8" / "preprocessor_config.json").read_text())["feature_size"] == 80


def _cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _lacks_a_tensor(folder: Path) -> None:
    from safetensors.torch import save_file

    weights = _weights(folder)
    weights.pop("model.decoder.layers.0.fc1.weight")
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})


def _not_a_number(folder: Path) -> None:
    from safetensors.torch import save_file

    weights = _weights(folder)
    weights["model.decoder.layers.0.fc1.weight"][3, 3] = float("nan")
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})


def _no_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_ffn_dim": 64}))


def _no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    "breaks", [_cut, _no_weights, _lacks_a_tensor, _not_a_number, _no_config, _other_shape, _no_tokenizer]
)
def test_a_broken_checkpoint_is_a_clear_error_and_leaves_nothing(checkpoint: Path, tmp_path: Path, breaks: Any) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    breaks(broken)
    with pytest.raises(SpeechError) as caught:
        export.export(broken, tmp_path / "served")
    assert caught.value.code == "export_failed" and caught.value.permanent
    assert caught.value.message.startswith("broken ") and "\n" not in caught.value.message
    assert _nothing_left(tmp_path, "broken")


def test_what_cannot_be_folded_in_or_is_no_whisper_says_who_can_serve_it(checkpoint: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt"
    shutil.copytree(checkpoint, prompt)
    (prompt / "adapter").mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    for folder in (prompt, other):
        with pytest.raises(SpeechError, match="the engine transformers") as caught:
            export.export(folder, tmp_path / "served")
        assert caught.value.code == "not_servable"
    assert _nothing_left(tmp_path, "prompt", "other")


@pytest.mark.parametrize("work", ["copy", "convert", "save"])
def test_a_full_disk_is_said_and_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    def full(*args: Any, **options: Any) -> None:
        if work == "save":  # as a writer in another language puts it
            raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
        raise OSError(errno.ENOSPC, "No space left on device")

    if work == "copy":
        monkeypatch.setattr(shutil, "copyfile", full)
    elif work == "convert":
        monkeypatch.setattr("asr_worker.models.whisper.export_ctranslate2", full)
    else:
        monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(SpeechError, match="disk is full") as caught:
        if work == "save":
            export.prune_magnitude(checkpoint, tmp_path / "out", 0.5)
        else:
            export.export(checkpoint, tmp_path / "out")
    assert caught.value.code == "disk_full"
    assert _nothing_left(tmp_path)


def test_pruning_zeroes_the_smallest_share_of_each_layer_and_nothing_else(checkpoint: Path, tmp_path: Path) -> None:
    before, after = _weights(checkpoint), _weights(export.prune_magnitude(checkpoint, tmp_path / "pruned", 0.3))
    key = "model.decoder.layers.2.fc1.weight"
    kept = after[key] != 0
    assert abs(1 - kept.float().mean().item() - 0.3) < 0.001
    assert bool((after[key][kept] == before[key][kept]).all())
    assert before[key][~kept].abs().max() <= before[key][kept].abs().min()
    for whole in ("model.decoder.embed_tokens.weight", "model.decoder.layers.2.fc1.bias", "model.encoder.conv1.weight"):
        assert bool((after[whole] == before[whole]).all())
    assert _logits(tmp_path / "pruned").shape[-1] == 1864
    with pytest.raises(ValueError, match="share"):
        export.prune_magnitude(checkpoint, tmp_path / "all", 1.0)


def test_averaging_lies_between_the_two_and_its_ends_are_the_two(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    base = small_whisper.build(tmp_path / "base", seed=1)
    ours, theirs = _weights(checkpoint), _weights(base)
    for share in (0.0, 0.25, 1.0):
        made = _weights(export.average_with_base(checkpoint, base, share, tmp_path / f"at-{share}"))
        assert made.keys() == ours.keys()
        for key, value in made.items():
            torch.testing.assert_close(value, (1 - share) * ours[key] + share * theirs[key], rtol=1e-5, atol=1e-6)


def test_averaging_with_another_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    wider = small_whisper.build(tmp_path / "wider", width=60)
    with pytest.raises(SpeechError, match="not the same kind") as caught:
        export.average_with_base(checkpoint, wider, 0.5, tmp_path / "out")
    assert caught.value.code == "base_differs"
    assert _nothing_left(tmp_path, "wider")


def test_eight_bit_layers_are_smaller_and_nearly_say_the_same(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    out = export.quantise_dynamic(checkpoint, tmp_path / "eight")
    plain, eight = _logits(checkpoint), _logits(out)
    assert (out / "quantised.safetensors").stat().st_size < 0.55 * (checkpoint / "model.safetensors").stat().st_size
    closeness = torch.nn.functional.cosine_similarity(plain.flatten(), eight.flatten(), dim=0)
    assert 0.99 < closeness.item() and not torch.equal(plain, eight)
    layer = _model(out).get_submodule("model.decoder.layers.1.fc1")
    assert layer.weight().dtype == torch.qint8
    assert torch.equal(eight, _logits(out))


def test_a_quantised_checkpoint_that_was_tampered_with_does_not_load(checkpoint: Path, tmp_path: Path) -> None:
    out = export.quantise_dynamic(checkpoint, tmp_path / "eight")
    mark = json.loads((out / "quantisation.json").read_text())
    for change in ({"kind": "other"}, {"linears": mark["linears"] | {"model.decoder.nowhere": ""}}, {"schema": 9}):
        (out / "quantisation.json").write_text(json.dumps(mark | change))
        with pytest.raises(SpeechError, match="cannot be loaded") as caught:
            _model(out)
        assert caught.value.code == "model_damaged"


def test_a_quantised_checkpoint_is_refused_on_a_gpu_in_words(checkpoint: Path, tmp_path: Path) -> None:
    from asr_worker.engines import transformers_engine

    out = export.quantise_dynamic(checkpoint, tmp_path / "eight")
    with pytest.raises(SpeechError, match="only run on CPUs"):
        transformers_engine.load(PipelineSpec(transcriber="transformers", model=str(out), device="cuda"))


def test_variants_are_measured_beside_the_original_and_leave_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    served = export.export(checkpoint, tmp_path / "served", kinds=("int8",))
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.flac", (0.1 * random.standard_normal(16_000)).astype(np.float32), 16_000)
    rows = [{"id": "a", "path": tmp_path / "a.flac", "text": "two words"}]
    found = export.variants(served, rows, pruned=(0.3,), spec=PipelineSpec(beam_size=1))
    assert [v["kind"] for v in found] == ["checkpoint", "ct2-int8", "dynamic-int8", "pruned 30%"]
    sizes = {v["kind"]: v["bytes"] for v in found}
    assert sizes["ct2-int8"] < sizes["checkpoint"] and sizes["dynamic-int8"] < sizes["checkpoint"]
    assert all(v["wer"] is not None and v["real_time_factor"] > 0 for v in found)
    assert list((tmp_path / "temporary").iterdir()) == []
