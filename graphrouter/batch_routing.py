"""A whole batch routed at once: the highest total effect within dollars, seconds and calls."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np

from graphrouter.batch_records import ROUNDING, BatchLimits, BatchRouting
from graphrouter.exceptions import PolicyError
from graphrouter.knapsack import Solution
from graphrouter.multipliers import Limit, find_least, solve_limits
from graphrouter.policy import Policy
from graphrouter.rejections import NO_COSTS, NO_LATENCIES
from graphrouter.selection import Choices, PolicyContext, list_choices
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions
from graphrouter.wording import agree, count_of, name_some, round_up

__all__ = [
    "assign_batch",
    "hold_limits",
    "list_batch_choices",
    "solve_batch",
    "solve_named",
    "warn_of_idle_prices",
]

_logger = logging.getLogger(__name__)
_PRICES = ("effect_weight", "cost_weight", "usd_per_effect", "usd_per_second")


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
    choices = list_batch_choices(policy, predictions, context, limits)
    warn_of_idle_prices(policy)
    return solve_batch(choices, predictions, limits)


def list_batch_choices(
    policy: Policy,
    predictions: Predictions,
    context: PolicyContext,
    limits: BatchLimits,
    *,
    rows: IntArray | None = None,
    counts_cost: bool = False,
) -> Choices:
    """What a policy leaves to choose from, on which the limits can be held.

    Args:
        policy: What to respect, and what counts as the effect.
        predictions: What the router expects of the batch.
        context: What the policy needs to know of the router.
        limits: What the batch may take in all.
        rows: Queries that the policy is for, by number; all without it.
        counts_cost: Whether what the policy weighs counts beside the limits, so that it has to be
            known of a model.

    Raises:
        PolicyError: As `Router.route_batch`.
        UnknownModelError: As `Router.route_batch`.
    """
    limits.check(predictions.models)
    _check_known(predictions, limits)
    weighs_cost = counts_cost and policy.resolve(context.scale).needs_cost
    weighs_seconds = counts_cost and policy.usd_per_second is not None
    choices = list_choices(
        policy,
        predictions,
        context,
        needs_cost=limits.budget_usd is not None or weighs_cost,
        needs_latency=limits.budget_s is not None or weighs_seconds,
        rows=rows,
    )
    which = np.arange(len(predictions)) if rows is None else rows
    _check_fallback(policy, predictions, limits, choices, which)
    return choices


def solve_batch(choices: Choices, predictions: Predictions, limits: BatchLimits) -> BatchRouting:
    """The highest total of what counts within the limits.

    Args:
        choices: What is left to choose from on each query.
        predictions: What the router expects of the batch.
        limits: What the batch may take in all.

    Raises:
        PolicyError: Not even the cheapest choices fit.
    """
    named = hold_limits(choices.is_open, predictions, limits)
    counted = np.where(choices.is_open, choices.counted, 0.0)
    solution = solve_named(counted, choices.is_open, named)
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


def hold_limits(
    is_open: BoolArray, predictions: Predictions, limits: BatchLimits, *, noun: str = "query"
) -> dict[str, Limit]:
    """Each limit by the name of its argument, or of its model, if it can be kept by itself.

    Args:
        is_open: (num_queries, num_models), whom the policy leaves.
        predictions: What the router expects of the batch.
        limits: What it may take in all.
        noun: What a row is called in messages.

    Raises:
        PolicyError: Not even the cheapest choices fit one of them.
    """
    _check_calls(predictions.models, limits, is_open, noun)
    named = _list_limits(predictions, limits)
    for name, limit in named.items():
        if name in _UNITS:
            _check_cheapest(name, limit, is_open, noun)
    return named


def solve_named(counted: FloatArray, is_open: BoolArray, named: Mapping[str, Limit]) -> Solution:
    """The highest total of what counts within limits, as `solve_limits` finds it.

    Args:
        counted: (num_queries, num_models), what counts of each call; finite where open.
        is_open: Same shape, True at least once a row.
        named: From `hold_limits`.

    Raises:
        PolicyError: All limits together cannot be kept; it says what is enough.
    """
    try:
        return solve_limits(counted, is_open, list(named.values()))
    except PolicyError as error:
        raise PolicyError(_say_what_it_takes(str(error), named, is_open)) from None


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
    policy: Policy,
    predictions: Predictions,
    limits: BatchLimits,
    choices: Choices,
    rows: IntArray,
) -> None:
    """Refuse a fallback of unknown cost or latency: it never counts as free."""
    for name, values in (("budget_usd", predictions.cost_usd), ("budget_s", predictions.latency_s)):
        if getattr(limits, name) is None:
            continue
        unknown = (np.isnan(values[rows]) & choices.is_open).any(axis=1)
        if unknown.any():
            what = "cost" if name == "budget_usd" else "latency"
            raise PolicyError(
                f"Query {rows[unknown.argmax()] + 1} of {len(predictions)} falls to the fallback "
                f"{policy.fallback!r}, whose {what} is unknown, so {name} cannot be kept. Name a "
                f"fallback whose {what} is known, or loosen the policy."
            )


def _check_calls(models: Sequence[str], limits: BatchLimits, is_open: BoolArray, noun: str) -> None:
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
                f"leaves nothing else for {bound:,} of {count_of(len(is_open), noun)}. Raise "
                f"max_calls to {bound:,} in all, or loosen the policy."
            )


def _check_cheapest(name: str, limit: Limit, is_open: BoolArray, noun: str) -> None:
    """Refuse a budget that not even the cheapest choices fit."""
    least = float(np.where(is_open, limit.usage, np.inf).min(axis=1, initial=np.inf).sum())
    if least > limit.most * (1 + ROUNDING):
        raise PolicyError(
            f"{name} = {limit.most:.15g} is too low: the cheapest choices that the policy leaves "
            f"for {count_of(len(is_open), noun)} take {round_up(least)} {_UNITS[name]}. Raise it "
            f"to at least that, loosen the policy, or send fewer {agree(2, noun)}."
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
