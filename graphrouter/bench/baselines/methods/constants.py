"""The baselines that neither prompt nor outcome moves: any model, the cheapest, the dearest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import Baseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.tools.draws import draw_for_pairs
from graphrouter.bench.baselines.tools.levels import AMOUNTS, place_levels, stack_amounts
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels, join_columns
from graphrouter.exceptions import NotApplicableError
from graphrouter.pool import ModelPool
from graphrouter.types import QUANTITIES, FloatArray, IntArray, Predictions, Queries

TRACE = 1e-6
"""What a rank is worth in effect: enough to decide between equals, too little to be seen in any
metric."""
_EDGE = 0.001
"""The pool's mean effect stays this far off 0 and 1, so that the traces fit in."""


@dataclass(frozen=True, eq=False)
class IndifferentRouter(Baseline):
    """Expects the same of every model, the pool's mean, apart from a trace of its ranking.

    With equal costs no trade-off can move the choice: any policy takes the favourite among the
    models that it allows.
    """

    ranks_pool: ClassVar[bool] = True

    mean: MeanTable
    """One row: the pool's mean of every quantity, the same for every model; NaN where nothing is
    known of it."""

    def _wider_mean(self, new: NewModels) -> MeanTable:
        """The row of means with the same values for the new models."""
        columns = (
            np.repeat(getattr(self.mean, name)[:, :1], new.num_new, axis=1) for name in QUANTITIES
        )
        return join_columns(self.mean, MeanTable(new.outcomes.models, *columns))

    @abstractmethod
    def rank(self, prompts: Sequence[str]) -> IntArray:
        """Place of each model, (num_queries, num_models): 0 = last, num_models - 1 = favourite."""

    def _predict(self, queries: Queries) -> Predictions:
        """The pool's mean for every model, and a trace of the ranking in the effect."""
        rows = [np.repeat(getattr(self.mean, name), len(queries), axis=0) for name in QUANTITIES]
        effect = rows[0] + TRACE * self.rank(queries.prompts).astype(np.float64)
        return Predictions(self.pool.names, effect, *rows[1:])


@dataclass(frozen=True, eq=False)
class RandomRouter(IndifferentRouter):
    """A random model for every prompt.

    Its ranking is drawn from seed, prompt and the models' names.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = RandomRouter.fit(data, encoder=HashingEncoder(64))
        >>> router.route("Hello").model == router.route("Hello").model
        True
    """

    name: ClassVar[str] = "random"
    source: ClassVar[str] = "the lower reference of every comparison"
    can_extend: ClassVar[bool] = True

    seed: int

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router; nothing is learned but the pool's means."""
        return cls(data.pool, data.cost_scale, average_pool(data.means), data.seed)

    def rank(self, prompts: Sequence[str]) -> IntArray:
        """A permutation for each prompt, (num_queries, num_models).

        Equal prompts get the same one.
        """
        draws = draw_for_pairs(prompts, self.pool.names, seed=self.seed, purpose="random router")
        return np.asarray(np.argsort(np.argsort(draws, axis=1), axis=1), dtype=np.int64)

    def _extend(self, new: NewModels) -> Self:
        """One more name to draw from; a newcomer's outcomes are not looked at."""
        return replace(self, pool=new.pool, mean=self._wider_mean(new))


@dataclass(frozen=True, eq=False)
class PriceRouter(IndifferentRouter):
    """The same ranking for every prompt, by what the models cost."""

    can_extend: ClassVar[bool] = True
    needs_costs: ClassVar[bool] = True

    sign: ClassVar[int]
    """1 where the dearest model is the favourite, -1 where the cheapest is."""

    prices: FloatArray
    """(num_models,) what each model costs: mean US dollars a call in training, or list price; NaN =
    not known."""
    by_list_price: bool
    """True where no training outcome had a cost."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that costs or prices make.

        Raises:
            NotApplicableError: There is neither a cost nor a price.
        """
        by_list_price = not np.isfinite(data.means.cost_usd).any()
        prices = _sum_list_prices(data.pool) if by_list_price else data.means.cost_usd[0]
        if not np.isfinite(prices).any():
            raise NotApplicableError(
                f"{cls.name} needs costs or prices: no training outcome has a cost_usd and no "
                "model has both list prices. "
                "Add cost_usd to the outcomes, or input_usd_per_mtok and output_usd_per_mtok to "
                "the models."
            )
        return cls(data.pool, data.cost_scale, average_pool(data.means), prices, by_list_price)

    @property
    def order(self) -> IntArray:
        """(num_models,) place of each model, num_models - 1 = favourite."""
        return _rank_places(self.sign * self.prices)

    def rank(self, prompts: Sequence[str]) -> IntArray:
        """The same places for every prompt, (num_queries, num_models)."""
        return np.repeat(self.order[None, :], len(prompts), axis=0)

    def _extend(self, new: NewModels) -> Self:
        """The newcomer's mean cost, shrunk to the pool's mean cost a unit of list price.

        Or its list price.
        """
        prices = _sum_list_prices(new.pool)[len(self.pool) :]
        if not self.by_list_price:
            levels = np.vstack([self.prices, np.full((len(AMOUNTS) - 1, len(self.pool)), np.nan)])
            prices = place_levels(levels, stack_amounts(new.outcomes), new)[0]
        return replace(
            self,
            pool=new.pool,
            mean=self._wider_mean(new),
            prices=np.concatenate([self.prices, prices]),
        )


class Cheapest(PriceRouter):
    """Ranks the models by mean training cost, the cheapest first.

    By list price where no outcome has a cost.

    A model without cost comes last, for nobody knows that it is cheap.
    """

    name: ClassVar[str] = "cheapest"
    source: ClassVar[str] = "the cost end of every comparison"
    sign: ClassVar[int] = -1


class LargestPrice(PriceRouter):
    """Ranks the models by mean training cost, the dearest first.

    By list price where no outcome has a cost.

    The habit that routers want to replace: the largest model for everything. A model without cost
    comes last.
    """

    name: ClassVar[str] = "largest_price"
    source: ClassVar[str] = (
        "the largest-model reference of GraphRouter (arXiv 2410.03834), by price"
    )
    sign: ClassVar[int] = 1


def average_pool(means: MeanTable) -> MeanTable:
    """One row with the mean over the models of every quantity in each column.

    NaN where it is known of no model.
    """
    rows = []
    for name in QUANTITIES:
        known = getattr(means, name)[np.isfinite(getattr(means, name))]
        value = float(known.mean()) if known.size else float("nan")
        rows.append(
            np.full(
                (1, len(means.models)),
                np.clip(value, _EDGE, 1 - _EDGE) if name == "effect" else value,
            )
        )
    return MeanTable(means.models, *rows)


def _sum_list_prices(pool: ModelPool) -> FloatArray:
    """Price of a million prompt and a million completion tokens, (num_models,), NaN = not known."""
    return np.asarray(pool.prices.sum(axis=0))


def _rank_places(liking: FloatArray) -> IntArray:
    """Place of each model by how much it is liked, the most liked highest.

    NaN lowest, the earlier of equals higher.
    """
    last_first = np.lexsort((-np.arange(len(liking)), np.nan_to_num(liking, nan=-np.inf)))
    return np.asarray(np.argsort(last_first), dtype=np.int64)
