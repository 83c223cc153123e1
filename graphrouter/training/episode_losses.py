"""Losses of an episode: what the labels of its targets say about predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from graphrouter.config import TrainingConfig
from graphrouter.features.channels import EFFECT, INPUT_TOKENS, LATENCY, SPEND
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.scoring.pair_scores import PairPredictions

_MAX_MISS = 4.0
"""Natural logarithm of the largest ratio between an amount and what was expected that counts."""


class Labels(NamedTuple):
    """Supervised pairs as a grid over targets and models. C channels, B targets, M models.

    In training on a large pool, over targets and the models that answered each: L of them.
    """

    channels: Tensor
    """(C, B, M), standardised; NaN = not observed."""
    scaled_cost: Tensor
    """(B, M) cost mapped to [0, 1]; NaN = not observed."""
    models: Tensor | None = None
    """(B, L) int64 models of the grid of each target, a row with fewer filled up with its first
    one; None where the grid is over all models."""

    @classmethod
    def of(cls, graph: RoutingGraph, *, is_compact: bool = False) -> Self:
        """The labels of a graph.

        Args:
            graph: With supervision.
            is_compact: Of each target only the models that answered it.

        Raises:
            ValueError: It has none.
        """
        if graph.supervision is None:
            raise ValueError("The graph has no labels: build it with `labels`.")
        outcomes = graph.supervision.outcomes
        num_targets, num_models = len(graph.targets.task), len(graph.model_card)
        values = torch.cat([outcomes.channels, outcomes.scaled_cost.unsqueeze(0)])
        column, num_columns = outcomes.model, num_models
        if is_compact:
            column = _count_before(outcomes.query, num_targets)
            num_columns = int(column.max()) + 1 if len(column) else 1
        cell = outcomes.query * num_columns + column
        grid = values.new_full((len(values), num_targets * num_columns), torch.nan)
        grid = grid.index_copy(1, cell, values).view(-1, num_targets, num_columns)
        if not is_compact:
            return cls(channels=grid[:-1], scaled_cost=grid[-1])
        first = outcomes.model.new_zeros(num_targets)
        first[outcomes.query[column == 0]] = outcomes.model[column == 0]
        models = first.repeat_interleave(num_columns).index_copy(0, cell, outcomes.model)
        return cls(grid[:-1], grid[-1], models.view(num_targets, num_columns))


def _count_before(group: Tensor, num_groups: int) -> Tensor:
    """How many entries of its group come before each entry (n,): (n,)."""
    order = torch.argsort(group, stable=True)
    counts = torch.bincount(group, minlength=num_groups)
    before = torch.empty_like(group)
    start = (counts.cumsum(0) - counts)[group[order]]
    before[order] = torch.arange(len(group), device=group.device) - start
    return before


class EpisodeLosses(NamedTuple):
    """Mean losses of an episode, each a scalar."""

    effect: Tensor
    """Cross entropy of the effect, in nats."""
    tokens: Tensor
    """`amount_loss` of the token and spend channels."""
    latency: Tensor
    """`amount_loss` of the latency channel."""
    task: Tensor
    """Cross entropy of the task that attention believes in, in nats."""
    regret: Tensor
    """Expected regret of a soft policy over random trade-offs, in units of effect."""

    def weigh(self, settings: TrainingConfig) -> Tensor:
        """Their weighted sum, a scalar: what training minimises."""
        return (
            self.effect
            + settings.tokens_weight * self.tokens
            + settings.latency_weight * self.latency
            + settings.task_weight * self.task
            + settings.decision_weight * self.regret
        )


def effect_log_loss(predictions: PairPredictions, labels: Labels) -> Tensor:
    """Mean cross entropy of the observed effects, soft labels allowed.

    0 without any, as in an episode that drew none.
    """
    target = labels.channels[EFFECT]
    observed = torch.isfinite(target)
    logit = predictions.location[EFFECT][observed]
    return F.binary_cross_entropy_with_logits(
        logit, target[observed], reduction="sum"
    ) / observed.sum().clamp_min(1)


def amount_loss(predictions: PairPredictions, labels: Labels, channel: int, scale: float) -> Tensor:
    """Squared error of a logarithm plus the gamma deviance of the mean that comes with it.

    0 when the channel was never observed.

    A likelihood of logarithms is content with their mean and spread, but what is paid is the mean
    of the amounts. The gamma deviance y / mu + log(mu) is smallest at the mean whatever the
    distribution (McCullagh and Nelder 1989, ch. 8). Here mu = exp(location + s^2 / 2), in natural
    units, and only s learns from it.

    Args:
        predictions: Of the episode.
        labels: Of the episode.
        channel: One of the logarithmic channels.
        scale: Natural logarithms a unit of the channel.
    """
    target = labels.channels[channel]
    observed = torch.isfinite(target)
    error: Tensor = target[observed] - predictions.location[channel][observed]
    log_scale: Tensor = predictions.log_scale[channel][observed]
    half_variance = (scale * log_scale.exp()).square() / 2
    miss = (scale * error.detach()).clamp(-_MAX_MISS, _MAX_MISS)
    deviance = torch.exp(miss - half_variance) + half_variance
    return (0.5 * error.square().clamp(max=100.0) + deviance).sum() / observed.sum().clamp_min(1)


def soft_regret(
    predictions: PairPredictions, labels: Labels, trade_off: Tensor, temperature: float
) -> Tensor:
    """Mean regret of a soft choice against the best observed model of each query.

    The choice is softmax(expected utility / temperature). Only observed pairs take part; where any
    cost of a query is known, only pairs with a known cost do, and where none is, cost does not
    count. Costs enter as recorded: this loss teaches differences of effect.

    Args:
        predictions: Of the episode.
        labels: Of the episode.
        trade_off: (B,) effect that one unit of scaled cost is worth, >= 0.
        temperature: Of the soft choice, in units of effect.
    """
    effect = labels.channels[EFFECT]
    costed = torch.isfinite(effect) & torch.isfinite(labels.scaled_cost)
    has_cost = costed.any(1, keepdim=True)
    observed = torch.where(has_cost, costed, torch.isfinite(effect))
    price = torch.where(
        has_cost, trade_off.unsqueeze(1) * torch.nan_to_num(labels.scaled_cost), 0.0
    )
    expected = torch.sigmoid(predictions.location[EFFECT]) - price
    choice = torch.softmax((expected / temperature).masked_fill(~observed, -torch.inf), dim=1)
    utility = torch.nan_to_num(effect) - price
    best = utility.masked_fill(~observed, -torch.inf).amax(1)
    regret = best - (torch.nan_to_num(choice) * utility).sum(1)
    useful = observed.sum(1) > 1
    return torch.where(useful, regret, 0.0).sum() / useful.sum().clamp_min(1)


def episode_losses(
    predictions: PairPredictions,
    labels: Labels,
    task: Tensor,
    trade_off: Tensor,
    *,
    scale: Sequence[float],
    temperature: float = 0.1,
) -> EpisodeLosses:
    """All losses of an episode.

    Args:
        predictions: For the grid of targets and models.
        labels: Observed outcomes of that grid.
        task: (B,) int64 true task of each target, -1 = unknown.
        trade_off: (B,) as in `soft_regret`.
        scale: (C,) natural logarithms a unit of each channel.
        temperature: As in `soft_regret`.
    """
    known = task >= 0
    if predictions.log_task.shape[1] == 0 or not known.any():
        task_loss = predictions.location.new_zeros(())
    else:
        of_true = predictions.log_task[known].gather(1, task[known].unsqueeze(1))
        can_be_found = torch.isfinite(of_true)  # not one that plays the newcomer without any query
        task_loss = -torch.where(can_be_found, of_true, 0.0).sum() / can_be_found.sum().clamp_min(1)
    return EpisodeLosses(
        effect=effect_log_loss(predictions, labels),
        tokens=amount_loss(predictions, labels, INPUT_TOKENS, scale[INPUT_TOKENS])
        + amount_loss(predictions, labels, SPEND, scale[SPEND]),
        latency=amount_loss(predictions, labels, LATENCY, scale[LATENCY]),
        task=task_loss,
        regret=soft_regret(predictions, labels, trade_off, temperature),
    )
