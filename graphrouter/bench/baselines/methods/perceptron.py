"""Multilayer perceptrons: trained with torch, kept and applied as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.tools.gradient import Descent, cross_entropy, minimise
from graphrouter.types import FloatArray

A = TypeVar("A", FloatArray, Tensor)
MIN_BATCH = 16
"""Rows of the smallest batch, and batches of an epoch where the rows suffice."""
UNVALIDATED_EPOCHS = 8
"""Epochs without validation rows: about where validation ends a descent on a few thousand rows."""


class Perceptron(NamedTuple):
    """Linear layers with ReLU between them: one network, or one for each output.

    Example:
        >>> weights = (np.array([[1.0, -1.0]]), np.array([[2.0], [3.0]]))
        >>> net = Perceptron(weights, (np.zeros((1, 2)), np.array([[0.5]])))
        >>> net.apply(np.array([[1.0], [-1.0]])).tolist()
        [[2.5], [3.5]]
    """

    weights: tuple[FloatArray, ...]
    """A layer each, (num_inputs, num_outputs); (num_networks, num_inputs, num_outputs) for networks
    side by side."""
    biases: tuple[FloatArray, ...]
    """A layer each, (1, num_outputs); (num_networks, 1, num_outputs) for networks side by side."""

    def apply(self, inputs: FloatArray) -> FloatArray:
        """Outputs (..., num_outputs) for inputs (..., num_inputs).

        (num_rows, num_networks) of networks side by side.
        """
        return run_layers(self.weights, self.biases, inputs)


class Examples(NamedTuple):
    """What a perceptron learns from."""

    inputs: FloatArray
    """(num_rows, num_inputs)."""
    targets: FloatArray
    """(num_rows, num_outputs), NaN = not observed."""


def fit_perceptron(
    examples: Examples,
    start: FloatArray,
    *,
    hidden: Sequence[int],
    held: Examples | None,
    seed: int,
    settings: Descent,
    separate: bool = False,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> tuple[Perceptron, float]:
    """The network that the examples make and its loss on the held-out examples, NaN without any.

    Args:
        examples: Training rows.
        start: (num_outputs,) what the untrained network says; an output without any target goes on
            to say it.
        hidden: Units of each hidden layer.
        held: Validation rows, to stop early on.
        seed: Seed of the first weights and of the order of the rows.
        settings: How to descend; see `adapt_descent` for what the number of rows changes.
        separate: A network of its own for each output; otherwise they share the hidden layers.
        loss: From outputs and targets, both (batch, num_outputs), to a mean over the targets that
            are not NaN.
    """
    weights, biases = start_layers(
        [examples.inputs.shape[1], *hidden], start, seed=seed, separate=separate
    )
    inputs, targets = to_leaf_tensor(examples.inputs), to_leaf_tensor(examples.targets)
    held_loss = None
    if held is not None:
        held_inputs, held_targets = to_leaf_tensor(held.inputs), to_leaf_tensor(held.targets)

        def held_loss() -> Tensor:
            return loss(run_layers(weights, biases, held_inputs), held_targets)

    reached = minimise(
        [*weights, *biases],
        lambda rows: loss(run_layers(weights, biases, inputs[rows]), targets[rows]),
        num_rows=len(inputs),
        seed=seed,
        held_loss=held_loss,
        settings=adapt_descent(settings, num_rows=len(inputs), validated=held is not None),
    )
    return to_perceptron(weights, biases), reached


def adapt_descent(settings: Descent, *, num_rows: int, validated: bool) -> Descent:
    """The settings for so many rows.

    Smaller batches where there are few, few epochs where no validation rows end them.
    """
    batch_size = max(MIN_BATCH, min(settings.batch_size, num_rows // MIN_BATCH))
    return replace(
        settings,
        batch_size=batch_size,
        max_epochs=settings.max_epochs if validated else UNVALIDATED_EPOCHS,
    )


def run_layers(weights: Sequence[A], biases: Sequence[A], inputs: A) -> A:
    """Outputs of the layers, see `Perceptron.apply`.

    The same code serves training and prediction.
    """
    outputs = inputs
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        outputs = (outputs if i == 0 else outputs.clip(min=0)) @ weight + bias
    return outputs[..., 0].T if weights[-1].ndim == 3 else outputs


def start_layers(
    sizes: Sequence[int], start: FloatArray, *, seed: int, separate: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and biases of untrained layers, leaf tensors in the shapes of `Perceptron`.

    Hidden weights are drawn from He's uniform distribution (He et al., "Delving Deep into
    Rectifiers", 2015). The last layer's weights are zero: training departs from `start`.

    Args:
        sizes: Number of inputs, then of units of each hidden layer.
        start: (num_outputs,) what the untrained layers say.
        seed: Seed of the drawn weights.
        separate: A network of its own for each output.
    """
    generator = torch.Generator().manual_seed(seed)
    copies, num_outputs = ((len(start),), 1) if separate else ((), len(start))
    weights, biases = [], []
    for inputs, outputs in pairwise(sizes):
        bound = np.sqrt(6.0 / inputs)
        weights.append(
            (torch.rand((*copies, inputs, outputs), generator=generator) * 2 - 1) * bound
        )
        biases.append(torch.zeros((*copies, 1, outputs)))
    weights.append(torch.zeros((*copies, sizes[-1], num_outputs)))
    biases.append(to_leaf_tensor(start).reshape((*copies, 1, num_outputs)).clone())
    return [weight.requires_grad_() for weight in weights], [
        bias.requires_grad_() for bias in biases
    ]


def to_perceptron(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Perceptron:
    """The layers as arrays in double precision.

    Then a row's outputs do not depend on the rows beside it.
    """
    arrays = [
        tuple(tensor.detach().numpy().astype(np.float64) for tensor in tensors)
        for tensors in (weights, biases)
    ]
    return Perceptron(arrays[0], arrays[1])


def to_leaf_tensor(values: FloatArray) -> Tensor:
    """The values in single precision, for training."""
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def measure_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over the observed targets.

    `targets` is NaN where nothing was observed, 0 without any.
    """
    known = torch.isfinite(targets)
    if not bool(known.any()):
        return outputs.sum() * 0.0
    return torch.nn.functional.mse_loss(outputs[known], targets[known])


def take_log_odds(probability: FloatArray) -> FloatArray:
    """log(p / (1 - p)) of probabilities inside (0, 1), any shape."""
    return np.asarray(np.log(probability) - np.log1p(-probability), dtype=np.float64)
