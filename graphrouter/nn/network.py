"""The routing network: encodes a support once, then scores any number of target queries against
every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphrouter.config import NetworkConfig, Part
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.graph.builder import ANSWERED_BY, QUERY_IN_TASK, SIMILAR_TO
from graphrouter.nn.attention import Neighbourhood, PathAttention, PathMessages, TaskAttention
from graphrouter.nn.layers import (
    FeatureEncoder,
    PositiveParameter,
    masses,
    segment_sum,
    unit_variance,
    zero_linear,
)
from graphrouter.nn.population import card_likeness
from graphrouter.nn.rasch import BaseState, RaschBase, SupportEdges
from graphrouter.nn.readout import PairPredictions, PairReadout
from graphrouter.nn.state import SupportMessages, SupportState, dense_rows, support_messages

_ROWS_AT_ONCE = 2048


class FeatureSizes(NamedTuple):
    """Widths of the node features that a network was built for."""

    principal: int
    text: int
    card: int


class Targets(NamedTuple):
    """Queries to score. B targets, K neighbours."""

    principal: Tensor
    """(B, P) text and surface features in decorrelated coordinates."""
    task: Tensor
    """(B,) int64, -1 = unknown."""
    neighbours: Neighbourhood

    def split(self, size: int) -> list[Targets]:
        """The same targets in parts of at most `size`."""
        parts = (torch.split(part, size) for part in (self.principal, self.task, *self.neighbours))
        return [
            Targets(principal, task, Neighbourhood(query, cosine))
            for principal, task, query, cosine in zip(*parts, strict=True)
        ]


class RoutingGNN(nn.Module):
    """Predicts effect, tokens (hence cost) and latency of query-model pairs from a heterogeneous graph.

    Effect logit = ability(model) + easiness(query) + skill(task, model) + path residual + profile
    match, softened by the doubt about the easiness. The logarithms of amounts are such sums too,
    corrected by a perceptron that starts at zero. Nothing is tied to a particular model, task or
    query: all are features and observed outcomes, so that newcomers need no training.
    """

    def __init__(
        self,
        config: NetworkConfig,
        sizes: FeatureSizes,
        channel_scale: Sequence[float] = (1.0,) * NUM_CHANNELS,
    ) -> None:
        """A network with random weights.

        Args:
            config: Its settings.
            sizes: Widths of the node features.
            channel_scale: (C,) natural logarithms a unit of each channel.
        """
        super().__init__()
        self.sizes = sizes
        self.left_out: frozenset[Part] = frozenset(config.leave_out)
        width = config.width
        self.query_encoder = FeatureEncoder(sizes.principal, width, config.dropout)
        self.model_encoder = FeatureEncoder(sizes.text + sizes.card + 1, width, config.dropout)
        self.task_encoder = FeatureEncoder(sizes.text + 1, width, config.dropout)
        self.base = RaschBase(
            config.base_rounds, channel_scale, has_slopes="query_slopes" not in self.left_out
        )
        self.profile_mass = PositiveParameter(masses(1000.0, 1000.0).unsqueeze(-1))
        self.slope_mass = PositiveParameter(masses(300.0, 300.0))
        self.slope_scale = nn.Parameter(torch.full((NUM_CHANNELS, 1), 0.6))
        self.profile_to_model = zero_linear(sizes.principal, width)
        self.task_to_query = nn.Linear(2 * width, width)
        self.task_attention = TaskAttention(width)
        self.path_attention = PathAttention(NUM_CHANNELS, width, config.num_heads)
        self.readout = PairReadout(width, config.hidden, config.dropout, left_out=self.left_out)

    def forward(self, data: HeteroData) -> PairPredictions:
        """Predictions for all pairs of the graph's target queries and models.

        Args:
            data: A graph from `build_graph`.
        """
        return self.score(self.encode_support(data), targets_of(data))

    def score_in_parts(
        self, state: SupportState, targets: Targets, size: int = 256
    ) -> PairPredictions:
        """As `score`, with the memory of `size` targets at a time: for validation, where no
        gradients are kept.
        """
        parts = [self.score(state, part) for part in targets.split(size)]
        return PairPredictions(
            torch.cat([part.location for part in parts], dim=1),
            torch.cat([part.log_scale for part in parts], dim=1),
            torch.cat([part.log_task for part in parts]),
        )

    def encode_support(self, data: HeteroData) -> SupportState:
        """Everything that does not depend on the targets; computed once and kept at prediction.

        Args:
            data: A graph from `build_graph`; its target queries are ignored.
        """
        num_support = int(data["query"].is_support.sum())
        num_models, num_tasks = data["model"].num_nodes, data["task"].num_nodes
        text, principal = data["query"].x[:num_support], data["query"].principal[:num_support]
        query = self.query_encoder(principal)
        model = self.model_encoder(
            unit_variance(data["model"].x), data["model"].card, _is_absent(data["model"].x)
        )
        task = self.task_encoder(unit_variance(data["task"].x), _is_absent(data["task"].x))
        known_task = _tasks(data)[:num_support]
        task_of_query = torch.where(known_task < 0, num_tasks, known_task)

        edges = _support_edges(data)
        is_known = torch.bincount(edges.model, minlength=num_models) > 0
        likeness = card_likeness(data["model"].x, data["model"].card, is_known)
        if "cards" in self.left_out:
            likeness = torch.eye(num_models, dtype=likeness.dtype, device=likeness.device)
        base = self.base(edges, task_of_query, num_tasks, likeness)
        messages = support_messages(base, edges)
        profile = self._profile(messages, principal, num_models)
        prototype = segment_sum(query.T, task_of_query, num_tasks + 1)[:, :num_tasks].T
        count = torch.bincount(task_of_query, minlength=num_tasks + 1)[:num_tasks].to(query.dtype)
        return SupportState(
            base=base.without_edges(),
            messages=messages,
            key=self.path_attention.key(query),
            query_text=text,
            task_of_query=task_of_query,
            model=model + self.profile_to_model(profile[0]),
            profile=profile,
            slope=self._slope(base, principal),
            task=task,
            prototype=prototype / count.clamp_min(1).unsqueeze(1),
            task_likeness=data["task"].x @ data["task"].x.T,
            task_size=count,
            channel_scale=self.base.channel_scale.to(text.dtype),
        )

    def score(self, state: SupportState, targets: Targets) -> PairPredictions:
        """Predictions for all pairs of the targets and the models of the state.

        Targets do not influence one another.

        Args:
            state: From `encode_support`.
            targets: Queries to score.
        """
        query = self.query_encoder(targets.principal)
        share, log_task = self.task_attention(state, query, targets.neighbours, targets.task)
        paths = self._paths(state, query, targets.neighbours, share)
        promised = torch.einsum("bt,ct->cb", share, state.base.task_easiness)
        easiness = promised + paths.surprise
        if "text_easiness" not in self.left_out:
            easiness = easiness + self.slope_scale * (state.slope @ targets.principal.T)
        context = share[:, : state.num_tasks] @ torch.cat([state.task, state.prototype], dim=1)
        in_task = query + self.task_to_query(context)
        location, log_scale = self.readout(
            state, in_task, easiness, paths, share, targets.principal
        )
        return PairPredictions(location, log_scale, log_task)

    def _paths(
        self, state: SupportState, query: Tensor, neighbours: Neighbourhood, share: Tensor
    ) -> PathMessages:
        if "similar_queries" in self.left_out:
            return PathMessages.nothing(state, query.shape[0])
        paths: PathMessages = self.path_attention(state, query, neighbours, share)
        silent = "similar_residuals" in self.left_out
        return paths._replace(residual=torch.zeros_like(paths.residual)) if silent else paths

    def _profile(self, messages: SupportMessages, principal: Tensor, num_models: int) -> Tensor:
        """On which kinds of queries each model beats its ability: (C, M, P).

        A ridge regression of each model's residuals on the principal coordinates of the queries, as
        one Newton step a coordinate: the coordinates are decorrelated, so the information matrix is
        close to diagonal.
        """
        total = principal.new_zeros(NUM_CHANNELS, num_models, principal.shape[1])
        information = torch.zeros_like(total)
        for rows in torch.split(
            torch.arange(principal.shape[0], device=principal.device), _ROWS_AT_ONCE
        ):
            residual, curvature = dense_rows(messages, rows, num_models).chunk(2, dim=2)
            total = total + torch.einsum("smc,sp->cmp", residual, principal[rows])
            information = information + torch.einsum(
                "smc,sp->cmp", curvature, principal[rows].square()
            )
        profile: Tensor = total / (information + self.profile_mass())
        return torch.zeros_like(profile) if "profile" in self.left_out else profile

    def _slope(self, base: BaseState, principal: Tensor) -> Tensor:
        """How easiness changes along the principal coordinates: (C, P), the same ridge regression
        on the queries' surprises.
        """
        total = (base.surprise * base.reliability) @ principal
        slope: Tensor = total / (base.reliability @ principal.square() + self.slope_mass())
        return slope


def targets_of(data: HeteroData) -> Targets:
    """The target queries of a graph from `build_graph`."""
    num_support = int(data["query"].is_support.sum())
    num_targets = data["query"].num_nodes - num_support
    edges = data[SIMILAR_TO].edge_index
    neighbours = Neighbourhood(
        query=edges[0].view(num_targets, -1),
        cosine=data[SIMILAR_TO].edge_attr.view(num_targets, -1),
    )
    return Targets(data["query"].principal[num_support:], _tasks(data)[num_support:], neighbours)


def _tasks(data: HeteroData) -> Tensor:
    """Task of each query node: (num_queries,) int64, -1 = unknown."""
    query, task = data[QUERY_IN_TASK].edge_index
    position = torch.full((data["query"].num_nodes,), -1, dtype=torch.int64, device=query.device)
    position[query] = task
    return position


def _support_edges(data: HeteroData) -> SupportEdges:
    query, model = data[ANSWERED_BY].edge_index
    values, missing = data[ANSWERED_BY].edge_attr.T.chunk(2)
    return SupportEdges(
        query, model, values[:NUM_CHANNELS].contiguous(), 1 - missing[:NUM_CHANNELS]
    )


def _is_absent(text: Tensor) -> Tensor:
    return (text.abs().sum(1, keepdim=True) == 0).to(text.dtype)
