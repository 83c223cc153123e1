"""Messages along target - similar query - model paths, and familiarity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.prompts import SHARPNESS, find_nearest
from graphrouter.features.tables import OutcomeEdges
from graphrouter.graph.routing_graph import Targets
from graphrouter.nn.layers import PositiveParameter, is_large_pool, masses, normalise
from graphrouter.nn.rasch import BaseState
from graphrouter.nn.state import SupportMessages, SupportState

_NUM_NEAREST = 5
"""Nearness is averaged over so many solved prompts: one alone may be near by chance."""
_STRANGE = 0.01
"""Strange begins beyond so small a familiarity."""
_MOST_COMPARED = 512
"""So many solved prompts, drawn at random, say how near to the others is usual."""


class Met(NamedTuple):
    """How queries compare with the solved ones. B queries."""

    familiarity: Tensor
    """(B,) in [0, 1]; see `Familiarity`."""
    strangeness: Tensor
    """(B,) in [0, 1]: 0 where a query is not further off than 1 in 100 solved ones is from the
    others, 1 where it has nothing in common with any. It goes on where familiarity is 0."""


class PathMessages(NamedTuple):
    """What similar queries say. C channels, B targets, M models, H heads."""

    residual: Tensor
    """(C, B, M) shrunk mean residual of the model on similar queries (logit scale)."""
    evidence: Tensor
    """(B, M) share of that mean that is evidence and not prior (effect channel), in [0, 1)."""
    surprise: Tensor
    """(C, B) shrunk mean surprise of similar queries."""
    spread: Tensor
    """(B,) standard deviation of the similar queries' surprises (effect channel), >= 0."""

    @classmethod
    def without_neighbours(cls, state: SupportState, num_targets: int, num_models: int) -> Self:
        """What is left without similar queries: the spread of all surprises of the support."""
        surprise, reliability = state.base.surprise, state.base.reliability[0]
        weight = reliability / reliability.sum().clamp_min(1e-6)
        off = surprise[0] - weight @ surprise[0]
        pairs = surprise.new_zeros(surprise.shape[0], num_targets, num_models)
        spread = (weight @ off.square() + 1e-6).sqrt()
        return cls(pairs, pairs[0], pairs[:, :, :1].squeeze(2), spread.expand(num_targets))


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
        weight = self._weigh(state, query, targets, task_share)
        base, num_models = state.base, len(state.model)
        if models is None and not is_large_pool(num_models):
            gathered = _gather_rows(state.messages, targets.neighbours, num_models)
            sums = torch.bmm(weight, gathered).view(*weight.shape[:2], num_models, -1)
        else:
            sums = sum_messages(state.messages, targets.neighbours, weight, num_models, models)
        total, information = sums.permute(3, 0, 1, 2).chunk(2)  # each (C, B, H, M)
        mass = self.path_mass().unsqueeze(1)  # (C, 1, H, 1)
        residual = (self.path_mix.unsqueeze(1) * (total / (information + mass))).sum(2)
        evidence = (information[0] / (information[0] + mass[0])).mean(1)

        surprise = base.surprise[:, targets.neighbours]  # (C, B, K)
        reliability = base.reliability[:, targets.neighbours]
        # A surprise that is mostly prior says little: it counts by its reliability.
        attention = weight.transpose(1, 2) * reliability.unsqueeze(-1)  # (C, B, K, H)
        carried = (attention * surprise.unsqueeze(-1)).sum(2)
        shrunk = carried / (attention.sum(2) + self.surprise_mass().unsqueeze(1))
        # All K neighbours count alike in the spread: how much easiness varies here, not what it is.
        flat = reliability[0] / reliability[0].sum(1, keepdim=True).clamp_min(1e-6)
        centre = (flat * surprise[0]).sum(1, keepdim=True)
        spread = ((flat * (surprise[0] - centre) ** 2).sum(1) + 1e-6).sqrt()
        return PathMessages(
            residual, evidence, (self.surprise_mix.unsqueeze(1) * shrunk).sum(2), spread
        )

    @torch.no_grad()
    def scale_residuals(self, share: float) -> None:
        """Multiply what is said of models, for the effect."""
        self.path_mix[EFFECT] *= share

    def key(self, query: Tensor) -> Tensor:
        """Unit vectors in the learned metric, shape of `query` (n, W)."""
        return normalise(self.metric(query))

    def _weigh(
        self, state: SupportState, query: Tensor, targets: Targets, task_share: Tensor
    ) -> Tensor:
        """Unnormalised attention, in (0, e^4]: (B, H, K).

        Not a softmax: where nothing is similar all weights are small, and the masses in the sums
        draw what is said to zero.
        """
        likeness = torch.bmm(state.key[targets.neighbours], self.key(query).unsqueeze(2)).squeeze(2)
        task = state.task_of_query[targets.neighbours]
        shared = task_share.gather(1, task) * (task < len(state.task))  # unknown is no shared task
        logit = (
            self.sharpness()[:, None] * (targets.cosine - 1).unsqueeze(1)
            + self.metric_scale[:, None] * likeness.unsqueeze(1)
            + self.same_task[:, None] * shared.unsqueeze(1)
        )
        weight: Tensor = logit.clamp(-30, 4).exp()
        return weight


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


