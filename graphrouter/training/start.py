"""The network before training: it predicts from start values, and training must beat them.

What the start values are was found on several datasets (experiments/LOG.md); what is fitted to the
data at hand is in closed form, in the graph.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import torch

from graphrouter.config import TrainConfig
from graphrouter.features.channels import EFFECT
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import FeatureSizes, RoutingGNN, compose_network
from graphrouter.nn.readout import PairPredictions
from graphrouter.training.effect_scores import log_loss_of_pairs
from graphrouter.training.episode_losses import Labels
from graphrouter.training.episodes import support_graph
from graphrouter.training.prepare import TrainingTables
from graphrouter.types import FloatArray, IntArray

FEWEST_QUERIES = 50
"""With fewer validation queries training must surely help; with more it need not do harm."""


class ValidationScores(NamedTuple):
    """What a network says of the validation queries. B queries, M models, C channels."""

    named: PairPredictions
    """With the tasks that the queries have."""
    hidden: PairPredictions
    """With their tasks hidden."""
    labels: FloatArray
    """(C, B, M) standardised outcomes, NaN = not observed."""
    task: IntArray
    """(B,) position of the task, -1 = unknown."""

    def measure_losses(self) -> FloatArray:
        """(B,) what each query adds to the log loss, a mean over pairs and settings."""
        observed = self.labels[EFFECT]
        losses = [
            log_loss_of_pairs(torch.sigmoid(scored.location[EFFECT]).double().numpy(), observed)
            for scored in (self.named, self.hidden)
        ]
        of_query: FloatArray = np.nansum(losses, axis=(0, 2))
        return np.asarray(of_query / (2 * max(np.isfinite(observed).sum(), 1)))


def build_network(tables: TrainingTables, config: TrainConfig) -> RoutingGNN:
    """An untrained network for the tables, weights drawn from `config.seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return compose_network(
            config.network, measure_features(tables), tables.transforms.channels.scale.tolist()
        )


def measure_features(tables: TrainingTables) -> FeatureSizes:
    """Widths of the node features of the tables."""
    nodes = tables.nodes
    return FeatureSizes(
        nodes.query_principal.shape[1], nodes.model_text.shape[1], nodes.model_card.shape[1]
    )


def score_validation(
    net: RoutingGNN, tables: TrainingTables, config: TrainConfig
) -> ValidationScores:
    """What a network on CPU says of the validation queries by all training outcomes."""
    with cpu_threads(1), torch.inference_mode():
        graph = support_graph(tables, config)
        state, targets = net.encode_support(graph), graph.targets
        unknown = dataclasses.replace(targets, task=torch.full_like(targets.task, -1))
        named, hidden = (net.score_in_parts(state, asked) for asked in (targets, unknown))
    labels = Labels.of(graph).channels.double().numpy()
    return ValidationScores(named, hidden, labels, targets.task.numpy())


def beats_start(trained: ValidationScores, start: ValidationScores) -> bool:
    """Whether training has lowered the validation log loss.

    Of few queries it must do so by more than its standard error: the one-standard-error rule
    (Breiman et al., 1984, section 3.4.3) on paired differences of queries, whose outcomes come
    together. Training a little hardly ever does harm where there is much to learn from.
    """
    gain = start.measure_losses() - trained.measure_losses()
    error = math.sqrt(len(gain)) * gain.std() if len(gain) < FEWEST_QUERIES else 0.0
    return bool(gain.sum() > error)
