"""Prices as they were when a cost was recorded, and what later ones make of the cost scale."""

from __future__ import annotations

import numpy as np

from graphrouter.data.positions import find_positions
from graphrouter.features.channels import PRICE_COLUMNS, OutcomeColumns, read_columns
from graphrouter.lazy import pandas as pd
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.types import IntArray


def add_prices(
    outcomes: pd.DataFrame, pool: ModelPool, model: IntArray | None = None
) -> pd.DataFrame:
    """The outcomes with the prices that their models have now, as columns.

    They are kept with the outcome: what a cost meant does not change with a price.

    Args:
        outcomes: With the column `model`.
        pool: The models.
        model: (E,) position of each outcome's model, where it is known already.
    """
    place = find_positions(outcomes["model"], pool.names) if model is None else model
    prices = pool.prices[:, place]
    return outcomes.assign(**dict(zip(PRICE_COLUMNS, prices, strict=True)))


def reprice_scale(
    scale: CostScale, outcomes: OutcomeColumns, pool: ModelPool, model: IntArray | None = None
) -> CostScale:
    """The cost scale at the prices of today; the same one where no price has changed.

    Both bounds move as the percentiles of the recorded costs do when each is charged at the prices
    that its model has now. So a factor on all prices is one on the scale and changes no choice; the
    price of one model moves it as far as that model moves the percentiles; and a model that comes
    or goes does not move it. Dollars of a model without prices stay as they were recorded.

    Args:
        scale: Fitted on the costs as they were recorded.
        outcomes: Columns `model`, `cost_usd`, `input_tokens`, `output_tokens`, and the prices of
            the model when the cost was recorded.
        pool: The models at the prices of today.
        model: (E,) position of each outcome's model, where it is known already.
    """
    place = find_positions(outcomes["model"], pool.names) if model is None else model
    cost, prompt, answer = read_columns(outcomes, "cost_usd", "input_tokens", "output_tokens")
    then = read_columns(outcomes, *PRICE_COLUMNS)
    is_changed = np.zeros(len(cost), dtype=bool)
    for recorded, prices in zip(then, pool.prices, strict=True):  # one by one, for little memory
        now = prices[place]
        is_changed |= (recorded != now) & np.isfinite(recorded) & np.isfinite(now)
    if not scale.is_known or not (is_changed & np.isfinite(cost)).any():
        return scale
    has_tokens = np.isfinite(prompt) & np.isfinite(answer) & (prompt + answer > 0)
    tokens = np.where(has_tokens, [prompt, answer], 1.0)
    was, is_now = (tokens * then).sum(axis=0), (tokens * pool.prices[:, place]).sum(axis=0)
    can_follow = is_changed & (was > 0) & np.isfinite(is_now)
    factor = np.where(can_follow, is_now / np.where(can_follow, was, 1.0), 1.0)
    before, after = CostScale.fit(cost), CostScale.fit(cost * factor)
    return CostScale(
        *(
            bound * new / old if old > 0 else bound
            for bound, old, new in zip(scale, before, after, strict=True)
        )
    )
