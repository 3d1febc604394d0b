"""Readers of three Whisper weight files; each returns the same thing: a transformers state dict and its dimensions.

Tensors are float32 and named as `transformers.WhisperForConditionalGeneration` names them (without the tied
output projection). A file that is not what it claims to be raises ValueError before anything is built from it.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

StateDict = dict[str, torch.Tensor]

_HEAD_WIDTH = 64  # every published Whisper uses heads of 64, so the number of heads follows from the width


@dataclass(frozen=True, slots=True)
class Dims:
    """The sizes that define a Whisper network."""

    vocab: int
    width: int
    encoder_layers: int
    decoder_layers: int
    mels: int

    @property
    def heads(self) -> int:
        return self.width // _HEAD_WIDTH

    @property
    def multilingual(self) -> bool:
        return self.vocab >= 51865


# OpenAI's names inside a block, and what transformers calls the same tensors.
_BLOCK = {
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn_ln": "self_attn_layer_norm",
    "cross_attn.query": "encoder_attn.q_proj",
    "cross_attn.key": "encoder_attn.k_proj",
    "cross_attn.value": "encoder_attn.v_proj",
    "cross_attn.out": "encoder_attn.out_proj",
    "cross_attn_ln": "encoder_attn_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
}
_TOP = {
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    "decoder.token_embedding.weight": "decoder.embed_tokens.weight",
    "encoder.ln_post.weight": "encoder.layer_norm.weight",
    "encoder.ln_post.bias": "encoder.layer_norm.bias",
    "decoder.ln.weight": "decoder.layer_norm.weight",
    "decoder.ln.bias": "decoder.layer_norm.bias",
}


def openai_name(name: str) -> str:
    """Return the transformers name of one of OpenAI's tensors. Raises ValueError for an unknown name."""
    if name in _TOP:
        return "model." + _TOP[name]
    if re.fullmatch(r"encoder\.conv[12]\.(weight|bias)", name):
        return "model." + name
    found = re.fullmatch(r"(encoder|decoder)\.blocks\.(\d+)\.(.+)\.(weight|bias)", name)
    if found is None or found[3] not in _BLOCK:
        raise ValueError(f"unknown Whisper tensor {name!r}")
    return f"model.{found[1]}.layers.{found[2]}.{_BLOCK[found[3]]}.{found[4]}"


def read_openai(path: Path) -> tuple[StateDict, Dims]:
    """Read OpenAI's own `.pt` file without running any code in it (`weights_only`)."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    sizes = checkpoint["dims"]
    state = {openai_name(k): v.float() for k, v in checkpoint["model_state_dict"].items()}
    dims = Dims(
        vocab=sizes["n_vocab"],
        width=sizes["n_audio_state"],
        encoder_layers=sizes["n_audio_layer"],
        decoder_layers=sizes["n_text_layer"],
        mels=sizes["n_mels"],
    )
    return state, dims


def read_ggml(path: Path) -> tuple[StateDict, Dims]:
    """Read whisper.cpp's unquantised ggml file (float32 or float16 tensors)."""
    with path.open("rb") as file:
        magic, vocab, _, width, _, encoder_layers, _, _, _, decoder_layers, mels, _ = _unpack(file, "<I11i")
        if magic != 0x67676D6C:
            raise ValueError(f"{path.name} is not a ggml file")
        rows, columns = _unpack(file, "<2i")
        file.seek(4 * rows * columns, 1)  # the mel filters, which transformers computes itself
        for _ in range(_unpack(file, "<i")[0]):  # the vocabulary comes from the tokeniser's own file
            file.seek(_unpack(file, "<I")[0], 1)
        state: StateDict = {}
        for name, array in _ggml_tensors(file):
            key = openai_name(name)
            tensor = torch.from_numpy(array.astype(np.float32))
            # ggml stores a convolution's bias as a column
            state[key] = tensor.reshape(-1) if re.search(r"conv[12]\.bias$", key) else tensor
    return state, Dims(vocab, width, encoder_layers, decoder_layers, mels)


