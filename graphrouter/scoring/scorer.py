"""What serves of a network: its parts that read targets, of its weights, on arrays of NumPy.

Which part stands where follows from the settings, as in `nn.network.compose_parts`; what the parts
compute stands once, in the other modules of this package. Layers of dropout are left away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from graphrouter.config import NetworkConfig, Part
from graphrouter.scoring.beliefs import BeliefWeights, believe, discriminate
from graphrouter.scoring.numpy_operations import average, gelu, multiply_rows, normalise
from graphrouter.scoring.pair_scores import (
    PairPredictions,
    read_pairs,
    score_pairs,
    tell_amounts,
)
from graphrouter.scoring.paths import PathMessages, PathWeights, attend
from graphrouter.scoring.state import SupportState, Targets
from graphrouter.types import FloatArray, IntArray

_NORM_FLOOR = 1e-5


class FeatureSizes(NamedTuple):
    """Widths of the node features that a network was built for."""

    principal: int
    text: int
    card: int
    """Of the numbers of every card and their missing marks, without fields of the users' own."""


class Scorer:
    """Scores targets as the network of these weights does, in double precision.

    Raises:
        KeyError: A weight is lacking.
    """

    def __init__(self, weights: Mapping[str, np.ndarray[Any, Any]], config: NetworkConfig) -> None:
        """A scorer of the network that the settings make.

        Args:
            weights: Of the network, by the names of its parameters.
            config: Its settings.
        """
        self._made_of = weights, config
        read = _Weights(weights)
        left_out: set[Part] = set(config.leave_out)
        self.query_encoder = read.encoder("query_encoder")
        self.task_to_query = read.linear("task_to_query")
        self.text_easiness = _no_easiness
        if "text_easiness" not in left_out:
            self.text_easiness = partial(_promise_easiness, read["text_easiness.scale"])
        self.task_attention = partial(_believe, *_find_belief(read, left_out))
        self.path_attention, self._metric = _hear_nobody, None
        if "similar_queries" not in left_out:
            hears_residuals = "similar_residuals" not in left_out
            weights_of_paths, self._metric = _find_paths(read)
            self.path_attention = partial(_attend, weights_of_paths, self._metric, hears_residuals)
        self.readout = partial(
            read_pairs,
            read["readout.profile_scale"],
            _no_doubt if "doubt" in left_out else _Doubt(read),
            _correct_nothing if "perceptron" in left_out else _find_perceptron(read),
        )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Made anew where it is unpickled, as in another process: its layers are functions."""
        return type(self), self._made_of

    def find_keys(self, principal: FloatArray) -> FloatArray:
        """Keys of support queries, as `SupportState.key`: (n, W); zeros where nobody is heard.

        Args:
            principal: (n, P) their coordinates.
        """
        query = self.query_encoder(principal)
        return np.zeros_like(query) if self._metric is None else _place(query, self._metric)

    def score(self, state: SupportState, targets: Targets) -> PairPredictions:
        """Predictions for all pairs of the targets and the models of the state.

        Targets do not influence one another.

        Args:
            state: Of the support, as arrays of NumPy in double precision.
            targets: Queries to score, likewise.
        """
        return score_pairs(self, state, targets)


Layer = Callable[[FloatArray], FloatArray]


class _Weights:
    """Weights by name, in double precision."""

    def __init__(self, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._weights = weights

    def __getitem__(self, name: str) -> FloatArray:
        return np.asarray(self._weights[name], dtype=np.float64)

    def positive(self, name: str) -> FloatArray:
        """A tensor that stays above zero."""
        return np.exp(self[f"{name}.log"])

    def linear(self, name: str) -> Layer:
        """A linear layer with its bias."""
        weight, bias = np.ascontiguousarray(self[f"{name}.weight"].T), self[f"{name}.bias"]

        def apply(values: FloatArray) -> FloatArray:
            product = multiply_rows(values, weight) if values.ndim == 2 else values @ weight
            return product + bias

        return apply

    def encoder(self, name: str) -> Layer:
        """What `nn.layers.FeatureEncoder` is."""
        linear, mix = self.linear(f"{name}.linear.1"), self.linear(f"{name}.mix.2")
        scale, bias = self[f"{name}.norm.weight"], self[f"{name}.norm.bias"]

        def encode(features: FloatArray) -> FloatArray:
            hidden = linear(features)
            hidden = hidden + mix(gelu(hidden))
            off = hidden - average(hidden, 1)[:, None]
            deviation = np.sqrt(average(off * off, 1)[:, None] + _NORM_FLOOR)
            state: FloatArray = off / deviation * scale + bias
            return state

        return encode


def _promise_easiness(scale: FloatArray, slope: FloatArray, principal: FloatArray) -> FloatArray:
    return scale * multiply_rows(principal, slope.T).T


def _no_easiness(slope: FloatArray, principal: FloatArray) -> FloatArray:
    return np.zeros((len(slope), len(principal)))


def _find_belief(read: _Weights, left_out: set[Part]) -> tuple[BeliefWeights, Callable[..., Any]]:
    """What is learned of beliefs, and what weighs the evidence."""
    names = BeliefWeights._fields
    weights = BeliefWeights(*(read.positive(f"task_attention.{name}") for name in names))
    if "task_discriminant" not in left_out:
        return weights, lambda state, query, principal, votes: discriminate(state, principal, votes)
    ask, vote = read.linear("task_attention.query"), read["task_attention.vote"]
    by_prototype, by_description = (
        read.positive(f"task_attention.{name}_scale") for name in ("prototype", "description")
    )

    def weigh(
        state: SupportState, query: FloatArray, principal: FloatArray, votes: FloatArray
    ) -> FloatArray:
        asked = normalise(ask(query))
        likeness = by_prototype * multiply_rows(asked, normalise(ask(state.prototype)).T)
        by_text = by_description * multiply_rows(asked, normalise(state.task).T)
        return likeness + by_text + vote * votes

    return weights, weigh


def _believe(
    weights: BeliefWeights,
    weigh: Callable[..., FloatArray],
    state: SupportState,
    query: FloatArray,
    targets: Targets,
) -> tuple[FloatArray, FloatArray]:
    return believe(weights, state, targets, partial(weigh, state, query, targets.principal))


def _find_paths(read: _Weights) -> tuple[PathWeights, FloatArray]:
    """What is learned of path attention, and the metric."""
    at = "path_attention."
    weights = PathWeights(
        sharpness=read.positive(f"{at}sharpness"),
        metric_scale=read[f"{at}metric_scale"],
        same_task=read[f"{at}same_task"],
        path_mass=read.positive(f"{at}path_mass"),
        path_mix=read[f"{at}path_mix"],
        surprise_mass=read.positive(f"{at}surprise_mass"),
        surprise_mix=read[f"{at}surprise_mix"],
    )
    return weights, np.ascontiguousarray(read[f"{at}metric.weight"].T)


def _attend(
    weights: PathWeights,
    metric: FloatArray,
    hears_residuals: bool,
    state: SupportState,
    query: FloatArray,
    targets: Targets,
    task_share: FloatArray,
    models: IntArray | None = None,
) -> PathMessages:
    paths = attend(weights, state, _place(query, metric), targets, task_share)
    return paths if hears_residuals else paths._replace(residual=np.zeros_like(paths.residual))


def _place(query: FloatArray, metric: FloatArray) -> FloatArray:
    """Unit vectors of queries (n, W) in the learned metric."""
    return normalise(multiply_rows(query, metric))


def _hear_nobody(
    state: SupportState,
    query: FloatArray,
    targets: Targets,
    task_share: FloatArray,
    models: IntArray | None = None,
) -> PathMessages:
    return PathMessages.without_neighbours(state, len(query), len(state.model))


class _Doubt:
    """What `nn.readout.Doubt` is."""

    def __init__(self, read: _Weights) -> None:
        self._scale = read.positive("readout.doubt.scale")
        self._by_query = read.linear("readout.doubt.by_query")

    def __call__(self, spread: FloatArray, target: FloatArray) -> FloatArray:
        found: FloatArray = spread * self._scale * np.exp(self._by_query(target)[:, 0])
        return found


def _no_doubt(spread: FloatArray, target: FloatArray) -> FloatArray:
    return np.zeros_like(spread)


def _find_perceptron(read: _Weights) -> Callable[..., FloatArray | None]:
    """The perceptron; one that was not trained, or not for the better, says nothing."""
    at = "readout.perceptron."
    if not read[f"{at}out.weight"].any() and not read[f"{at}out.bias"].any():
        return _correct_nothing
    return _Perceptron(read, at)


class _Perceptron:
    """What `nn.readout.AmountPerceptron` is."""

    def __init__(self, read: _Weights, at: str) -> None:
        self._from_query = read.linear(f"{at}from_query")
        self._from_model, self._from_product, self._from_terms = (
            np.ascontiguousarray(read[f"{at}{name}.weight"].T)
            for name in ("from_model", "from_product", "from_terms")
        )
        self._hidden, self._out = read.linear(f"{at}hidden.2"), read.linear(f"{at}out")

    def __call__(
        self,
        state: SupportState,
        target: FloatArray,
        additive: FloatArray,
        match: FloatArray,
        paths: PathMessages,
        task_share: FloatArray,
        models: IntArray | None = None,
    ) -> FloatArray:
        told = tell_amounts(state, additive, match, paths, task_share)
        hidden = (target[:, None] * state.model) @ self._from_product + told @ self._from_terms
        hidden += self._from_query(target)[:, None] + state.model @ self._from_model
        return self._out(gelu(self._hidden(gelu(hidden)))).transpose(2, 0, 1)


def _correct_nothing(
    state: SupportState,
    target: FloatArray,
    additive: FloatArray,
    match: FloatArray,
    paths: PathMessages,
    task_share: FloatArray,
    models: IntArray | None = None,
) -> None:
    return None
