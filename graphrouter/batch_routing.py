"""A whole batch routed at once: the highest total effect within dollars, seconds and calls."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.exceptions import DataError, PolicyError
from graphrouter.moment import check_in_pool
from graphrouter.multipliers import Limit, find_least, solve_limits
from graphrouter.notebook import render_table
from graphrouter.number_checks import is_amount, is_whole
from graphrouter.policy import Policy
from graphrouter.rejections import NO_COSTS, NO_LATENCIES
from graphrouter.selection import Choices, PolicyContext, list_choices
from graphrouter.types import BoolArray, FloatArray, Predictions
from graphrouter.wording import count_of, name_some, round_up, show_value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BatchLimits", "BatchRouting", "assign_batch", "check_amount", "warn_of_idle_prices"]

_logger = logging.getLogger(__name__)
_PRICES = ("effect_weight", "cost_weight", "usd_per_effect", "usd_per_second")
_ROUNDING = 1e-9
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
        >>> from graphrouter.policy import CostScale
        >>> from graphrouter.pool import ModelCard, ModelPool
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
    less the penalties of the policy."""
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

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.model)

    @property
    def gap(self) -> float:
        """Total effect that is lost against the exact optimum at most: bound - total effect.

        0 where the two differ by rounding alone.
        """
        gap = self.bound - self.total_effect
        return gap if gap > _ROUNDING * max(1.0, abs(self.bound)) else 0.0

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

        Queries without ids are numbered from 1.

        Raises:
            DataError: There is not one id a query.
        """
        import pandas as pd  # here, so that what decides alone need not load it

        if query_ids is not None and (isinstance(query_ids, str) or len(query_ids) != len(self)):
            raise DataError(
                f"query_ids has {count_of(len(query_ids), 'entry')} for "
                f"{count_of(len(self), 'query')}; expected a "
                "sequence with one id a query."
            )
        ids = [str(i + 1) for i in range(len(self))] if query_ids is None else list(query_ids)
        return pd.DataFrame(
            {
                "query_id": pd.Series(ids, dtype="str"),
                "model": pd.Series(list(self.model), dtype="str"),
                "effect": self.effect,
                "cost_usd": self.cost_usd,
                "latency_s": self.latency_s,
                "used_fallback": self.used_fallback,
            }
        )

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


def warn_of_idle_prices(policy: Policy) -> None:
    """Log a warning where a policy says what a call is worth, beside a budget that says it too.

    Args:
        policy: What a batch or a stream with a budget respects.
    """
    idle = [name for name in _PRICES if name in policy.model_fields_set]
    if idle:
        _logger.warning(
            "%s of the policy %s not count: a budget, or caps, say what a call is worth.",
            " and ".join(idle),
            "does" if len(idle) == 1 else "do",
        )


def assign_batch(
    policy: Policy, predictions: Predictions, context: PolicyContext, limits: BatchLimits
) -> BatchRouting:
    """The highest total effect within the limits, among what the policy leaves open.

    Weights, `usd_per_effect` and `usd_per_second` do not count, and a warning says so: cost counts
    by the budget alone. Penalties do, as effect that is taken off. See `multipliers` and `knapsack`
    for how it is solved.

    Args:
        policy: What to respect on every query, and what counts as the effect.
        predictions: What the router expects of the batch.
        context: What the policy needs to know of the router.
        limits: What the batch may take in all.

    Raises:
        PolicyError: As `Router.route_batch`.
        UnknownModelError: As `Router.route_batch`.
    """
    limits.check(predictions.models)
    _check_known(predictions, limits)
    choices = list_choices(
        policy,
        predictions,
        context,
        needs_cost=limits.budget_usd is not None,
        needs_latency=limits.budget_s is not None,
    )
    warn_of_idle_prices(policy)
    _check_fallback(policy, predictions, limits, choices)
    _check_calls(predictions.models, limits, choices.is_open)
    named = _list_limits(predictions, limits)
    for name, limit in named.items():
        if name in _UNITS:
            _check_cheapest(name, limit, choices.is_open)
    counted = np.where(choices.is_open, choices.counted, 0.0)
    try:
        solution = solve_limits(counted, choices.is_open, list(named.values()))
    except PolicyError as error:
        raise PolicyError(_say_what_it_takes(str(error), named, choices.is_open)) from None
    rows, columns = np.arange(len(predictions)), solution.columns
    prices = dict(zip(named, solution.prices.tolist(), strict=True))
    return BatchRouting(
        model=tuple(predictions.models[i] for i in columns.tolist()),
        effect=predictions.effect[rows, columns],
        cost_usd=predictions.cost_usd[rows, columns],
        latency_s=predictions.latency_s[rows, columns],
        used_fallback=choices.used_fallback,
        total_effect=float(counted[rows, columns].sum()),
        bound=solution.bound,
        limits=limits,
        shadow_price=prices.pop("budget_usd", None),
        shadow_price_s=prices.pop("budget_s", None),
        shadow_price_calls=prices,
    )


_UNITS = {"budget_usd": "USD", "budget_s": "s"}


def _list_limits(predictions: Predictions, limits: BatchLimits) -> dict[str, Limit]:
    """Each limit by the name of its argument, or of its model."""
    found = {}
    if limits.budget_usd is not None:
        found["budget_usd"] = Limit(predictions.cost_usd, float(limits.budget_usd))
    if limits.budget_s is not None:
        found["budget_s"] = Limit(predictions.latency_s, float(limits.budget_s))
    for model, calls in (limits.max_calls or {}).items():
        if calls < len(predictions):  # else it can never bind
            is_call = np.zeros(predictions.effect.shape)
            is_call[:, predictions.models.index(model)] = 1.0
            found[model] = Limit(is_call, float(calls))
    return found


def _check_known(predictions: Predictions, limits: BatchLimits) -> None:
    """Refuse a budget of what the router cannot predict at all."""
    if not len(predictions):
        return
    if limits.budget_usd is not None and np.isnan(predictions.cost_usd).all():
        raise PolicyError(
            f"budget_usd needs costs, but {NO_COSTS} Train on outcomes with cost_usd, or with "
            "output_tokens and prices, or limit max_calls instead."
        )
    if limits.budget_s is not None and np.isnan(predictions.latency_s).all():
        raise PolicyError(
            f"budget_s needs latencies, but {NO_LATENCIES} Train on outcomes with latency_s, or "
            "drop budget_s."
        )


def _check_fallback(
    policy: Policy, predictions: Predictions, limits: BatchLimits, choices: Choices
) -> None:
    """Refuse a fallback of unknown cost or latency: it never counts as free."""
    for name, values in (("budget_usd", predictions.cost_usd), ("budget_s", predictions.latency_s)):
        if getattr(limits, name) is None:
            continue
        unknown = (np.isnan(values) & choices.is_open).any(axis=1)
        if unknown.any():
            what = "cost" if name == "budget_usd" else "latency"
            raise PolicyError(
                f"Query {int(unknown.argmax()) + 1} of {len(predictions)} falls to the fallback "
                f"{policy.fallback!r}, whose {what} is unknown, so {name} cannot be kept. Name a "
                f"fallback whose {what} is known, or loosen the policy."
            )


def _check_calls(models: Sequence[str], limits: BatchLimits, is_open: BoolArray) -> None:
    """Refuse caps that leave too few calls: for those who may take one model, or capped ones."""
    caps = limits.max_calls or {}
    at = {model: models.index(model) for model in caps}
    for group in (*([model] for model in caps), list(caps)):
        is_in = np.isin(np.arange(len(models)), [at[model] for model in group])
        bound = int((~is_open[:, ~is_in].any(axis=1)).sum())
        left = sum(int(caps[model]) for model in group)
        if bound > left:
            raise PolicyError(
                f"max_calls allows {count_of(left, 'call')} of {name_some(group)}, and the policy "
                f"leaves nothing else for {bound:,} of {count_of(len(is_open), 'query')}. Raise "
                f"max_calls to {bound:,} in all, or loosen the policy."
            )


def _check_cheapest(name: str, limit: Limit, is_open: BoolArray) -> None:
    """Refuse a budget that not even the cheapest choices fit."""
    least = float(np.where(is_open, limit.usage, np.inf).min(axis=1, initial=np.inf).sum())
    if least > limit.most * (1 + _ROUNDING):
        raise PolicyError(
            f"{name} = {limit.most:.15g} is too low: the cheapest choices that the policy leaves "
            f"for {count_of(len(is_open), 'query')} take {round_up(least)} {_UNITS[name]}. Raise "
            "it to at least that, loosen the policy, or send fewer queries."
        )


def _say_what_it_takes(message: str, named: Mapping[str, Limit], is_open: BoolArray) -> str:
    """The message, and for each budget what is enough with the others as they are."""
    told = []
    for name in [name for name in named if name in _UNITS]:
        others = [limit for other, limit in named.items() if other != name]
        least = find_least(named[name].usage, is_open, others)
        if math.isfinite(least):
            told.append(f"{name} = {round_up(least)}")
    if not told:
        return message
    return f"{message} With the others as they are {' or '.join(told)} is enough."
