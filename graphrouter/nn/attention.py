"""Messages along target - similar query - model paths: what is learned of them."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn.layers import PositiveParameter, is_large_pool, masses, normalise
from graphrouter.scoring.paths import PathMessages, PathWeights, attend
from graphrouter.scoring.state import BaseState, SupportMessages, SupportState, Targets


class PathAttention(nn.Module):
    """Kernel-weighted Newton steps on the residuals of similar queries, mixed over heads.

    One step a head, from a flat kernel to a sharp one, mixed by learned weights.

    The step is (sum of a * residual) / (sum of a * information + mass) over the support queries
    that resemble the target and that the model answered; a = exp(sharpness * (cosine - 1) + learned
    similarity of states + bonus for the same task). Missing outcomes are in neither sum.
    """

    structural: ClassVar[tuple[str, ...]] = (
        "metric_scale",
        "same_task",
        "path_mix",
        "surprise_mix",
    )

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.sharpness = PositiveParameter(torch.linspace(1.0, 16.0, num_heads))
        self.metric = nn.Linear(width, width, bias=False)
        self.metric_scale = nn.Parameter(torch.full((num_heads,), 0.5))
        self.same_task = nn.Parameter(torch.full((num_heads,), 1.2))
        self.path_mass = PositiveParameter(masses([2.5] * num_heads, 3.0).unsqueeze(-1))
        self.surprise_mass = PositiveParameter(masses([2.0] * num_heads, 2.0))
        self.path_mix = nn.Parameter(torch.full((NUM_CHANNELS, num_heads, 1), 0.6 / num_heads))
        self.surprise_mix = nn.Parameter(torch.full((NUM_CHANNELS, num_heads), 1.3 / num_heads))

    def forward(
        self,
        state: SupportState,
        query: Tensor,
        targets: Targets,
        task_share: Tensor,
        models: Tensor | None = None,
    ) -> PathMessages:
        """Messages to every (target, model) pair.

        Args:
            state: Cached support.
            query: (B, W) states of the targets.
            targets: The same targets, with their similar support queries.
            task_share: (B, T + 1) belief over tasks, rows sum to 1; index T = unknown.
            models: (B, L) as in `RoutingGNN.score`.
        """
        weights = PathWeights(
            sharpness=self.sharpness(),
            metric_scale=self.metric_scale,
            same_task=self.same_task,
            path_mass=self.path_mass(),
            path_mix=self.path_mix,
            surprise_mass=self.surprise_mass(),
            surprise_mix=self.surprise_mix,
        )
        sum_up = None
        if models is not None or is_large_pool(len(state.model)):
            sum_up = partial(sum_messages, models=models)
        return attend(weights, state, self.key(query), targets, task_share, sum_up)

    @torch.no_grad()
    def scale_residuals(self, share: float) -> None:
        """Multiply what is said of models, for the effect."""
        self.path_mix[EFFECT] *= share

    def key(self, query: Tensor) -> Tensor:
        """Unit vectors in the learned metric, shape of `query` (n, W)."""
        return normalise(self.metric(query))


class SurpriseAttention(PathAttention):
    """Path attention that hears how hard similar queries were, and not who solved them.

    Takes the place of `PathAttention` where the part `similar_residuals` is left out.
    """

    def forward(
        self,
        state: SupportState,
        query: Tensor,
        targets: Targets,
        task_share: Tensor,
        models: Tensor | None = None,
    ) -> PathMessages:
        """As `PathAttention`, residuals zero."""
        paths = super().forward(state, query, targets, task_share, models)
        return paths._replace(residual=torch.zeros_like(paths.residual))


class NoPathAttention(nn.Module):
    """Hears no similar query: takes the place of `PathAttention` where they are left out."""

    def forward(
        self,
        state: SupportState,
        query: Tensor,
        targets: Targets,
        task_share: Tensor,
        models: Tensor | None = None,
    ) -> PathMessages:
        """Messages that say nothing; arguments as in `PathAttention`."""
        num_asked = len(state.model) if models is None else models.shape[1]
        return PathMessages.without_neighbours(state, query.shape[0], num_asked)

    def scale_residuals(self, share: float) -> None:
        """Nothing is said of models."""

    def key(self, query: Tensor) -> Tensor:
        """Keys of no width, (n, 0): nobody asks for them."""
        return query[:, :0]


def collect_messages(base: BaseState, edges: OutcomeEdges) -> SupportMessages:
    """The messages of a support.

    Args:
        base: Of the support, with its edges.
        edges: Its outcomes, sorted by query.
    """
    counts = torch.bincount(edges.query, minlength=base.surprise.shape[1])
    row_start = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return SupportMessages(
        edges.model, row_start, torch.cat([base.residual, base.curvature]).T.contiguous()
    )


def sum_messages(
    messages: SupportMessages,
    neighbours: Tensor,
    weight: Tensor,
    num_models: int,
    *,
    models: Tensor | None = None,
) -> Tensor:
    """Weighted sums of what the neighbours of each target say: (B, H, L, 2 C).

    By the outcomes of the neighbours, and not by tables of theirs: of a large pool a query has
    asked few.

    Args:
        messages: Of the support.
        neighbours: (B, K) support queries.
        weight: (B, H, K) attention.
        num_models: M.
        models: (B, L) asked of each target; all M without it.
    """
    num_targets, num_neighbours = neighbours.shape
    rows = neighbours.flatten()
    start = messages.row_start[rows]
    length = messages.row_start[rows + 1] - start
    source = torch.arange(len(rows), device=rows.device).repeat_interleave(length)
    offset = torch.arange(len(source), device=rows.device) - (length.cumsum(0) - length)[source]
    edge = start[source] + offset
    target, slot, num_slots = source // num_neighbours, messages.model[edge], num_models
    if models is not None:
        num_slots = models.shape[1]
        place = torch.full((num_targets, num_models), -1, device=rows.device)
        place.scatter_(1, models, torch.arange(num_slots, device=rows.device).expand_as(models))
        place.scatter_(1, models[:, :1], 0)  # rows are filled up with their first model
        slot = place[target, slot]
        is_asked = slot >= 0
        source, edge, target, slot = (part[is_asked] for part in (source, edge, target, slot))
    heads = weight.transpose(1, 2).flatten(0, 1)[source]
    said = (heads.unsqueeze(2) * messages.values[edge].unsqueeze(1)).flatten(1)
    sums = said.new_zeros(num_targets * num_slots, said.shape[1])
    sums = sums.index_add(0, target * num_slots + slot, said)
    by_slot: Tensor = sums.view(num_targets, num_slots, weight.shape[1], -1)
    return by_slot.transpose(1, 2)
