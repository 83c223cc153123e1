"""Settings that make one model think harder write no less, take no less time and cost no less."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Self

import numpy as np

from graphrouter.pool import ModelPool
from graphrouter.siblings import group_by_base, read_effort
from graphrouter.types import BoolArray, FloatArray, Predictions

_AMOUNTS = ("output_tokens", "latency_s", "cost_usd")


class _Bound(NamedTuple):
    """Of a setting without outcomes."""

    column: int
    lower: tuple[int, ...]
    """Columns of siblings of less effort."""
    higher: tuple[int, ...]
    """Columns of siblings of more effort that have outcomes."""
    same_price: bool
    """Whether all of these have its prices, so that dollars follow tokens."""


class EffortOrder(NamedTuple):
    """What siblings promise of the tokens, seconds and dollars of a setting that was never tried.

    Settings with outcomes stay as they are, in order or not: what was seen counts. One without any
    is kept between its siblings, those of less effort first.
    """

    bounds: tuple[_Bound, ...]

    @classmethod
    def of(cls, pool: ModelPool, is_tried: BoolArray) -> Self:
        """The order of a pool.

        Args:
            pool: Of M candidates.
            is_tried: (M,) whether a candidate has outcomes.
        """
        found = []
        for places in group_by_base([card.base for card in pool], pool.names):
            efforts = {place: read_effort(pool.cards[place].parameters) for place in places}
            stated = {place: effort for place, effort in efforts.items() if effort is not None}
            for place in sorted(stated, key=lambda each: stated[each]):
                if is_tried[place]:
                    continue
                lower = [other for other in stated if stated[other] < stated[place]]
                higher = [o for o in stated if stated[o] > stated[place] and is_tried[o]]
                prices = pool.prices[:, [place, *lower, *higher]]
                same = bool((prices == prices[:, :1]).all())
                if lower or higher:
                    found.append(_Bound(place, tuple(lower), tuple(higher), same))
        return cls(tuple(found))

    def keep(self, predictions: Predictions) -> Predictions:
        """The predictions with the amounts of settings without outcomes kept between siblings."""
        if not self.bounds:
            return predictions
        changed: dict[str, Any] = {name: np.array(getattr(predictions, name)) for name in _AMOUNTS}
        for bound in self.bounds:
            for name, amounts in changed.items():
                if name != "cost_usd" or bound.same_price:
                    amounts[:, bound.column] = _keep_between(amounts, bound)
        return dataclasses.replace(predictions, **changed)


def _keep_between(amounts: FloatArray, bound: _Bound) -> FloatArray:
    """The bounded column, (num_queries,); NaN bounds nothing and stays NaN."""
    least = np.nan_to_num(amounts[:, bound.lower], nan=-np.inf).max(axis=1, initial=-np.inf)
    most = np.nan_to_num(amounts[:, bound.higher], nan=np.inf).min(axis=1, initial=np.inf)
    return np.clip(amounts[:, bound.column], least, np.maximum(least, most))
