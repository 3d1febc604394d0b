"""Which weights learn, and in what form: the whole model, the decoder, or a small part put beside frozen weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from asr_worker.training.config import FitConfig

#: Learning rates where the configuration names none, found on small Whisper models and held-out speakers.
RATES = {
    "full": 3e-5, "frozen_encoder": 1e-4, "lora": 1e-3, "adalora": 3e-3, "ia3": 1e-2, "prefix": 1e-2,
    "prompt": 1e-2, "bottleneck": 1e-3,
}  # fmt: skip
#: Methods whose result is an ordinary checkpoint; the others are served with their adapter beside the base.
MERGEABLE = ("full", "frozen_encoder", "lora", "adalora", "ia3")


@dataclass(slots=True)
class Applied:
    """A model made ready to learn. `adapted` is the adapter, where there is one; the calls belong to its method."""

    adapted: Any = None
    after_step: Callable[[int], None] = field(default=lambda step: None)
    extra_loss: Callable[[], Tensor | None] = field(default=lambda: None)


def learning_rate(config: FitConfig) -> float:
    """Return the configured learning rate, or the method's own."""
    return config.learning_rate or RATES[config.method]


def parameters(model: nn.Module) -> tuple[int, int]:
    """Return (parameters that learn, all parameters); tied weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad), sum(p.numel() for p in model.parameters())


def groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: biases and norms (one-dimensional weights) are never decayed."""
    learning = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]


def set_dropout(model: nn.Module, rate: float) -> None:
    """Set the residual and activation dropout of every layer, whether a module or a number."""
    for module in model.modules():
        for name in ("dropout", "activation_dropout"):
            if type(getattr(module, name, None)) is float and "Attention" not in type(module).__name__:
                setattr(module, name, rate)
        if isinstance(module, nn.Dropout):
            module.p = rate


def apply(family: Any, config: FitConfig, *, total_steps: int) -> Applied:
    """Freeze what does not learn and add what learns; the family's model is changed in place.

    Raises TrainingError for a method that this kind of model does not support.
    """
    model = family.model
    set_dropout(model, config.dropout)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if config.method == "full":
        for name, parameter in model.named_parameters():
            # Whisper's encoder positions are fixed sinusoids.
            parameter.requires_grad_("encoder.embed_positions" not in name)
        return Applied()
    if config.method == "frozen_encoder":
        family.freeze_all_but_head()
        return Applied()
    from asr_worker.training import adapters

    return adapters.apply(family, config, total_steps=total_steps)
