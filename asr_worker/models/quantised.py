"""Transformers checkpoints whose linear layers are stored and run as 8-bit integers (dynamic quantisation, CPU only).

Such a directory is an ordinary checkpoint without its `model.safetensors`: `quantisation.json` marks it and
`quantised.safetensors` holds the tensors. Weights are symmetric int8 with one scale per output row; activations are
quantised as they come (Zafrir et al. 2019, "Q8BERT", without the training). An embedding that shares its weight with
the output layer is stored once and read back from those integers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asr_worker.types import SpeechError

MARK = "quantisation.json"
TENSORS = "quantised.safetensors"
KIND = "dynamic-int8"


def is_quantised(folder: Path) -> bool:
    """Return whether the directory is marked as holding quantised tensors."""
    return (folder / MARK).is_file()


def write(model: Any, out: Path) -> None:
    """Write the mark and the tensors of a float model into `out`, which holds its configuration already."""
    import torch
    from safetensors.torch import save_file

    state = dict(model.state_dict())
    tensors: dict[str, Any] = {}
    linears: dict[str, str] = {}
    written: dict[int, str] = {}
    for name, module in model.named_modules():
        if type(module) is not torch.nn.Linear:
            continue
        weight = module.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp_min(1e-12) / 127
        tensors[f"{name}.int8"] = torch.round(weight / scale[:, None]).clamp(-127, 127).to(torch.int8)
        tensors[f"{name}.scale"] = scale
        linears[name] = "bias" if module.bias is not None else ""
        written[module.weight.data_ptr()] = name
        state.pop(f"{name}.weight", None)
    tied: dict[str, str] = {}
    for key, value in state.items():
        if value.data_ptr() in written and value.dim() == 2:
            tied[key] = written[value.data_ptr()]
        else:
            tensors[key] = value.detach().contiguous().clone()
    save_file(tensors, str(out / TENSORS), metadata={"format": "pt"})
    mark = {"schema": 1, "kind": KIND, "linears": linears, "tied": tied}
    (out / MARK).write_text(json.dumps(mark, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path, loader: Any) -> Any:
    """Return the model of a quantised directory, in evaluation mode on the CPU; `loader` is a transformers Auto class.

    Raises SpeechError (code `model_damaged`) for a mark or tensors that do not fit the configuration.
    """
    import torch
    import transformers
    from safetensors.torch import load_file

    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        if mark.get("schema") != 1 or mark.get("kind") != KIND:
            raise ValueError(f"unknown kind {mark.get('kind')!r}")
        tensors = load_file(str(folder / TENSORS))
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        model = loader.from_config(config)
        if (folder / "generation_config.json").is_file():
            model.generation_config = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
        for key, name in mark["tied"].items():
            tensors[key] = tensors[f"{name}.int8"].float() * tensors[f"{name}.scale"][:, None]
        weights = {name: (tensors.pop(f"{name}.int8"), tensors.pop(f"{name}.scale")) for name in mark["linears"]}
        found = model.load_state_dict(tensors, strict=False)
        missing = set(found.missing_keys) - {f"{name}.weight" for name in weights}
        if missing or found.unexpected_keys:
            raise ValueError(f"tensors do not fit: {sorted(missing)[:2]} {found.unexpected_keys[:2]}")
        for name, (integers, scale) in weights.items():
            _replace(model, name, integers, scale, torch)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{folder.name} is marked as {KIND} and cannot be loaded: {reason}"
        raise SpeechError(message, code="model_damaged", permanent=True) from error
    return model.eval()


def _replace(model: Any, name: str, integers: Any, scale: Any, torch: Any) -> None:
    """Put the integer layer where the float one is, keeping its bias."""
    from torch.ao.nn.quantized.dynamic import Linear

    parent = model.get_submodule(name.rpartition(".")[0])
    plain = model.get_submodule(name)
    if tuple(integers.shape) != (plain.out_features, plain.in_features):
        raise ValueError(f"{name} has another shape")
    made = Linear(plain.in_features, plain.out_features, bias_=plain.bias is not None, dtype=torch.qint8)
    zeros = torch.zeros(len(scale), dtype=torch.long)
    weight = torch._make_per_channel_quantized_tensor(integers, scale.double(), zeros, 0)
    made.set_weight_bias(weight, plain.bias.detach() if plain.bias is not None else None)
    setattr(parent, name.rpartition(".")[2], made)
