"""What a batch may take in all, and where its queries are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.exceptions import PolicyError
from graphrouter.moment import check_in_pool
from graphrouter.notebook import render_table
from graphrouter.number_checks import is_amount, is_whole
from graphrouter.types import BoolArray, FloatArray, name_queries
from graphrouter.wording import count_of, show_value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ROUNDING", "BatchLimits", "BatchRouting", "check_amount"]

ROUNDING = 1e-9
"""Share of a budget by which the cheapest choices may exceed it: sums are rounded."""


class BatchLimits(NamedTuple):
    """What a batch may take in all; None where there is no limit."""

    budget_usd: float | None = None
    budget_s: float | None = None
    max_calls: Mapping[str, int] | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing is limited."""
        return all(limit is None for limit in self)

    def check(self, models: Sequence[str]) -> None:
        """Refuse limits that are no amounts, or name models that are not in the pool.

        Raises:
            PolicyError: A budget is no number of at least 0, a cap no whole number of at least 0.
            UnknownModelError: A cap is on a model that is not among `models`.

        Example:
            >>> BatchLimits(max_calls={"grand": 100}).check(("nano", "grand"))
        """
        for name in ("budget_usd", "budget_s"):
            if getattr(self, name) is not None:
                check_amount(name, getattr(self, name))
        if self.max_calls is None:
            return
        if not isinstance(self.max_calls, Mapping):
            raise PolicyError(
                f"max_calls is a {type(self.max_calls).__name__}; expected a mapping from models "
                "to the most calls of each, for example {'grand': 100}."
            )
        for model, calls in self.max_calls.items():
            check_in_pool("max_calls", model, models)
            if not is_whole(calls, least=0):
                raise PolicyError(
                    f"max_calls[{model!r}] is {show_value(calls)}; expected a whole number of "
                    "calls of at least 0."
                )


@dataclass(frozen=True, repr=False, eq=False)
class BatchRouting:
    """Where each query of a batch is sent under a budget, and how far that is from the best.

    Example:
        >>> from graphrouter.batch_routing import assign_batch
        >>> from graphrouter.policy import CostScale, Policy
        >>> from graphrouter.pool import ModelCard, ModelPool
        >>> from graphrouter.selection import PolicyContext
        >>> from graphrouter.types import Predictions
        >>> pool = ModelPool.of([ModelCard(model="nano"), ModelCard(model="grand")])
        >>> expected = Predictions.from_arrays(
        ...     pool.names, np.array([[0.2, 0.6], [0.5, 0.8]]), cost_usd=np.array([[1.0, 2.0]] * 2)
        ... )
        >>> context = PolicyContext(pool, CostScale(1.0, 2.0))
        >>> assign_batch(Policy(), expected, context, BatchLimits(budget_usd=3))
        BatchRouting(2 queries: effect 0.55 a query, 3 of 3 USD, shadow price 0.3, gap 0 a query)
    """

    model: tuple[str, ...]
    """Model of each query, in the order asked."""
    effect: FloatArray
    """(num_queries,), expected effect of the model chosen, in [0, 1]."""
    cost_usd: FloatArray
    """(num_queries,), expected US dollars of the call; NaN = unknown, which no budget of dollars
    lets through."""
    latency_s: FloatArray
    """(num_queries,), expected seconds to the end of the answer; NaN = unknown."""
    used_fallback: BoolArray
    """(num_queries,), whether nobody satisfied the policy and its fallback was taken."""
    total_effect: float
    """Sum of what counts as the effect: the expected one, or the end that `Policy.risk` names,
    less the penalties of the policy, and less what the policy of a named route takes off for cost
    and seconds."""
    bound: float
    """No choice that fits has a higher total effect (by the dual of the relaxation)."""
    limits: BatchLimits
    """What the batch was allowed."""
    shadow_price: float | None = None
    """Effect that one more dollar would buy, 0 where the budget does not bind; None without
    `budget_usd`. Its inverse as `Policy.usd_per_effect` routes single queries alike."""
    shadow_price_s: float | None = None
    """Effect that one more second would buy; None without `budget_s`."""
    shadow_price_calls: Mapping[str, float] = field(default_factory=dict)
    """Effect that one more call of a capped model would buy, by model."""
    route: tuple[str | None, ...] | None = None
    """Named route of each query, None for none of them; None where no routes were given."""
    route_confidence: FloatArray | None = None
    """(num_queries,), probability that it is of that route, or of none; None with `route`."""

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.model)

    @property
    def gap(self) -> float:
        """Total effect that is lost against the exact optimum at most: bound - total effect.

        0 where the two differ by rounding alone.
        """
        gap = self.bound - self.total_effect
        return gap if gap > ROUNDING * max(1.0, abs(self.bound)) else 0.0

    @property
    def total_cost_usd(self) -> float:
        """Expected US dollars of all calls; NaN where that of one is unknown."""
        return float(self.cost_usd.sum())

    @property
    def total_latency_s(self) -> float:
        """Expected seconds of all calls, added up; NaN where those of one are unknown."""
        return float(self.latency_s.sum())

    @property
    def num_calls(self) -> dict[str, int]:
        """How many queries each model gets, the most first; those with none are left out."""
        return dict(Counter(self.model).most_common())

    def to_frame(self, query_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """One row a query: query_id, model, effect, cost_usd, latency_s, used_fallback.

        Then route (empty for none) and route_confidence where named routes were given. Queries
        without ids are numbered from 1.

        Raises:
            DataError: There is not one id a query.
        """
        import pandas as pd  # here, so that what decides alone need not load it

        ids = name_queries(query_ids, len(self))
        table = pd.DataFrame(
            {
                "query_id": pd.Series(ids, dtype="str"),
                "model": pd.Series(list(self.model), dtype="str"),
                "effect": self.effect,
                "cost_usd": self.cost_usd,
                "latency_s": self.latency_s,
                "used_fallback": self.used_fallback,
            }
        )
        if self.route is None:
            return table
        named = pd.Series(list(self.route), dtype="str")
        return table.assign(route=named, route_confidence=self.route_confidence)

    def __repr__(self) -> str:
        if not len(self):
            return "BatchRouting(no queries)"
        parts = [f"effect {self.total_effect / len(self):.3g} a query"]
        if self.limits.budget_usd is not None:
            parts.append(f"{self.total_cost_usd:.6g} of {self.limits.budget_usd:.6g} USD")
            parts.append(f"shadow price {self.shadow_price:.3g}")
        if self.limits.budget_s is not None:
            parts.append(f"{self.total_latency_s:.6g} of {self.limits.budget_s:.6g} s")
        parts.append(f"gap {self.gap / len(self):.2g} a query")
        return f"BatchRouting({count_of(len(self), 'query')}: {', '.join(parts)})"

    def _repr_html_(self) -> str:
        rows = [
            (model, calls, float(self.effect[at].mean()), float(self.cost_usd[at].sum()))
            for model, calls in self.num_calls.items()
            for at in [np.array([each == model for each in self.model])]
        ]
        return render_table(repr(self), ("model", "queries", "mean effect", "cost_usd"), rows)


def check_amount(name: str, value: float, *, mending: str = "Leave it out for no limit.") -> None:
    """Refuse an amount that is no number of at least 0.

    Args:
        name: What it is called.
        value: What was received.
        mending: What to do about it, a sentence.

    Raises:
        PolicyError: It is something else, negative, infinite or NaN.

    Example:
        >>> check_amount("budget_usd", 2.5)
    """
    if not is_amount(value):
        raise PolicyError(
            f"{name} is {show_value(value)}; expected a finite number of at least 0. {mending}"
        )
