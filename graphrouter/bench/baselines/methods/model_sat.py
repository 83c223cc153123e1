"""Model-SAT: a model is its accuracies on probes.

A network tells from them and the prompt whether it will succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar

import numpy as np
from torch import Tensor

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions, find_positions
from graphrouter.bench.baselines.methods.perceptron import (
    Perceptron,
    adapt_descent,
    run_layers,
    start_layers,
    take_log_odds,
    to_leaf_tensor,
    to_perceptron,
)
from graphrouter.bench.baselines.methods.regressors import take_held_examples
from graphrouter.bench.baselines.tools.clusters import average_by_group, find_nearest_centre
from graphrouter.bench.baselines.tools.gradient import Descent, cross_entropy, minimise
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import place_in_cells
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.types import FloatArray, IntArray

A = TypeVar("A", FloatArray, Tensor)
NUM_CLUSTERS = 20
"""Probes where the training queries name fewer than two tasks."""
HIDDEN = (64, 32)
DESCENT = Descent(patience=3)


@dataclass(frozen=True, eq=False)
class ModelSAT(TextBaseline):
    """Success from a model's accuracies over probes and the query's embedding, by a perceptron.

    Probes are the training tasks, or clusters of the training queries where there are fewer than
    two tasks. The network knows a model by its accuracies alone: a newcomer needs no more than
    those. It corrects the log odds of the model's mean accuracy. The original writes the accuracies
    on 50 core tasks out in words and has a small language model read them beside the query; here
    they are numbers, measured on the training rows, and the query is a fixed text embedding.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> from graphrouter.types import Queries
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = ModelSAT.fit(data, encoder=HashingEncoder(64))
        >>> asked = Questions.of(Queries.of(["Add 2 and 2.", "Hello."]), router.encoder)
        >>> newcomer = router.capability.mean(axis=0, keepdims=True)
        >>> router.success(asked, newcomer).shape
        (2, 1)
    """

    name: ClassVar[str] = "model_sat"
    source: ClassVar[str] = (
        "Capability Instruction Tuning: A New Paradigm for Dynamic LLM Routing (arXiv "
        "2502.17282), Model-SAT"
    )
    can_extend: ClassVar[bool] = True

    capability: FloatArray
    """(num_models, num_probes) mean effect of each model on each probe, in (0, 1)."""
    tasks: tuple[str, ...]
    """The task that each probe is; empty where probes are clusters."""
    centres: FloatArray
    """(num_probes, dimension) centre of the cluster that each probe is; no rows where probes are
    tasks."""
    share: FloatArray
    """(num_probes,) share of the training queries."""
    centre: FloatArray
    """(num_probes,) mean capability of the training models."""
    spread: float
    """Standard deviation of the capabilities around the centre."""
    net: Perceptron
    """From an embedding and the scaled capabilities, side by side, to what the log odds of the mean
    are off by."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        It is that of the epoch with the lowest log loss on the validation rows.
        """
        probe, tasks, centres = _probes(data)
        num_probes = len(tasks) or len(centres)
        means = average_by_group(
            data.outcomes.effect, probe, data.means.effect[0], num_groups=num_probes
        )
        capability = np.ascontiguousarray(
            means.T
        )  # laid out as it will be when loaded: sums are then the same to the last bit
        share = np.bincount(probe[probe >= 0], minlength=num_probes) / max(
            1, int((probe >= 0).sum())
        )
        centre = capability.mean(axis=0)
        spread = max(float((capability - centre).std()), 1e-3)
        net = _train(data, (capability - centre) / spread, take_log_odds(capability @ share))
        common = (data.pool, data.cost_scale, data.encoder, data.amounts)
        return cls(*common, capability, tasks, centres, share, centre, spread, net)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.success(questions, self.capability)

    def success(self, questions: Questions, capability: FloatArray) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1).

        Of models known by their capabilities alone.

        Args:
            questions: The queries.
            capability: (num_models, num_probes) mean effect on each probe, inside (0, 1); see the
                field of this name.
        """
        scaled = (capability - self.centre) / self.spread
        residual = run_pairs(self.net.weights, self.net.biases, questions.vectors, scaled)
        return sigmoid(take_log_odds(capability @ self.share) + residual)

    def _extend(self, new: NewModels) -> Self:
        """The newcomers' accuracies on the probes; the network stays.

        They are shrunk to the pool's there, moved by the model's offset.
        """
        questions = Questions.of(new.queries, self.encoder)
        mean = self.capability.mean(axis=0)
        # One more cell for queries on no probe: they tell how able the model is, and nothing about
        # any probe.
        profile = np.append(mean, mean @ self.share)
        probe = _probe_of(questions, self.tasks, self.centres)
        capability = place_in_cells(profile, np.where(probe < 0, len(mean), probe), new.effect)[:-1]
        return replace(
            self._join_pool(new, questions), capability=np.vstack([self.capability, capability.T])
        )


def run_pairs(weights: Sequence[A], biases: Sequence[A], vectors: A, capability: A) -> A:
    """Output of the layers for every (query, model) pair, (num_queries, num_models).

    The first layer is applied to queries and to models apart and then added: that is the layer on
    both side by side.
    """
    dimension = vectors.shape[1]
    of_query, of_model = vectors @ weights[0][:dimension], capability @ weights[0][dimension:]
    hidden = (of_query[:, None] + of_model[None, :] + biases[0]).clip(min=0)
    return run_layers(weights[1:], biases[1:], hidden)[..., 0]


def _probes(data: LearningData) -> tuple[IntArray, tuple[str, ...], FloatArray]:
    """Number of each training query's probe, (num_train,), -1 = none, and what the probes are.

    They are tasks, or the centres of clusters.
    """
    tasks, _ = data.tasks
    by_task = len(tasks) >= 2
    centres = (
        np.empty((0, data.questions.vectors.shape[1]))
        if by_task
        else data.find_centres(NUM_CLUSTERS)
    )
    names = tasks if by_task else ()
    return _probe_of(data.questions, names, centres), names, centres


def _probe_of(questions: Questions, tasks: tuple[str, ...], centres: FloatArray) -> IntArray:
    """Number of each query's probe, (num_queries,).

    -1 for a query of no known task where probes are tasks.
    """
    return (
        find_positions(tasks, questions.tasks)
        if tasks
        else find_nearest_centre(questions.vectors, centres)
    )


def _train(data: LearningData, capability: FloatArray, base: FloatArray) -> Perceptron:
    """The network that the training rows make.

    Args:
        data: What to learn from.
        capability: (num_models, num_probes), scaled.
        base: (num_models,) log odds of each model's mean accuracy.
    """
    sizes = [data.questions.vectors.shape[1] + capability.shape[1], *HIDDEN]
    weights, biases = start_layers(sizes, np.zeros(1), seed=data.seed)
    models, start = to_leaf_tensor(capability), to_leaf_tensor(base)
    vectors, effect = to_leaf_tensor(data.questions.vectors), to_leaf_tensor(data.outcomes.effect)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(start + run_pairs(weights, biases, inputs, models), targets)

    held_loss = None
    held = take_held_examples(data)
    if held is not None:
        held_vectors, held_effect = to_leaf_tensor(held.inputs), to_leaf_tensor(held.targets)

        def held_loss() -> Tensor:
            return loss(held_vectors, held_effect)

    minimise(
        [*weights, *biases],
        lambda rows: loss(vectors[rows], effect[rows]),
        num_rows=len(vectors),
        seed=data.seed,
        held_loss=held_loss,
        settings=adapt_descent(DESCENT, num_rows=len(vectors), validated=held is not None),
    )
    return to_perceptron(weights, biases)
