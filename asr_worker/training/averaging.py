"""Averaging of fine-tuned weights with those they came from, which keeps much of the gain and forgets less.

After Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022).
"""

from __future__ import annotations

import torch
from torch import nn


class Mixer:
    """Sets a model's weights to `share * base + (1 - share) * tuned`, again and again from the same two ends."""

    def __init__(self, model: nn.Module, base: dict[str, torch.Tensor]) -> None:
        self.model = model
        self.pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for name, parameter in model.named_parameters():
            before = base[name].detach().to(parameter)
            if not torch.equal(before, parameter.detach()):
                self.pairs[name] = (before, parameter.detach().clone())

    @torch.no_grad()
    def apply(self, share: float) -> None:
        """Set the weights; 0 gives the tuned ones exactly, 1 the base."""
        own = dict(self.model.named_parameters())
        for name, (before, after) in self.pairs.items():
            own[name].copy_(torch.lerp(after, before, share) if share else after)