def spread_rows(messages: SupportMessages, rows: Tensor, num_models: int) -> Tensor:
    """Residuals and information of some support queries: (num_rows, M, 2 C).

    0 where a model did not answer, which adds nothing to either sum. Outcomes are kept as edges,
    and only the rows that a message needs are spread out.

    Args:
        messages: Of the support.
        rows: (num_rows,) int64 support queries, each at most once.
        num_models: M.
    """
    start = messages.row_start[rows]
    length = messages.row_start[rows + 1] - start
    row = torch.arange(rows.numel(), device=rows.device).repeat_interleave(length)
    offset = torch.arange(row.numel(), device=rows.device) - (length.cumsum(0) - length)[row]
    edge = start[row] + offset  # all edges of the rows, without a loop over rows
    values = messages.values.index_select(0, edge)
    flat = values.new_zeros(rows.numel() * num_models, values.shape[1])
    cell = row * num_models + messages.model[edge]
    return flat.index_copy(0, cell, values).view(rows.numel(), num_models, -1)


def sum_messages(
    messages: SupportMessages,
    neighbours: Tensor,
    weight: Tensor,
    num_models: int,
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
    return sums.view(num_targets, num_slots, weight.shape[1], -1).transpose(1, 2)


def _gather_rows(messages: SupportMessages, neighbours: Tensor, num_models: int) -> Tensor:
    """What the neighbours (B, K) of each target have to say: (B, K, M * 2 C)."""
    if len(neighbours) == 1:
        return spread_rows(messages, neighbours[0], num_models).flatten(1).unsqueeze(0)
    # Targets share neighbours: each row is spread out once, however many targets it is near.
    rows, position = torch.unique(neighbours, return_inverse=True)
    dense = spread_rows(messages, rows, num_models)
    return dense.flatten(1).index_select(0, position.flatten()).view(*position.shape, -1)


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How near prompts are to solved ones, measured by how near those are to each other.

    Nearness is the mean kernel of text and surface to the nearest solved prompts. A prompt's
    familiarity is its rank among those of solved prompts, each compared with the others: about
    uniform on [0, 1] for more prompts of the same kinds, however many were solved, and 0 for a
    prompt that is further off than all of them. It is a conformal p-value (Vovk, Gammerman and
    Shafer, 2005). S support queries.
    """

    surface: Tensor
    """(S, num_surface) float64 scaled surface features."""
    is_solved: Tensor
    """(S,) bool: some model has answered."""
    num_nearest: int
    """How many solved prompts a nearness is averaged over, at least 1."""
    usual: Tensor
    """(n,) float64 nearness of solved prompts to the others, ascending; empty below two."""

    @classmethod
    def of(
        cls,
        text: Tensor,
        surface: Tensor,
        is_solved: Tensor,
        num_neighbours: int,
        usual: Tensor | None = None,
    ) -> Self:
        """The familiarity that a support gives.

        Args:
            text: (S, dimension) float64 centred unit embeddings.
            surface: (S, num_surface) scaled surface features.
            is_solved: (S,) bool; a query that nobody answered makes nothing familiar.
            num_neighbours: Similar support queries that are looked up for a query.
            usual: What its field of that name is, where it was found before.

        Example:
            >>> text, surface = torch.eye(3, dtype=torch.float64), torch.zeros(3, 11)
            >>> known = Familiarity.of(text, surface, torch.ones(3, dtype=torch.bool), 2)
            >>> similar = find_nearest(text[:1], text, 2)
            >>> known.rank(surface[:1], *similar).tolist()
            [1.0]
        """
        solved = torch.nonzero(is_solved).squeeze(1)
        found = cls(
            surface.double(),
            is_solved,
            max(1, min(_NUM_NEAREST, len(solved) - 1, num_neighbours)),
            torch.zeros(0, dtype=torch.float64) if usual is None else usual,
        )
        if len(solved) < 2 or usual is not None:
            return found
        drawn = np.random.default_rng(0).permutation(len(solved))[:_MOST_COMPARED]
        rows = solved[torch.from_numpy(np.sort(drawn))]
        neighbours, cosine = find_nearest(text[rows], text, num_neighbours + 1)
        # By its number: among equals the prompt itself need not come first.
        others = cosine.masked_fill(neighbours == rows.unsqueeze(1), -torch.inf)
        usual = found._measure_nearness(found.surface[rows], neighbours, others)
        return replace(found, usual=usual.sort().values)

    def rank(self, surface: Tensor, neighbours: Tensor, cosine: Tensor) -> Tensor:
        """Familiarity of prompts, (B,) float64 in [0, 1], each by itself.

        0 where fewer than two prompts were solved.

        Args:
            surface: (B, num_surface) scaled surface features.
            neighbours: (B, K) positions of similar support queries.
            cosine: (B, K) their similarities.
        """
        return self.meet(surface, neighbours, cosine).familiarity

    def meet(self, surface: Tensor, neighbours: Tensor, cosine: Tensor) -> Met:
        """Familiarity of prompts, and how strange they are beyond that; arguments of `rank`."""
        if not len(self.usual):
            nothing = torch.zeros(len(surface), dtype=torch.float64)
            return Met(nothing, nothing + 1)
        nearness = self._measure_nearness(surface.double(), neighbours, cosine)
        rank = torch.searchsorted(self.usual, nearness, right=True).double() / len(self.usual)
        least = self.usual[int(_STRANGE * len(self.usual))].clamp_min(1e-9)
        return Met(rank, (1 - nearness / least).clamp(0, 1))

    def _measure_nearness(self, surface: Tensor, neighbours: Tensor, cosine: Tensor) -> Tensor:
        """Mean kernel to the nearest solved prompts, (B,)."""
        apart = (surface.unsqueeze(1) - self.surface[neighbours]).square().sum(2)
        kernel = (SHARPNESS * (cosine.double() - 1) - apart / (2 * surface.shape[1])).exp()
        nearest = (kernel * self.is_solved[neighbours]).topk(self.num_nearest, dim=1).values
        # Rounded, so that equals stay equal whatever batch they are in.
        return torch.round(nearest.mean(1), decimals=10)
