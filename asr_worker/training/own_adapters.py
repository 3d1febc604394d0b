"""Three small adapters for Whisper's decoder that peft has not got for it: bottleneck, prefix, prompt.

None of them can be folded into the weights they stand beside, so they are served by the engine transformers.
All three begin as nothing: an untrained adapter leaves the model as it was (the prompt nearly so).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

KINDS = ("bottleneck", "prefix", "prompt")


class Bottleneck(nn.Module):
    """A linear layer with a narrow residual network behind it (Houlsby et al. 2019, "Parameter-efficient transfer
    learning for NLP"); [.., width] in and out."""

    def __init__(self, inner: nn.Linear, size: int) -> None:
        super().__init__()
        self.inner = inner
        self.down = nn.Linear(inner.out_features, size)
        self.up = nn.Linear(size, inner.out_features)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.inner(x)
        return y + self.up(functional.gelu(self.down(y)))


class PrefixAttention(nn.Module):
    """Self-attention that also attends to learned keys and values (Li and Liang 2021, "Prefix-tuning"), through a gate
    that begins at zero (Zhang et al. 2023, "LLaMA-Adapter"), so that learning starts from the model as it was."""

    def __init__(self, inner: nn.Module, tokens: int) -> None:
        super().__init__()
        self.inner = inner
        size = (inner.num_heads, tokens, inner.head_dim)
        self.keys = nn.Parameter(0.3 * torch.randn(size))
        self.values = nn.Parameter(0.3 * torch.randn(size))
        self.gate = nn.Parameter(torch.zeros(inner.num_heads, 1, 1))

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, Any]:
        inner = self.inner
        out, weights = inner(hidden_states, *args, **kwargs)
        batch, tokens, width = hidden_states.shape
        query = (inner.q_proj(hidden_states) * inner.scaling).view(batch, tokens, inner.num_heads, -1).transpose(1, 2)
        extra = torch.softmax(query @ self.keys.transpose(-1, -2), -1) @ self.values
        extra = (torch.tanh(self.gate) * extra).transpose(1, 2).reshape(batch, tokens, width)
        return out + functional.linear(extra, inner.out_proj.weight), weights


def put_in(model: nn.Module, kind: str, size: int) -> None:
    """Put the adapter into a Whisper model (bottleneck: any model with known layers); its weights learn.

    `size` is the bottleneck's width, or the number of virtual tokens or frames. Raises ValueError where the model has
    no place for it.
    """
    if kind == "bottleneck":
        places = _projections(model)
        if not places:
            raise ValueError("no place for a bottleneck adapter")
        for parent, name in places:
            setattr(parent, name, Bottleneck(getattr(parent, name), size).to(next(model.parameters()).device))
        return
    if not hasattr(model, "model") or not hasattr(model.model, "decoder"):
        raise ValueError(f"the method {kind} needs a decoder")
    device = next(model.parameters()).device
    if kind == "prefix":
        for layer in model.model.decoder.layers:
            layer.self_attn = PrefixAttention(layer.self_attn, size).to(device)
        return
    encoder = model.model.encoder
    encoder.virtual_frames = nn.Parameter(0.1 * torch.randn(1, size, model.config.d_model, device=device))

    def behind(module: nn.Module, inputs: Any, output: Any) -> Any:
        frames = output.last_hidden_state
        extra = module.virtual_frames.to(frames.dtype).expand(len(frames), -1, -1)
        output.last_hidden_state = torch.cat([frames, extra], 1)
        return output

    encoder.register_forward_hook(behind)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the adapter's own weights by name, on the CPU."""
    marks = (".down.", ".up.", ".self_attn.keys", ".self_attn.values", ".self_attn.gate", "virtual_frames")
    return {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if any(m in n for m in marks)}


def _projections(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return the output projections of attention and feed-forward in each layer that learns."""
    out: list[tuple[nn.Module, str]] = []
    if hasattr(model, "model") and hasattr(model.model, "decoder"):
        for layer in model.model.decoder.layers:
            out += [(layer.self_attn, "out_proj"), (layer.encoder_attn, "out_proj"), (layer, "fc2")]
        return out
    for module in model.modules():
        if hasattr(module, "attention") and hasattr(module, "feed_forward"):  # a wav2vec2-style encoder layer
            out += [(module.attention, "out_proj"), (module.feed_forward, "output_dense")]
    return out
