"""From states and messages to a prediction for every (target query, model) pair."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.graph.channels import EFFECT, NUM_CHANNELS
from graphrouter.nn.attention import PathMessages
from graphrouter.nn.layers import PositiveParameter, zero_linear
from graphrouter.nn.state import SupportState


class PairPredictions(NamedTuple):
    """Predictions for every pair of a target query and a model. C channels, B targets, M models, T tasks."""

    location: Tensor
    """(C, B, M) effect logit, then means of the standardised logarithmic channels."""
    log_scale: Tensor
    """(C, B, M) logarithm of a standard deviation: of the outcome for the logarithmic channels; for the effect, of the logit, as
    far as the model is not known."""
    log_task: Tensor
    """(B, T) log-probabilities of tasks by attention alone, for the task loss."""


class PairReadout(nn.Module):
    """Adds up what the base and the messages say, and lets a perceptron that starts at zero correct the sum."""

    NUM_TERMS = 8

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.from_query = nn.Linear(width, hidden)
        self.from_model = nn.Linear(width, hidden, bias=False)
        self.from_product = nn.Linear(width, hidden, bias=False)
        self.from_terms = nn.Linear(self.NUM_TERMS, hidden, bias=False)
        self.hidden = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(dropout))
        self.out = zero_linear(hidden, 2 * NUM_CHANNELS)
        self.profile_scale = nn.Parameter(torch.full((NUM_CHANNELS, 1, 1), 0.5))
        self.doubt = PositiveParameter(1.0)
        self.doubt_by_query = zero_linear(width, 1)

    def forward(
        self, state: SupportState, target: Tensor, easiness: Tensor, paths: PathMessages, task_share: Tensor, principal: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Location and log scale of every pair, each (C, B, M).

        Args:
            state: Cached support.
            target: (B, W) states of the targets, task included.
            easiness: (C, B) expected easiness of the targets.
            paths: Messages from similar queries.
            task_share: (B, T + 1) belief over tasks.
            principal: (B, P) principal coordinates of the targets, to be matched with the models' profiles.
        """
        base = state.base
        skill = torch.einsum("bt,ctm->cbm", task_share, base.skill)
        match = self.profile_scale * torch.einsum("bp,cmp->cbm", principal, state.profile)
        additive = base.ability.unsqueeze(1) + skill + easiness.unsqueeze(2) + paths.residual + match
        # A logit with an uncertain easiness or level is a mixture over it: E[sigmoid(x + e)] ~ sigmoid(x / sqrt(1 + pi s^2 / 8))
        # (MacKay 1992).
        doubt = paths.spread * self.doubt() * self.doubt_by_query(target).squeeze(1).exp()
        variance = task_share @ base.variance[EFFECT]
        doubtful = (1 + math.pi / 8 * doubt.square()).unsqueeze(1)
        effect = additive[EFFECT] / (doubtful + math.pi / 8 * variance).sqrt()
        additive = torch.cat([effect.unsqueeze(0), additive[EFFECT + 1 :]])
        correction = self._correction(state, target, additive, skill, match, paths, task_share)
        unknown = 0.5 * (variance / doubtful).clamp_min(1e-12).log()
        log_scale = torch.cat([unknown.unsqueeze(0), correction[NUM_CHANNELS + 1 :].clamp(-4, 1.5)])
        return additive + correction[:NUM_CHANNELS], log_scale

    def _correction(
        self,
        state: SupportState,
        target: Tensor,
        additive: Tensor,
        skill: Tensor,
        match: Tensor,
        paths: PathMessages,
        share: Tensor,
    ) -> Tensor:
        """What the perceptron adds: (2 C, B, M), zero before training."""
        base = state.base
        num_targets, num_models = additive.shape[1:]
        ability = base.ability[EFFECT].expand(num_targets, num_models)
        known = base.ability_information[EFFECT]
        known_in_task = torch.einsum("bt,tm->bm", share, base.skill_information[EFFECT])
        terms = torch.stack(
            [
                additive[EFFECT],
                ability,
                skill[EFFECT],
                paths.residual[EFFECT],
                match[EFFECT],
                paths.evidence,
                (known / (known + 5)).expand(num_targets, num_models),
                known_in_task / (known_in_task + 5),
            ],
            dim=-1,
        )
        product = torch.einsum("bw,mw,hw->bmh", target, state.model, self.from_product.weight)
        hidden = self.from_query(target).unsqueeze(1) + self.from_model(state.model) + product + self.from_terms(terms)
        correction: Tensor = self.out(self.hidden(hidden)).permute(2, 0, 1)
        return correction
