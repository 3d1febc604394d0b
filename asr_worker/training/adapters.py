"""Adapters: put in, learnt, folded in where that is possible, saved with the base they belong to, loaded with checks.

LoRA, AdaLoRA and IA3 are peft's; bottleneck, prefix and prompt are our own (`own_adapters`). Every saved adapter has a
`lineage.json` with the fingerprint of its base and the SHA-256 of its weights.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr_worker.training import own_adapters
from asr_worker.training.config import FitConfig
from asr_worker.training.files import TrainingError
from asr_worker.training.methods import Applied
from asr_worker.training.result import fingerprint

LINEAGE, PEFT_WEIGHTS, OWN_WEIGHTS = "lineage.json", "adapter_model.safetensors", "adapter.safetensors"
_WHISPER_LAYERS = "q_proj|k_proj|v_proj|out_proj|fc1|fc2"
_CTC_LAYERS = "q_proj|k_proj|v_proj|out_proj|intermediate_dense|output_dense"


class AdapterError(TrainingError):
    """An adapter cannot be used; code `adapter_base_differs` or `adapter_corrupt`."""

    code = "adapter_corrupt"


def apply(family: Any, config: FitConfig, *, total_steps: int) -> Applied:
    """Put the configured adapter into the family's model. Raises TrainingError `unsupported_method`."""
    if config.method in own_adapters.KINDS:
        size = config.bottleneck if config.method == "bottleneck" else config.virtual_tokens
        try:
            own_adapters.put_in(family.model, config.method, size)
        except ValueError as error:
            raise TrainingError(
                f"The method {config.method} does not fit this kind of model: {error}.", code="unsupported_method"
            ) from error
        if family.kind == "ctc":
            family.freeze_all_but_head()
        return Applied(adapted=config.method)
    import peft

    told = _peft_config(family, config, total_steps)
    adapted = peft.get_peft_model(family.model, told, autocast_adapter_dtype=False)
    if config.method != "adalora":
        return Applied(adapted=adapted)
    return Applied(
        adapted=adapted,
        after_step=adapted.base_model.update_and_allocate,
        extra_loss=lambda: _orthogonality(family.model, told.orth_reg_weight),
    )


def _peft_config(family: Any, config: FitConfig, total_steps: int) -> Any:
    import peft

    whisper = family.kind == "whisper"
    where = r"decoder\.layers" if whisper and config.cache_encoder else r"layers"
    options: dict[str, Any] = {
        "target_modules": rf".*{where}\..*\.({_WHISPER_LAYERS if whisper else _CTC_LAYERS})",
        "modules_to_save": None if whisper else ["lm_head"],
    }
    if config.method == "ia3":
        inner = "fc2" if whisper else "output_dense"
        options["target_modules"] = rf".*{where}\..*\.(k_proj|v_proj|{inner})"
        return peft.IA3Config(**options, feedforward_modules=rf".*{where}\..*\.{inner}")
    options |= {"lora_alpha": config.scale, "lora_dropout": config.dropout}
    if config.method == "lora":
        return peft.LoraConfig(r=config.rank, **options)
    warm = max(1, total_steps // 10)
    return peft.AdaLoraConfig(
        init_r=config.rank + config.rank // 2, target_r=config.rank, total_step=max(4, total_steps),
        tinit=warm, tfinal=max(1, total_steps // 3), deltaT=max(1, total_steps // 50), **options,
    )  # fmt: skip


def _orthogonality(model: nn.Module, weight: float) -> torch.Tensor | None:
    """Return AdaLoRA's penalty on singular vectors that are not orthogonal (Zhang et al. 2023, equation 4)."""
    penalties = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and ("lora_A" in name or "lora_B" in name):
            product = parameter @ parameter.T if "lora_A" in name else parameter.T @ parameter
            penalties.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=product.device)))
    return weight * torch.stack(penalties).mean() if penalties else None


def merge(prepared: Any) -> None:
    """Fold a peft adapter into the family's model."""
    prepared.family.model = prepared.applied.adapted.merge_and_unload()


def save(prepared: Any, folder: Path, base_fingerprint: str) -> None:
    """Write the adapter and its lineage into an existing folder. Raises OSError where the disk is full."""
    config: FitConfig = prepared.config
    if config.method in own_adapters.KINDS:
        from safetensors.torch import save_file

        name = OWN_WEIGHTS
        save_file(own_adapters.weights(prepared.family.model), str(folder / name))
    else:
        name = PEFT_WEIGHTS
        prepared.applied.adapted.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)
    size = config.bottleneck if config.method == "bottleneck" else config.virtual_tokens
    lineage = {
        "schema": 1,
        "method": config.method,
        "size": size,
        "base_fingerprint": base_fingerprint,
        "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
    }
    (folder / LINEAGE).write_text(json.dumps(lineage, indent=1), encoding="utf-8")


def attach(model: nn.Module, folder: Path, base: Path) -> nn.Module:
    """Return the model with a saved adapter, folded in where its method allows that.

    Raises AdapterError: `adapter_base_differs` when it was trained on another base, `adapter_corrupt` when its files
    are not whole. An adapter of peft without lineage, trained elsewhere, is taken as it is when its weights fit.
    """
    lineage = _lineage(folder)
    if lineage is not None:
        if lineage["base_fingerprint"] != fingerprint(base):
            raise AdapterError(
                f"The adapter {folder.name} was trained on another base model than {base.name}.",
                code="adapter_base_differs",
            )
        name = OWN_WEIGHTS if lineage["method"] in own_adapters.KINDS else PEFT_WEIGHTS
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != lineage["sha256"]:
            raise AdapterError(f"The adapter {folder.name} is damaged: its weights are not those that were saved.")
    try:
        if lineage is not None and lineage["method"] in own_adapters.KINDS:
            return _attach_own(model, folder, lineage)
        return _attach_peft(model, folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise AdapterError(f"The adapter {folder.name} is damaged or does not fit {base.name}.") from error


def _lineage(folder: Path) -> dict[str, Any] | None:
    path = folder / LINEAGE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {k: found[k] for k in ("method", "size", "base_fingerprint", "sha256")}
    except (ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"The adapter {folder.name} is damaged: its {LINEAGE} cannot be read.") from error


def _attach_own(model: nn.Module, folder: Path, lineage: dict[str, Any]) -> nn.Module:
    from safetensors.torch import load_file

    own_adapters.put_in(model, lineage["method"], int(lineage["size"]))
    given = load_file(str(folder / OWN_WEIGHTS))
    known = set(own_adapters.weights(model))
    if set(given) != known:
        raise KeyError("weights of another shape of adapter")
    model.load_state_dict(given, strict=False)
    return model


def _attach_peft(model: nn.Module, folder: Path) -> nn.Module:
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        adapted = PeftModel.from_pretrained(model, str(folder))
    except SafetensorError as error:
        raise ValueError("unreadable weights") from error
    try:
        return adapted.merge_and_unload()
    except (AttributeError, NotImplementedError):
        return adapted  # prompt-like adapters cannot be folded into the weights and are served as they are
