"""From states and messages to a prediction for every (target query, model) pair."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.config import Part
from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.nn.attention import PathMessages
from graphrouter.nn.layers import PositiveParameter, zero_linear
from graphrouter.nn.state import SupportState

_LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD = -6.0, 2.0


class PairPredictions(NamedTuple):
    """Predictions for every pair of a target query and a model.

    C channels, B targets, M models, T tasks.
    """

    location: Tensor
    """(C, B, M) effect logit, then means of the standardised logarithmic channels."""
    log_scale: Tensor
    """(C, B, M) logarithm of a standard deviation: for the logarithmic channels, of the normal
    distribution whose exponential has the right mean; for the effect, of the logit, as far as the
    model is not known."""
    log_task: Tensor
    """(B, T) log-probabilities of tasks by attention alone, for the task loss."""


class PairReadout(nn.Module):
    """Adds up what the base and the messages say.

    For the amounts, a perceptron that starts at zero corrects the sum.

    The effect has no perceptron: on real outcomes it learned the training queries by heart and
    spread the predicted differences between models by a fifth too much.
    """

    NUM_AMOUNTS = NUM_CHANNELS - 1
    NUM_TERMS = 3 * NUM_AMOUNTS + 3

    def __init__(
        self, width: int, hidden: int, dropout: float, *, left_out: Collection[Part] = ()
    ) -> None:
        super().__init__()
        self.has_doubt = "doubt" not in left_out
        self.has_perceptron = "perceptron" not in left_out
        self.from_query = nn.Linear(width, hidden)
        self.from_model = nn.Linear(width, hidden, bias=False)
        self.from_product = nn.Linear(width, hidden, bias=False)
        self.from_terms = nn.Linear(self.NUM_TERMS, hidden, bias=False)
        self.hidden = nn.Sequential(
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.out = zero_linear(hidden, 2 * self.NUM_AMOUNTS)
        self.profile_scale = nn.Parameter(torch.full((NUM_CHANNELS, 1, 1), 0.8))
        self.doubt = PositiveParameter(1.0)
        self.doubt_by_query = zero_linear(width, 1)

    def forward(
        self,
        state: SupportState,
        target: Tensor,
        easiness: Tensor,
        paths: PathMessages,
        task_share: Tensor,
        principal: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Location and log scale of every pair, each (C, B, M).

        Args:
            state: Cached support.
            target: (B, W) states of the targets, task included.
            easiness: (C, B) expected easiness of the targets.
            paths: Messages from similar queries.
            task_share: (B, T + 1) belief over tasks.
            principal: (B, P) principal coordinates of the targets, to be matched with the models'
                profiles.
        """
        base = state.base
        skill = torch.einsum("bt,ctm->cbm", task_share, base.skill)
        match = self.profile_scale * torch.einsum("bp,cmp->cbm", principal, state.profile)
        additive = (
            base.ability.unsqueeze(1) + skill + easiness.unsqueeze(2) + paths.residual + match
        )
        effect, log_unknown = self._softened(state, target, additive[EFFECT], paths, task_share)
        shift, log_spread = self._corrections(
            state, target, additive, match, paths, task_share
        ).chunk(2)
        amounts = additive[EFFECT + 1 :] + shift
        log_spread = (_log_spread(state) + log_spread).clamp(_LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD)
        return torch.cat([effect.unsqueeze(0), amounts]), torch.cat(
            [log_unknown.unsqueeze(0), log_spread]
        )

    def _softened(
        self, state: SupportState, target: Tensor, logit: Tensor, paths: PathMessages, share: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The effect logit under doubt, and the log standard deviation of what is not known of the model; (B, M) each.

        A logit with an uncertain easiness or level is a mixture over it: E[sigmoid(x + e)] ~
        sigmoid(x / sqrt(1 + pi s^2 / 8)) (MacKay 1992).
        """
        doubt = paths.spread * self.doubt() * self.doubt_by_query(target).squeeze(1).exp()
        doubt = doubt if self.has_doubt else torch.zeros_like(doubt)
        variance = share @ state.base.variance[EFFECT]
        doubtful = (1 + math.pi / 8 * doubt.square()).unsqueeze(1)
        effect = logit / (doubtful + math.pi / 8 * variance).sqrt()
        return effect, 0.5 * (variance / doubtful).clamp_min(1e-12).log()

    def _corrections(
        self,
        state: SupportState,
        target: Tensor,
        additive: Tensor,
        match: Tensor,
        paths: PathMessages,
        share: Tensor,
    ) -> Tensor:
        """What the perceptron adds to the amounts and to the logs of their spread: (2 (C - 1), B,
        M), zero before training.
        """
        base = state.base
        num_targets, num_models = additive.shape[1:]
        if not self.has_perceptron:
            return additive.new_zeros(2 * self.NUM_AMOUNTS, num_targets, num_models)
        known = base.ability_information[EFFECT]
        known_in_task = torch.einsum("bt,tm->bm", share, base.skill_information[EFFECT])
        counts = torch.stack(
            [
                paths.evidence,
                (known / (known + 5)).expand(num_targets, -1),
                known_in_task / (known_in_task + 5),
            ]
        )
        said = torch.cat(
            [additive[EFFECT + 1 :], paths.residual[EFFECT + 1 :], match[EFFECT + 1 :], counts]
        )
        product = torch.einsum("bw,mw,hw->bmh", target, state.model, self.from_product.weight)
        hidden = self.from_query(target).unsqueeze(1) + self.from_model(state.model) + product
        corrections: Tensor = self.out(
            self.hidden(hidden + self.from_terms(said.permute(1, 2, 0)))
        ).permute(2, 0, 1)
        return corrections


def _log_spread(state: SupportState) -> Tensor:
    """Log standard deviation, in units of the channel, that gives each model's amounts their mean:
    (C - 1, 1, M).
    """
    variance = 2 * state.base.excess[EFFECT + 1 :] / state.channel_scale[EFFECT + 1 :].square()
    return 0.5 * variance.log().unsqueeze(1)
