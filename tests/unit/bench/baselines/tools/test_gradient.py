"""Gradient descent with early stopping."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from graphrouter.bench.baselines.tools.gradient import Descent, cross_entropy, minimise
from graphrouter.exceptions import TrainingError


def test_finds_the_minimum_and_leaves_torch_as_it_was() -> None:
    target = torch.linspace(-1, 1, 64)
    weight = torch.zeros(1, requires_grad=True)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    settings = Descent(learning_rate=0.05, weight_decay=0.0, batch_size=16, max_epochs=100)
    minimise(
        [weight],
        lambda rows: ((weight - target[rows] - 2) ** 2).mean(),
        num_rows=64,
        seed=0,
        settings=settings,
    )
    assert weight.item() == pytest.approx(2.0, abs=0.1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_keeps_the_weights_of_the_best_epoch() -> None:
    """Training pulls the weight upwards for ever; validation is best at 0.3."""
    weight = torch.zeros(1, requires_grad=True)
    settings = Descent(learning_rate=0.1, weight_decay=0.0, batch_size=1, max_epochs=50, patience=3)
    best = minimise(
        [weight],
        lambda rows: -weight.sum(),
        num_rows=1,
        seed=0,
        held_loss=lambda: (weight - 0.3).pow(2).sum(),
        settings=settings,
    )
    assert weight.item() == pytest.approx(0.3, abs=0.06)
    assert best == pytest.approx((weight.item() - 0.3) ** 2, abs=1e-6)


def test_the_same_seed_gives_the_same_weights() -> None:
    def train(seed: int) -> Tensor:
        x, weight = torch.arange(40.0) / 40, torch.zeros(1, requires_grad=True)
        noisy = lambda rows: ((weight * x[rows] + torch.rand(1) - 1) ** 2).mean()  # noqa: E731
        minimise(
            [weight], noisy, num_rows=40, seed=seed, settings=Descent(batch_size=4, max_epochs=3)
        )
        return weight.detach()

    assert torch.equal(train(5), train(5))
    assert not torch.equal(train(5), train(6))


def test_says_when_the_loss_explodes() -> None:
    weight = torch.ones(1, requires_grad=True)
    with pytest.raises(TrainingError, match="learning rate"):
        minimise([weight], lambda rows: (weight * float("inf")).sum(), num_rows=1, seed=0)


def test_cross_entropy_skips_what_was_not_observed() -> None:
    logits, effect = torch.tensor([[0.0, 5.0]]), torch.tensor([[1.0, float("nan")]])
    assert cross_entropy(logits, effect).item() == pytest.approx(0.6931, abs=1e-4)
    assert cross_entropy(logits, torch.full((1, 2), float("nan"))).item() == 0.0
