"""The models of a pool on one query, ranked as a policy sees them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from graphrouter.decision import Candidate
from graphrouter.field_demands import read_amounts
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelPool
from graphrouter.rejections import Needs, fill_unknown, list_grounds, read_estimates, tell_each
from graphrouter.types import BoolArray, FloatArray, Predictions
from graphrouter.utility import Charges, UtilityArrays

__all__ = ["Ranking", "rank_models"]


@dataclass(frozen=True)
class Ranking:
    """Every model as the policy sees it on one query. M models."""

    order: list[int]
    """Columns, best first, the rejected ones last."""
    reasons: list[str | None]
    """Why each is ruled out."""
    models: tuple[str, ...]
    effect: FloatArray
    """(M,)."""
    arrays: UtilityArrays
    """Parts of all utilities, (M,) each."""
    utility: FloatArray
    """(M,) of which they are the parts."""
    amounts: dict[str, FloatArray | None]
    """(M,) by the name of the field of a candidate; None where nothing is predicted."""
    logged_latency: frozenset[str] | None

    def candidate(self, column: int) -> Candidate:
        """The model of a column."""
        reason, name = self.reasons[column], self.models[column]
        amounts = {
            field: None if values is None else _to_plain(values[column])
            for field, values in self.amounts.items()
        }
        return Candidate(
            model=name,
            effect=float(self.effect[column]),
            utility=float(self.utility[column]) if reason is None else None,
            rejected=reason,
            has_logged_latency=None if self.logged_latency is None else name in self.logged_latency,
            _split=(self.arrays, column) if reason is None else None,
            **amounts,
        )

    def list_all(self) -> tuple[Candidate, ...]:
        """All models, best first."""
        return tuple(map(self.candidate, self.order))


def rank_models(
    policy: Policy,
    predictions: Predictions,
    row: int,
    pool: ModelPool,
    scale: CostScale,
    needs: Needs,
    *,
    unavailable: Collection[str] = (),
    logged_latency: frozenset[str] | None = None,
    shadow_price: float | None = None,
) -> Ranking:
    """Every model as the policy sees it on one query.

    Args:
        policy: What to maximise and to respect.
        predictions: What the router expects.
        row: Which query.
        pool: The cards.
        scale: Of costs.
        needs: What must be known.
        unavailable: Models that cannot be called at the moment.
        logged_latency: Models of which a latency was logged; None where the router does not tell.
        shadow_price: Effect that a dollar is worth, in place of what the policy weighs.
    """
    estimates = read_estimates(policy, predictions, slice(row, row + 1))
    grounds = list_grounds(policy, estimates, pool, needs, unavailable)
    reasons = tell_each(grounds, 0, len(predictions.models))
    # Copies: candidates keep them, and should neither keep the batch nor change with it.
    counted, cost = estimates.counted[0].copy(), estimates.cost_usd[0].copy()
    charges = Charges(estimates.latency_s[0], read_amounts(policy, pool))
    if shadow_price is None:
        arrays = policy.split_utility(counted, cost, scale, charges)
    else:
        penalties = charges.count_penalties(counted, 1.0, policy.penalties)
        arrays = UtilityArrays(counted, shadow_price * cost, np.zeros_like(counted), penalties)
    is_open = np.ones(len(reasons), dtype=np.bool_)
    if any(reasons):
        is_open[:] = [reason is None for reason in reasons]
    rates, utility = predictions.output_tokens_per_s, arrays.total
    amounts = {
        "cost_usd": estimates.cost_usd,
        "output_tokens": estimates.output_tokens,
        "latency_s": estimates.latency_s,
        "effect_low": estimates.effect_low,
        "effect_high": estimates.effect_high,
        "ttft_s": estimates.ttft_s,
        "output_tokens_per_s": None if rates is None else rates[row : row + 1],
    }
    return Ranking(
        _order(utility, counted, cost, is_open),
        reasons,
        predictions.models,
        estimates.effect[0].copy(),
        arrays,
        utility,
        {name: None if part is None else part[0].copy() for name, part in amounts.items()},
        logged_latency,
    )


def _order(
    utility: FloatArray, effect: FloatArray, cost: FloatArray, accepted: BoolArray
) -> list[int]:
    """Column numbers, best first.

    Accepted before rejected, then by utility, then the cheaper, the better, and pool order.
    """
    key_utility = np.where(accepted, fill_unknown(utility, -np.inf), effect)
    key_cost = fill_unknown(cost, np.inf)
    # The sort is stable, so equals stay in pool order.
    order: list[int] = np.lexsort((-effect, key_cost, -key_utility, ~accepted)).tolist()
    return order


def _to_plain(value: np.float64) -> float | None:
    """The number, None where unknown."""
    return None if value != value else float(value)