def _ggml_tensors(file: BinaryIO) -> Iterator[tuple[str, np.ndarray]]:
    kinds: dict[int, Any] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
    while head := file.read(12):
        rank, name_length, kind = struct.unpack("<3i", head)
        shape = _unpack(file, f"<{rank}i")[::-1]  # ggml lists the fastest axis first
        name = file.read(name_length).decode()
        if kind not in kinds:
            raise ValueError(f"tensor {name} is quantised; only float files can be converted")
        length = math.prod(shape) * kinds[kind].itemsize
        raw = file.read(length)
        if len(raw) != length:
            raise ValueError(f"the file ends inside tensor {name}")
        yield name, np.frombuffer(raw, dtype=kinds[kind]).reshape(shape)


def read_ctranslate2(path: Path) -> tuple[StateDict, Dims]:
    """Read a float CTranslate2 Whisper `model.bin`, splitting its fused projections again."""
    raw = _ctranslate2_tensors(path)
    state: StateDict = {}

    def take(name: str) -> torch.Tensor:
        return torch.from_numpy(raw[name].astype(np.float32))

    def linear(target: str, source: str, parts: tuple[str, ...]) -> None:
        weights = take(f"{source}/weight").chunk(len(parts))
        biases = take(f"{source}/bias").chunk(len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            state[f"{target}{part}.weight"] = weight
            if not part.endswith("k_proj"):
                state[f"{target}{part}.bias"] = bias
            elif bias.abs().max() > 0:
                raise ValueError("a key projection with a bias: this is not Whisper")

    def norm(target: str, source: str) -> None:
        state[f"{target}.weight"], state[f"{target}.bias"] = take(f"{source}/gamma"), take(f"{source}/beta")

    counts = {"encoder": 0, "decoder": 0}
    for side in counts:
        while f"{side}/layer_{counts[side]}/ffn/linear_0/weight" in raw:
            source, target = f"{side}/layer_{counts[side]}", f"model.{side}.layers.{counts[side]}."
            own = f"{source}/self_attention"
            linear(target, f"{own}/linear_0", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"))
            linear(target, f"{own}/linear_1", ("self_attn.out_proj",))
            norm(f"{target}self_attn_layer_norm", f"{own}/layer_norm")
            if side == "decoder":
                cross = f"{source}/attention"
                linear(target, f"{cross}/linear_0", ("encoder_attn.q_proj",))
                linear(target, f"{cross}/linear_1", ("encoder_attn.k_proj", "encoder_attn.v_proj"))
                linear(target, f"{cross}/linear_2", ("encoder_attn.out_proj",))
                norm(f"{target}encoder_attn_layer_norm", f"{cross}/layer_norm")
            linear(target, f"{source}/ffn/linear_0", ("fc1",))
            linear(target, f"{source}/ffn/linear_1", ("fc2",))
            norm(f"{target}final_layer_norm", f"{source}/ffn/layer_norm")
            counts[side] += 1
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        state[f"model.{side}.embed_positions.weight"] = take(f"{side}/position_encodings/encodings")
    for layer in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            state[f"model.encoder.{layer}.{kind}"] = take(f"encoder/{layer}/{kind}")
    tokens = state["model.decoder.embed_tokens.weight"] = take("decoder/embeddings/weight")
    mels = state["model.encoder.conv1.weight"].shape[1]
    return state, Dims(tokens.shape[0], tokens.shape[1], counts["encoder"], counts["decoder"], mels)


def _ctranslate2_tensors(path: Path) -> dict[str, np.ndarray]:
    kinds: dict[int, Any] = {0: np.dtype("<f4"), 4: np.dtype("<f2")}
    tensors: dict[str, np.ndarray] = {}
    with path.open("rb") as file:

        def text() -> str:
            return file.read(_unpack(file, "<H")[0])[:-1].decode()  # stored with its closing zero

        (version,) = _unpack(file, "<I")
        name = text()
        if version != 6 or name != "WhisperSpec":
            raise ValueError(f"{path.name} is not a CTranslate2 Whisper file of version 6")
        _unpack(file, "<I")  # revision of the spec
        for _ in range(_unpack(file, "<I")[0]):
            key = text()
            shape = _unpack(file, f"<{_unpack(file, '<B')[0]}I")
            kind, length = _unpack(file, "<BI")
            raw = file.read(length)
            if kind in kinds:
                tensors[key] = np.frombuffer(raw, dtype=kinds[kind]).reshape(shape)
    return tensors


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    size = struct.calcsize(layout)
    raw = file.read(size)
    if len(raw) != size:
        raise ValueError("the weight file ends too early")
    return struct.unpack(layout, raw)
