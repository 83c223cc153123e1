"""The network before training: it predicts from start values, and training must beat them.

What the start values are was found on several datasets (experiments/LOG.md); what is fitted to the
data at hand is in closed form, in the graph.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphrouter.config import TrainConfig
from graphrouter.features.channels import EFFECT
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import NodeTable
from graphrouter.graph.routing_graph import RoutingGraph, build_graph
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import RoutingGNN, compose_network
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.scorer import FeatureSizes
from graphrouter.training.effect_scores import log_loss_of_pairs
from graphrouter.training.episode_losses import Labels
from graphrouter.training.episodes import (
    MOST_PAIRS,
    MOST_SUPPORT,
    draw_queries,
    select_edges,
    support_graph,
)
from graphrouter.training.prepare import TrainingTables
from graphrouter.types import FloatArray, IntArray

FEWEST_QUERIES = 50
"""With fewer validation queries training must surely help; with more it need not do harm. With
fewer training queries none is scored crosswise."""
MOST_CROSSED = 2048
"""So many training queries say how well calibrated a network is; more would say it no better."""


class Solved(NamedTuple):
    """Queries and outcomes that a network may score crosswise."""

    nodes: NodeTable
    outcomes: RecordedEdges
    queries: Tensor
    """(S,) int64 positions in the node table."""
    prompt_group: Tensor
    """(num_queries,) int64 for every query of the node table, equal for those of one prompt."""

    @classmethod
    def of(cls, tables: TrainingTables) -> Solved:
        """The training queries."""
        return cls(tables.nodes, tables.train, tables.train_queries, tables.prompt_group)


class HeldEffects(NamedTuple):
    """What a network says of the effects of held queries in one setting, and what came out.

    B queries, M models.
    """

    logit: FloatArray
    """(B, M) effect logit."""
    observed: FloatArray
    """(B, M) effect in [0, 1], NaN where not observed."""
    task: IntArray
    """(B,) position of the task, -1 = unknown."""

    @classmethod
    def join(cls, parts: Sequence[HeldEffects]) -> HeldEffects:
        """The queries of all parts, one part after the other."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def take(self, rows: IntArray) -> HeldEffects:
        """Some of the queries."""
        return HeldEffects(self.logit[rows], self.observed[rows], self.task[rows])

    @property
    def is_observed(self) -> IntArray:
        """(n,) positions of the queries with an outcome."""
        return np.flatnonzero(np.isfinite(self.observed).any(axis=1))


class HeldScores(NamedTuple):
    """What a network says of queries whose outcomes it does not see.

    B queries, M models, C channels.
    """

    named: PairPredictions
    """With the tasks that the queries have."""
    hidden: PairPredictions
    """With their tasks hidden."""
    labels: FloatArray
    """(C, B, M) standardised outcomes, NaN = not observed."""
    task: IntArray
    """(B,) position of the task, -1 = unknown."""
    num_chars: FloatArray
    """(B, NUM_KINDS) characters of the prompts by kind."""

    @classmethod
    def join(cls, parts: Sequence[HeldScores]) -> HeldScores:
        """The queries of all parts, one part after the other."""
        named, hidden, labels, task, num_chars = zip(*parts, strict=True)
        return cls(
            _join_scores(named),
            _join_scores(hidden),
            np.concatenate(labels, axis=1),
            np.concatenate(task),
            np.concatenate(num_chars),
        )

    @property
    def effects(self) -> tuple[HeldEffects, HeldEffects]:
        """The effects, with the tasks that the queries have and with their tasks hidden."""
        named, hidden = (
            HeldEffects(scored.location[EFFECT].double().numpy(), self.labels[EFFECT], task)
            for scored, task in (
                (self.named, self.task),
                (self.hidden, np.full_like(self.task, -1)),
            )
        )
        return named, hidden

    def with_share(self, share: float) -> HeldScores:
        """What it says where only so much of the deviations is believed."""
        return self._replace(named=_believe(self.named, share), hidden=_believe(self.hidden, share))

    def measure_losses(self) -> FloatArray:
        """(B,) log loss of each query, summed over its outcomes, a mean of both settings."""
        from scipy.special import expit  # a tenth of a second, which no serving router pays

        losses = [
            log_loss_of_pairs(expit(setting.logit), setting.observed) for setting in self.effects
        ]
        return np.asarray(np.nansum(losses, axis=(0, 2)) / 2)


