"""Inputs moved to where a model errs, within a distance too small to hear: training on them makes models steadier.

Distances are relative: an `epsilon` of 0.05 lets each example of the batch move by at most 5 % of its own Euclidean
norm. Both functions ask for the gradient of the inputs alone, so the gradients of the model's weights stay as they
were. What they return is cut off from the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LossOf = Callable[[Any], Any]


def fgm(loss_of: LossOf, inputs: Any, epsilon: float) -> Any:
    """Return the inputs [batch, ...] one step of length `epsilon` up the loss (Miyato et al. 2017, section 3).

    `loss_of` maps inputs to a scalar loss. Where the gradient is zero or no number, an example stays where it is.
    """
    start = inputs.detach()
    return (start + epsilon * _norm(start) * _uphill(loss_of, start)).detach()


def pgd(loss_of: LossOf, inputs: Any, epsilon: float, steps: int, step_size: float) -> Any:
    """Return the inputs [batch, ...] after `steps` steps of `step_size`, kept within `epsilon` (Madry et al. 2018).

    The ball is Euclidean and relative like the steps; it begins at the inputs themselves, so 1 step of `epsilon` is
    `fgm`. Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError("projected gradient descent needs at least one step")
    start = inputs.detach()
    size = _norm(start)
    at = start
    for _ in range(steps):
        moved = at + step_size * size * _uphill(loss_of, at) - start
        at = start + moved * (epsilon * size / _norm(moved).clamp_min(1e-12)).clamp_max(1.0)
    return at.detach()


def _uphill(loss_of: LossOf, inputs: Any) -> Any:
    """Return per example the direction, of length one, in which the loss grows fastest."""
    import torch

    with torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss_of(leaf), leaf)
    gradient = torch.nan_to_num(gradient.float(), nan=0.0, posinf=0.0, neginf=0.0)
    # By its largest entry first: squares of the tiny gradients of half precision would all be zero.
    largest = gradient.abs().flatten(1).amax(dim=1).view(-1, *[1] * (gradient.dim() - 1))
    gradient = gradient / largest.clamp_min(1e-30)
    return (gradient / _norm(gradient).clamp_min(1e-12)).to(inputs.dtype)


def _norm(batch: Any) -> Any:
    """Return the Euclidean norm of each example, shaped to multiply the batch."""
    return batch.flatten(1).norm(dim=1).view(-1, *[1] * (batch.dim() - 1))
