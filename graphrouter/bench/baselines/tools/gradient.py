"""Gradient descent for the baselines that learn by it.

AdamW, early stopping on validation rows, one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from graphrouter.exceptions import TrainingError
from graphrouter.nn.layers import cpu_threads


@dataclass(frozen=True, slots=True)
class Descent:
    """How to descend."""

    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 256
    max_epochs: int = 60
    patience: int = 5
    """Epochs without a lower validation loss before the descent ends; the weights of the best epoch
    are kept."""


def minimise(
    parameters: Sequence[Tensor],
    loss: Callable[[Tensor], Tensor],
    *,
    num_rows: int,
    seed: int,
    held_loss: Callable[[], Tensor] | None = None,
    settings: Descent = Descent(),
) -> float:
    """The lowest validation loss, NaN without validation.

    The parameters hold the values that reached it.

    Args:
        parameters: Leaf tensors that require gradients; changed in place.
        loss: From row numbers (batch,) to the mean loss of these training rows.
        num_rows: Number of training rows.
        seed: Seed of the order of the rows, and of whatever `loss` draws from torch's generator.
        held_loss: Validation loss, called without gradients; without it all epochs are run and the
            last is kept.
        settings: How to descend.

    Raises:
        TrainingError: The loss is no longer finite.
    """
    with torch.random.fork_rng(devices=[]), cpu_threads(1):
        torch.manual_seed(seed)
        optimizer = torch.optim.AdamW(
            list(parameters), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        best, kept, waited = float("inf"), [p.detach().clone() for p in parameters], 0
        for _ in range(settings.max_epochs):
            for rows in torch.split(torch.randperm(num_rows), settings.batch_size):
                value = loss(rows)
                if not torch.isfinite(value):
                    raise TrainingError(
                        f"The loss became {value.item()} during gradient descent; lower the "
                        "learning rate."
                    )
                optimizer.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            if held_loss is None:
                continue
            with torch.no_grad():
                reached = float(held_loss())
            if reached < best - 1e-5:
                best, kept, waited = reached, [p.detach().clone() for p in parameters], 0
            else:
                waited += 1
                if waited >= settings.patience:
                    break
        if held_loss is not None:
            with torch.no_grad():
                for parameter, value in zip(parameters, kept, strict=True):
                    parameter.copy_(value)
    return best if held_loss is not None and np.isfinite(best) else float("nan")


def cross_entropy(logits: Tensor, effect: Tensor) -> Tensor:
    """Mean cross entropy in nats over the observed pairs.

    `effect` is NaN where nothing was observed, 0 without any pair.
    """
    known = torch.isfinite(effect)
    if not bool(known.any()):
        return logits.sum() * 0.0
    return torch.nn.functional.binary_cross_entropy_with_logits(logits[known], effect[known])