def _join_scores(parts: Sequence[PairPredictions]) -> PairPredictions:
    """What was said of the queries of all parts, which share their models and tasks."""
    location, log_scale, *of_queries = zip(*parts, strict=True)
    return PairPredictions(
        torch.cat(location, dim=1), torch.cat(log_scale, dim=1), *map(torch.cat, of_queries)
    )


def _believe(scored: PairPredictions, share: float) -> PairPredictions:
    location, lost = scored.location.clone(), (1 - share) * scored.deviation
    location[EFFECT] -= lost
    return scored._replace(location=location, deviation=scored.deviation - lost)


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
    num_card = tables.raw.cards.shape[1]
    return FeatureSizes(nodes.query_principal.shape[1], nodes.model_text.shape[1], 2 * num_card)


def score_validation(net: RoutingGNN, tables: TrainingTables, config: TrainConfig) -> HeldScores:
    """What a network on CPU says of the validation queries by all training outcomes."""
    return _score(net, support_graph(tables, config))


def score_crosswise(net: RoutingGNN, solved: Solved, config: TrainConfig) -> list[HeldScores]:
    """What a network on CPU says of solved queries, each half by the outcomes of the other.

    Two-fold cross-fitting: no query is scored by its own outcomes, nor by those of a copy of its
    prompt. At most `MOST_CROSSED` queries are scored, drawn by `config.seed`; none where there are
    fewer than `FEWEST_QUERIES`, whose halves say little.
    """
    nodes, queries = solved.nodes, solved.queries
    if len(queries) < FEWEST_QUERIES:
        return []
    rng = np.random.default_rng(config.seed)
    group = solved.prompt_group[queries].numpy()
    half = torch.from_numpy(rng.permutation(group.max() + 1)[group] % 2)
    most = min(MOST_CROSSED, max(1, MOST_PAIRS // len(nodes.model_text)))
    is_scored = torch.from_numpy(rng.permutation(len(queries)) < most)
    halves = []
    for side in (0, 1):
        support = draw_queries(queries[half != side], MOST_SUPPORT, config.seed)
        targets = queries[(half == side) & is_scored]
        if len(support) and len(targets):
            graph = build_graph(
                nodes,
                support=select_edges(solved.outcomes, support, nodes),
                support_queries=support,
                target_queries=targets,
                target_tasks=nodes.query_task[targets],
                num_neighbours=config.graph.num_neighbours,
                labels=select_edges(solved.outcomes, targets, nodes),
            )
            halves.append(_score(net, graph))
    return halves


def _score(net: RoutingGNN, graph: RoutingGraph) -> HeldScores:
    """What a network on CPU says of the targets of a graph, with their tasks and without."""
    with cpu_threads(1), torch.inference_mode():
        state, targets = net.encode_support(graph), graph.targets
        unknown = dataclasses.replace(targets, task=torch.full_like(targets.task, -1))
        named, hidden = (net.score_in_parts(state, asked) for asked in (targets, unknown))
    labels = Labels.of(graph).channels.double().numpy()
    num_chars = targets.num_chars.double().numpy()
    return HeldScores(named, hidden, labels, targets.task.numpy(), num_chars)


def beats_start(trained: HeldScores, start: HeldScores) -> bool:
    """Whether training has lowered the validation log loss.

    Of few queries it must do so by more than its standard error: the one-standard-error rule
    (Breiman et al., 1984, section 3.4.3) on paired differences of queries, whose outcomes come
    together; one query has none, and says nothing. Training a little hardly ever does harm where
    there is much to learn from.
    """
    gain = start.measure_losses() - trained.measure_losses()
    if len(gain) >= FEWEST_QUERIES:
        return bool(gain.sum() > 0)
    return len(gain) > 1 and bool(gain.sum() > math.sqrt(len(gain)) * gain.std(ddof=1))
