"""Ridge regressions inside the graph: what the text of a query says about models and easiness.

The profile and the slope are one Newton step a coordinate: the principal coordinates are
decorrelated, so the information matrix is close to diagonal. They have a closed form over a support
that excludes the targets, so they cannot learn them by heart. `text_prior` solves for all at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.nn.layers import PositiveParameter, is_large_pool, masses
from graphrouter.scoring.paths import spread_rows
from graphrouter.scoring.state import BaseState, SupportMessages

_ROWS_AT_ONCE = 2048
_EDGES_AT_ONCE = 32_768


class Profile(nn.Module):
    """On which kinds of queries each model beats its ability."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = PositiveParameter(masses(1000.0, 1000.0).unsqueeze(-1))

    def forward(self, messages: SupportMessages, principal: Tensor, num_models: int) -> Tensor:
        """Slopes of each model's residuals along the principal coordinates: (C, M, P).

        Args:
            messages: Of the support.
            principal: (S, P) principal coordinates of the support queries.
            num_models: M.
        """
        total = principal.new_zeros(NUM_CHANNELS, num_models, principal.shape[1])
        information = torch.zeros_like(total)
        if is_large_pool(num_models):
            return self._sum_by_outcome(messages, principal, total, information)
        # In parts: spread out, the messages of a large support would not fit into memory.
        for rows in torch.split(
            torch.arange(principal.shape[0], device=principal.device), _ROWS_AT_ONCE
        ):
            residual, curvature = spread_rows(messages, rows, num_models).chunk(2, dim=2)
            total = total + torch.einsum("smc,sp->cmp", residual, principal[rows])
            information = information + torch.einsum(
                "smc,sp->cmp", curvature, principal[rows].square()
            )
        profile: Tensor = total / (information + self.mass())
        return profile

    def _sum_by_outcome(
        self, messages: SupportMessages, principal: Tensor, total: Tensor, information: Tensor
    ) -> Tensor:
        """The slopes of a large pool, of which a query has asked few: sums over outcomes."""
        lengths = messages.row_start.diff()
        query = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
        for edges in torch.split(torch.arange(len(query), device=query.device), _EDGES_AT_ONCE):
            model, rows = messages.model[edges], principal[query[edges]]
            squares = rows.square()
            residual, curvature = messages.values[edges].T.unsqueeze(2).chunk(2)
            total = total.index_add(1, model, residual * rows)
            information = information.index_add(1, model, curvature * squares)
        profile: Tensor = total / (information + self.mass())
        return profile


class NoProfile(nn.Module):
    """Models are alike on all kinds: takes the place of `Profile` where it is left out."""

    def forward(self, messages: SupportMessages, principal: Tensor, num_models: int) -> Tensor:
        """Zeros (C, M, P); arguments of `Profile`."""
        return principal.new_zeros(NUM_CHANNELS, num_models, principal.shape[1])


class EasinessSlope(nn.Module):
    """How easiness changes along the principal coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = PositiveParameter(masses(300.0, 300.0))

    def forward(self, base: BaseState, principal: Tensor) -> Tensor:
        """Slopes of the queries' surprises: (C, P).

        Args:
            base: Of the support.
            principal: (S, P) principal coordinates of the support queries.
        """
        # A surprise is already shrunk; its reliability is how much of it is evidence, hence its
        # weight in both sums.
        total = (base.surprise * base.reliability) @ principal
        slope: Tensor = total / (base.reliability @ principal.square() + self.mass())
        return slope


class NoEasinessSlope(nn.Module):
    """Easiness does not change: takes the place of `EasinessSlope` where it is left out."""

    def forward(self, base: BaseState, principal: Tensor) -> Tensor:
        """Zeros (C, P); arguments of `EasinessSlope`."""
        return principal.new_zeros(NUM_CHANNELS, principal.shape[1])
