"""From states and messages to a prediction for every (target query, model) pair."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.nn.attention import PathMessages
from graphrouter.nn.layers import PositiveParameter, make_zero_linear
from graphrouter.nn.state import SupportState

NUM_AMOUNTS = NUM_CHANNELS - 1
_LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD = -6.0, 2.0
_HALF_KNOWN = 5.0
"""With so much Fisher information the perceptron is told that a model is known by half."""


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


class TextEasiness(nn.Module):
    """What the text of a target says about its easiness, by the slopes of the support."""

    structural: ClassVar[tuple[str, ...]] = ("scale",)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((NUM_CHANNELS, 1), 0.6))

    def forward(self, slope: Tensor, principal: Tensor) -> Tensor:
        """Easiness (C, B) beyond task and similar queries.

        Args:
            slope: (C, P) how easiness changes along the principal coordinates.
            principal: (B, P) principal coordinates of the targets.
        """
        easiness: Tensor = self.scale * (slope @ principal.T)
        return easiness


class NoTextEasiness(nn.Module):
    """The text says nothing: takes the place of `TextEasiness` where it is left out."""

    def forward(self, slope: Tensor, principal: Tensor) -> Tensor:
        """Zeros (C, B); arguments of `TextEasiness`."""
        return slope.new_zeros(slope.shape[0], principal.shape[0])


class Doubt(nn.Module):
    """How uncertain the easiness of a target is: the spread of its neighbours, times a factor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = PositiveParameter(1.0)
        self.by_query = make_zero_linear(width, 1)

    def forward(self, spread: Tensor, target: Tensor) -> Tensor:
        """Standard deviation of the easiness in logits, (B,), >= 0.

        Args:
            spread: (B,) standard deviation of the surprises of similar queries.
            target: (B, W) states of the targets.
        """
        doubt: Tensor = spread * self.scale() * self.by_query(target).squeeze(1).exp()
        return doubt


class NoDoubt(nn.Module):
    """The easiness counts as known: takes the place of `Doubt` where it is left out."""

    def forward(self, spread: Tensor, target: Tensor) -> Tensor:
        """Zeros (B,); arguments of `Doubt`."""
        return torch.zeros_like(spread)


class AmountPerceptron(nn.Module):
    """Corrects the amounts and the logs of their spread; zero before training.

    The effect has no perceptron: on real outcomes it learned the training queries by heart and
    spread the predicted differences between models by a fifth too much.
    """

    NUM_TERMS: ClassVar[int] = 3 * NUM_AMOUNTS + 3

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
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
        self.out = make_zero_linear(hidden, 2 * NUM_AMOUNTS)

    def forward(
        self,
        state: SupportState,
        target: Tensor,
        additive: Tensor,
        match: Tensor,
        paths: PathMessages,
        task_share: Tensor,
    ) -> Tensor:
        """Shifts of the amounts, then of the logs of their spread: (2 (C - 1), B, M).

        Args:
            state: Cached support.
            target: (B, W) states of the targets, task included.
            additive: (C, B, M) the sum that is to be corrected.
            match: (C, B, M) the term of it that comes from the profiles.
            paths: Messages from similar queries.
            task_share: (B, T + 1) belief over tasks.
        """
        base = state.base
        known = base.ability_information[EFFECT]
        known_in_task = torch.einsum("bt,tm->bm", task_share, base.skill_information[EFFECT])
        # How much the sum rests on, as shares in [0, 1): a model that is hardly known wants another
        # correction than one with thousands of outcomes.
        counts = torch.stack(
            [
                paths.evidence,
                (known / (known + _HALF_KNOWN)).expand(target.shape[0], -1),
                known_in_task / (known_in_task + _HALF_KNOWN),
            ]
        )
        said = torch.cat(
            [additive[EFFECT + 1 :], paths.residual[EFFECT + 1 :], match[EFFECT + 1 :], counts]
        )
        # The layers are applied to queries, models and their product apart: as one layer over
        # concatenated pairs they would be a B x M x 3 W tensor.
        product = torch.einsum("bw,mw,hw->bmh", target, state.model, self.from_product.weight)
        hidden = self.from_query(target).unsqueeze(1) + self.from_model(state.model) + product
        corrections: Tensor = self.out(
            self.hidden(hidden + self.from_terms(said.permute(1, 2, 0)))
        ).permute(2, 0, 1)
        return corrections


class NoPerceptron(nn.Module):
    """Corrects nothing: takes the place of `AmountPerceptron` where it is left out."""

    def forward(
        self,
        state: SupportState,
        target: Tensor,
        additive: Tensor,
        match: Tensor,
        paths: PathMessages,
        task_share: Tensor,
    ) -> Tensor:
        """Zeros (2 (C - 1), B, M); arguments of `AmountPerceptron`."""
        return additive.new_zeros(2 * NUM_AMOUNTS, *additive.shape[1:])


class PairReadout(nn.Module):
    """Adds up what the base and the messages say; two parts correct the sum."""

    structural: ClassVar[tuple[str, ...]] = ("profile_scale",)

    def __init__(self, perceptron: nn.Module, doubt: nn.Module) -> None:
        """A readout of its parts.

        Args:
            perceptron: `AmountPerceptron`, or another module with the same call.
            doubt: `Doubt`, or another module with the same call.
        """
        super().__init__()
        self.profile_scale = nn.Parameter(torch.full((NUM_CHANNELS, 1, 1), 0.8))
        self.perceptron = perceptron
        self.doubt = doubt

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
        doubt = self.doubt(paths.spread, target)
        effect, log_unknown = _soften(additive[EFFECT], doubt, task_share @ base.variance[EFFECT])
        shift, log_spread = self.perceptron(
            state, target, additive, match, paths, task_share
        ).chunk(2)
        amounts = additive[EFFECT + 1 :] + shift
        log_spread = (_spread_by_model(state) + log_spread).clamp(
            _LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD
        )
        return torch.cat([effect.unsqueeze(0), amounts]), torch.cat(
            [log_unknown.unsqueeze(0), log_spread]
        )


def _soften(logit: Tensor, doubt: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The effect logit under doubt, and the log deviation of what is not known of the model.

    Both are (B, M). A logit with an uncertain easiness or level is a mixture over it:
    E[sigmoid(x + e)] ~ sigmoid(x / sqrt(1 + pi s^2 / 8)) (MacKay 1992).

    Args:
        logit: (B, M) with all that is uncertain at its mean.
        doubt: (B,) standard deviation of the easiness.
        variance: (B, M) of the level of each model in the tasks that are believed in.
    """
    doubtful = (1 + math.pi / 8 * doubt.square()).unsqueeze(1)
    effect = logit / (doubtful + math.pi / 8 * variance).sqrt()
    # The deviation is that of the softened logit, so it is divided as the logit is by the doubt.
    return effect, 0.5 * (variance / doubtful).clamp_min(1e-12).log()


def _spread_by_model(state: SupportState) -> Tensor:
    """Log deviation, in units of the channel, that gives amounts their mean: (C - 1, 1, M).

    For the log-normal, log(mean) - mean(log) = sigma^2 / 2; `excess` is the left side.
    """
    variance = 2 * state.base.excess[EFFECT + 1 :] / state.channel_scale[EFFECT + 1 :].square()
    return 0.5 * variance.log().unsqueeze(1)
