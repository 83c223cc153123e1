"""From states and messages to a prediction for every (target query, model) pair."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.nn.attention import Met, PathMessages
from graphrouter.nn.layers import PositiveParameter, make_zero_linear, masses, take_models
from graphrouter.nn.state import SupportState

Z_80 = 1.2815515655446004
"""Standard deviations on either side that hold 80 % of a normal distribution."""
DEFAULT_FLOOR = 0.05
"""Standard deviation of an effect logit, in logits, where everything about the model is known."""
_UNUSUAL = 0.1
"""Familiarity below which a prompt of unknown task counts, by and by, as one of a task not seen."""
_PRIOR_TASKS, _PRIOR_VARIANCE = 2.0, 1.0
"""How much effect logits vary between tasks, in so many tasks' worth of doubt."""
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
    task_share: Tensor
    """(B, T + 1) belief over tasks, index T = none of them."""
    deviation: Tensor
    """(B, M) the part of the effect logit that text and similar queries say of each model on this
    very query, beyond its level."""


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
        models: Tensor | None = None,
    ) -> Tensor:
        """Shifts of the amounts, then of the logs of their spread: (2 (C - 1), B, M).

        Args:
            state: Cached support.
            target: (B, W) states of the targets, task included.
            additive: (C, B, M) the sum that is to be corrected.
            match: (C, B, M) the term of it that comes from the profiles.
            paths: Messages from similar queries.
            task_share: (B, T + 1) belief over tasks.
            models: (B, L) as in `RoutingGNN.score`; the other arguments are of these alone.
        """
        base = state.base
        known = take_models(base.ability_information[EFFECT].unsqueeze(0), models)
        known_in_task = take_models(
            torch.einsum("bt,tm->bm", task_share, base.skill_information[EFFECT]), models
        )
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
        if models is None:
            product = torch.einsum("bw,mw,hw->bmh", target, state.model, self.from_product.weight)
            of_model = self.from_model(state.model)
        else:
            product = self.from_product(target.unsqueeze(1) * state.model[models])
            of_model = self.from_model(state.model)[models]
        hidden = self.from_query(target).unsqueeze(1) + of_model + product
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
        models: Tensor | None = None,
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
        # Slopes that were solved for with the skills are believed, steps on what is left not quite.
        self.profile_scale = nn.Parameter(masses(1.0, 0.8).unsqueeze(-1))
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
        models: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Location and log scale of every pair (C, B, M), and the deviation (B, M) in the first.

        Args:
            state: Cached support.
            target: (B, W) states of the targets, task included.
            easiness: (C, B) expected easiness of the targets.
            paths: Messages from similar queries.
            task_share: (B, T + 1) belief over tasks.
            principal: (B, P) principal coordinates of the targets, to be matched with the models'
                profiles.
            models: (B, L) as in `RoutingGNN.score`.
        """
        base = state.base
        skill = take_models(torch.einsum("bt,ctm->cbm", task_share, base.skill), models)
        match = torch.einsum("bp,cmp->cbm", principal, state.profile)
        match = self.profile_scale * take_models(match, models)
        ability = take_models(base.ability.unsqueeze(1), models)
        additive = ability + skill + easiness.unsqueeze(2) + paths.residual + match
        doubt = self.doubt(paths.spread, target)
        variance = take_models(task_share @ base.variance[EFFECT], models)
        own = paths.residual[EFFECT] + match[EFFECT]
        (effect, deviation), log_unknown = _soften(
            torch.stack([additive[EFFECT], own]), doubt, variance
        )
        shift, log_spread = self.perceptron(
            state, target, additive, match, paths, task_share, models
        ).chunk(2)
        amounts = additive[EFFECT + 1 :] + shift
        log_spread = (take_models(_spread_by_model(state), models) + log_spread).clamp(
            _LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD
        )
        return (
            torch.cat([effect.unsqueeze(0), amounts]),
            torch.cat([log_unknown.unsqueeze(0), log_spread]),
            deviation,
        )


def _soften(logit: Tensor, doubt: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Effect logits under doubt, and the log deviation (B, M) of what is not known of the model.

    A logit with an uncertain easiness or level is a mixture over it:
    E[sigmoid(x + e)] ~ sigmoid(x / sqrt(1 + pi s^2 / 8)) (MacKay 1992).

    Args:
        logit: (..., B, M) with all that is uncertain at its mean.
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


class TaskDoubt(NamedTuple):
    """What it means for effects that a query may be of a task not seen. B queries, M models.

    All in logits.
    """

    shift: Tensor
    """(B, M) from where the belief over tasks puts the effect towards the mean over all tasks."""
    variance: Tensor
    """(B, M) of the effect over the tasks that the query may be of, as far as it is not strange."""
    strange: Tensor
    """(B, M) variance that comes on top where a query is strange: that between all tasks."""
    softening: Tensor
    """(B, M) the part of `strange` where the task is unknown, which softens the effect."""
    strangeness: Tensor
    """(B, 1) in [0, 1]."""

    @classmethod
    def of(cls, state: SupportState, share: Tensor, task: Tensor, met: Met) -> Self:
        """The doubt about queries of the support.

        A query of unknown task is perhaps of a task not seen, the more the less familiar it is; and
        a new task differs from the others as they differ from each other. A task that is named is
        believed, unless the query is strange.

        Args:
            state: Cached support.
            share: (B, T + 1) belief over tasks.
            task: (B,) int64 task that is named, -1 = unknown.
            met: How the queries compare with the solved ones.
        """
        level = state.base.task_easiness[EFFECT].unsqueeze(1) + state.base.skill[EFFECT]
        believed = share @ level
        between = (share @ level.square() - believed.square()).clamp_min(0)
        seen = level[:-1][state.task_size > 0]
        mean = seen.mean(0) if len(seen) else level[-1]
        prior = _PRIOR_TASKS * _PRIOR_VARIANCE + (seen - mean).square().sum(0)
        variance = prior / (_PRIOR_TASKS + max(len(seen) - 1, 0))
        named = share.gather(1, task.clamp_min(0).unsqueeze(1)).squeeze(1)
        trust = torch.where(task >= 0, named, 0.0)
        unusual = (1 - met.familiarity / _UNUSUAL).clamp(0, 1)
        new = ((1 - trust) * unusual).unsqueeze(1)
        strange = met.strangeness.unsqueeze(1)
        lost = ((1 - trust) * met.strangeness).unsqueeze(1)
        return cls(
            lost * (mean - believed),
            (1 - strange) * ((1 - new) * between + new * variance),
            strange * variance,
            lost * variance,
            strange,
        )


@dataclass(frozen=True)
class EffectInterval:
    """From what the network says of a pair to an 80 % interval of the expected effect.

    The interval is about what the model achieves on average on queries like this one, as far as the
    model is not known; it is not about the single outcome, which is mostly 0 or 1.
    `training.effect_intervals` fits it.

    Example:
        >>> location, spread = torch.zeros(1, 2), torch.tensor([[0.1, 1.0]])
        >>> low, high = EffectInterval().bounds(location, spread.log())
        >>> [round(width, 2) for width in (high - low)[0].tolist()]
        [0.07, 0.57]
    """

    scale: float = 1.0
    """Factor of the standard deviation that the network gives, > 0."""
    floor: float = DEFAULT_FLOOR
    """Standard deviation in logits that stays when the network has no doubt left, >= 0."""
    novelty: float = 0.0
    """Factor of the standard deviation between the tasks that a query may be of, >= 0. With 0, as
    for artifacts that were made before it was there, unfamiliar queries are like all others."""

    def bounds(
        self, location: Tensor, log_scale: Tensor, doubt: TaskDoubt | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both ends, in [0, 1]; sigmoid(location) is never outside.

        Args:
            location: (num_queries, num_models) effect logit.
            log_scale: (num_queries, num_models) logarithm of its standard deviation.
            doubt: About the tasks of the queries; none without it.
        """
        variance = (self.scale * log_scale.exp()).square() + self.floor**2
        if doubt is not None and self.novelty > 0:
            # Novelty makes up for texts that mislead; of a strange one hardly anything is believed.
            factor = self.novelty ** (2 * (1 - doubt.strangeness))
            variance = variance + factor * doubt.variance + doubt.strange
        half = Z_80 * variance.sqrt()
        middle = torch.sigmoid(location)
        return torch.minimum(torch.sigmoid(location - half), middle), torch.maximum(
            torch.sigmoid(location + half), middle
        )

    def draw_together(self, scored: PairPredictions, doubt: TaskDoubt | None) -> PairPredictions:
        """The predictions, the effect logits of strange queries nearer to each other.

        They go to the mean over tasks, and are softened as all that is uncertain is.
        """
        if doubt is None or self.novelty == 0:
            return scored
        location = scored.location.clone()
        softened = 1 + math.pi / 8 * doubt.softening
        location[EFFECT] = (location[EFFECT] + doubt.shift) / softened.sqrt()
        return scored._replace(location=location)
