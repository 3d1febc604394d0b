"""An adversarial input raises the loss, stays within its distance, and leaves the model's own gradients alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from asr_worker.training.adversarial import fgm, pgd


class Small(torch.nn.Module):
    """Features [batch, frames, mels] to two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.inner(features).mean(dim=1)


@pytest.fixture
def setting() -> Any:
    torch.manual_seed(0)
    model, features, labels = Small(), torch.randn(6, 10, 8), torch.tensor([0, 1, 0, 1, 1, 0])
    features[0] *= 20  # one example is much louder than the others

    def loss_of(inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(inputs), labels)

    return model, features, loss_of


def _moved(after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Return how far each example went, as a share of its norm."""
    return (after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.3])
def test_one_step_raises_the_loss_and_goes_exactly_as_far_as_allowed(setting: Any, epsilon: float) -> None:
    _, features, loss_of = setting
    after = fgm(loss_of, features, epsilon)
    assert loss_of(after) > loss_of(features)
    torch.testing.assert_close(_moved(after, features), torch.full((6,), epsilon), rtol=1e-3, atol=1e-6)


def test_several_steps_stay_within_the_ball_and_do_at_least_as_much_as_one(setting: Any) -> None:
    _, features, loss_of = setting
    after = pgd(loss_of, features, 0.3, 8, 0.1)
    assert _moved(after, features).max() <= 0.3 * 1.001
    assert loss_of(after) >= loss_of(fgm(loss_of, features, 0.3)) - 1e-4 and loss_of(after) > loss_of(features)


def test_one_full_step_of_the_second_is_the_first(setting: Any) -> None:
    _, features, loss_of = setting
    torch.testing.assert_close(pgd(loss_of, features, 0.1, 1, 0.1), fgm(loss_of, features, 0.1))


def test_a_random_step_of_the_same_length_raises_the_loss_less(setting: Any) -> None:
    _, features, loss_of = setting
    direction = torch.randn_like(features)
    scale = 0.3 * features.flatten(1).norm(dim=1) / direction.flatten(1).norm(dim=1)
    assert loss_of(fgm(loss_of, features, 0.3)) > loss_of(features + direction * scale[:, None, None])


@pytest.mark.parametrize("attack", [lambda f, x: fgm(f, x, 0.1), lambda f, x: pgd(f, x, 0.1, 3, 0.05)])
def test_the_models_gradients_and_the_inputs_are_left_as_they_were(setting: Any, attack: Any) -> None:
    model, features, loss_of = setting
    loss_of(features).backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    before = features.clone()
    after = attack(loss_of, features)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient) and parameter.requires_grad
    assert torch.equal(features, before) and features.grad is None and not features.requires_grad
    assert not after.requires_grad and after.shape == features.shape


def test_it_works_where_gradients_are_switched_off_and_weights_are_frozen(setting: Any) -> None:
    model, features, loss_of = setting
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        after = fgm(loss_of, features, 0.1)
    assert loss_of(after) > loss_of(features)


def test_where_the_gradient_says_nothing_the_input_stays() -> None:
    inputs = torch.randn(3, 4)
    assert torch.equal(fgm(lambda x: (x * 0).sum(), inputs, 0.1), inputs)
    assert torch.equal(pgd(lambda x: (x * float("nan")).sum(), inputs, 0.1, 2, 0.1), inputs)


def test_tiny_gradients_still_point_somewhere(setting: Any) -> None:
    _, features, loss_of = setting
    after = fgm(lambda x: loss_of(x) * 1e-25, features, 0.1)
    torch.testing.assert_close(after, fgm(loss_of, features, 0.1), rtol=1e-3, atol=1e-3)


def test_no_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        pgd(lambda x: x.sum(), torch.ones(1, 2), 0.1, 0, 0.1)
