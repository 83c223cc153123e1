"""From states and messages to a prediction for every (target query, model) pair."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.nn.layers import PositiveParameter, make_zero_linear, masses
from graphrouter.scoring.pair_scores import NUM_AMOUNTS, read_pairs, tell_amounts
from graphrouter.scoring.paths import PathMessages
from graphrouter.scoring.state import SupportState
from graphrouter.scoring.tastes import ToldTaste


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
        told = tell_amounts(state, additive, match, paths, task_share, models)
        # The layers are applied to queries, models and their product apart: as one layer over
        # concatenated pairs they would be a B x M x 3 W tensor.
        if models is None:
            product = torch.einsum("bw,mw,hw->bmh", target, state.model, self.from_product.weight)
            of_model = self.from_model(state.model)
        else:
            product = self.from_product(target.unsqueeze(1) * state.model[models])
            of_model = self.from_model(state.model)[models]
        hidden = self.from_query(target).unsqueeze(1) + of_model + product
        corrections: Tensor = self.out(self.hidden(hidden + self.from_terms(told))).permute(2, 0, 1)
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
        taste: ToldTaste | None = None,
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
            taste: What who asks grades otherwise; nothing where nobody is named.
        """
        return read_pairs(
            self.profile_scale,
            self.doubt,
            self.perceptron,
            state,
            target,
            easiness,
            paths,
            task_share,
            principal,
            models,
            taste,
        )
