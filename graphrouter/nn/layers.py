"""Small pieces that the parts of the network share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphrouter import forks
from graphrouter.exceptions import TrainingError
from graphrouter.features.channels import EFFECT, NUM_CHANNELS

LARGE_POOL = 128
"""With more models no matrix of all of them is decomposed, and no table of queries by models is
made: what concerns all models together is solved through some of them, or by iteration."""


class PositiveParameter(nn.Module):
    """A learned tensor that stays above zero: prior masses, sharpness, scales.

    Example:
        >>> PositiveParameter(1.0)().item()
        1.0
    """

    structural: ClassVar[tuple[str, ...]] = ("log",)

    def __init__(self, initial: Tensor | float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.as_tensor(initial, dtype=torch.float32).log())

    def forward(self) -> Tensor:
        """The tensor, shape of its initial value, > 0."""
        positive: Tensor = self.log.exp()
        return positive


class FeatureEncoder(nn.Module):
    """Brings the features of a node type to the common width."""

    def __init__(self, num_features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Dropout(dropout), nn.Linear(num_features, width))
        self.mix = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, *features: Tensor) -> Tensor:
        """States of nodes: (num_nodes, width).

        Args:
            features: tensors (num_nodes, n) of about unit variance whose widths add up to
                `num_features`.
        """
        hidden = self.linear(torch.cat(features, dim=1))
        state: Tensor = self.norm(hidden + self.mix(hidden))
        return state


def list_structural(net: nn.Module) -> frozenset[str]:
    """Names of the parameters of a network that its modules declare to be structural.

    Structural are the few numbers that govern the closed-form parts: prior masses, kernels,
    mixtures, scales. They learn faster than weights and do not decay (see
    `training.lightning_module`). A
    module names those among its own parameters in a class attribute `structural`; what no module
    names counts as a weight.

    Raises:
        AttributeError: A module names a parameter that it does not have.

    Example:
        >>> sorted(list_structural(nn.ModuleDict({"mass": PositiveParameter(1.0)})))
        ['mass.log']
    """
    names = set()
    for path, module in net.named_modules():
        for name in getattr(type(module), "structural", ()):
            module.get_parameter(name)  # a name that is not there would silently be a weight
            names.add(f"{path}.{name}" if path else name)
    return frozenset(names)


def make_zero_linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer that starts at zero, and adds nothing until training finds a use for it."""
    layer = nn.Linear(in_features, out_features)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def channel_mean(logit: Tensor) -> Tensor:
    """Expected value of each channel.

    A probability for the effect, the argument itself for the logarithmic channels.

    Args:
        logit: (NUM_CHANNELS, ...).
    """
    return torch.cat([torch.sigmoid(logit[EFFECT : EFFECT + 1]), logit[EFFECT + 1 :]])


def channel_curvature(mean: Tensor) -> Tensor:
    """Fisher information of one outcome in each channel.

    p (1 - p) for the effect, 1 for the standardised logarithms: what a Bernoulli logit and the mean
    of a normal distribution of variance 1 have.

    Args:
        mean: (NUM_CHANNELS, ...) from `channel_mean`.
    """
    probability = mean[EFFECT : EFFECT + 1]
    return torch.cat([probability * (1 - probability), torch.ones_like(mean[EFFECT + 1 :])])


def sum_segments(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sums of edge values by segment: (channels, size).

    Channels come first because summing along the last axis is four times faster on CPU.

    Args:
        values: (channels, num_edges).
        index: (num_edges,) int64 in [0, size).
        size: Number of segments.
    """
    return values.new_zeros(values.shape[0], size).index_add(1, index, values)


def is_large_pool(num_models: int) -> bool:
    """Whether a pool of so many models is computed by what was observed; see `LARGE_POOL`.

    Example:
        >>> is_large_pool(57), is_large_pool(1000)
        (False, True)
    """
    return num_models > LARGE_POOL


def masses(effect: float | Sequence[float], others: float) -> Tensor:
    """Initial prior masses by channel: (NUM_CHANNELS, n) for n values of the effect."""
    row = torch.as_tensor(
        [effect] if isinstance(effect, float) else list(effect), dtype=torch.float32
    )
    return torch.stack([row, *[torch.full_like(row, others)] * (NUM_CHANNELS - 1)])


def scale_to_unit_variance(text: Tensor) -> Tensor:
    """Unit vectors (n, dimension) scaled so that their components have about unit variance.

    Zero rows stay zero.
    """
    return text * math.sqrt(text.shape[1])


def normalise(vectors: Tensor) -> Tensor:
    """Rows of length 1: same shape."""
    return F.normalize(vectors, dim=-1, eps=1e-6)


def factorise(matrix: Tensor, what: str) -> Tensor:
    """Lower Cholesky factors of positive definite matrices (..., n, n).

    Args:
        matrix: In double precision.
        what: The part of the network that asks, for the message.

    Raises:
        TrainingError: A matrix is not positive definite, or holds numbers that are not finite.
    """
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed.any():
        raise _explain_failure(matrix, what)
    return factor


def decompose(matrix: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., n), ascending, and eigenvectors (..., n, n); as `factorise`."""
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise _explain_failure(matrix, what) from error
    return values, vectors


def _explain_failure(matrix: Tensor, what: str) -> TrainingError:
    """Which part failed, on what: a message of its own for numbers that are not finite."""
    shape, off = " x ".join(map(str, matrix.shape)), int((~matrix.isfinite()).sum())
    held = f"{off} of its numbers are not finite" if off else "all of its numbers are finite"
    return TrainingError(
        f"The network cannot compute {what}: a matrix of {shape} (channels first) has no "
        f"decomposition, {held}."
    )


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Run torch on `count` CPU threads, then on as many as before.

    The tensors of one query or one episode are small. One thread loses little on an idle machine;
    several wait for each other at every operation, which on a busy machine costs a factor of five
    in training and of fifty for a single query. It also keeps sums in one order, whatever the
    number of cores. A forked process stays on the one thread that it has.
    """
    if forks.threads_are_lost:
        count = 1
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
