"""From predictions to a choice: whom a policy rules out and why, and whom it prefers.

`decide` makes a `Decision` for one query, `list_choices` says what is left to choose from on many;
the grounds to rule a model out stand in `rejections`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from graphrouter.decision import Candidate, Decision, Evidence
from graphrouter.exceptions import PolicyError, UnknownModelError
from graphrouter.field_demands import check_demands, count_penalties
from graphrouter.lazy import LazyTuple
from graphrouter.moment import Moment, check_in_pool
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelPool
from graphrouter.ranking import Ranking, rank_models
from graphrouter.rejections import (
    Needs,
    check_predictable,
    explain_nobody,
    list_card_grounds,
    list_grounds,
    read_estimates,
    tell_each,
)
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions

__all__ = [
    "Choices",
    "PolicyContext",
    "check_policy",
    "check_seconds",
    "decide",
    "list_choices",
    "name_source",
]


@dataclass(frozen=True)
class PolicyContext:
    """What a policy needs besides the predictions; made once for a router, not for a prompt."""

    pool: ModelPool
    scale: CostScale
    deviation_share: float = 1.0
    """As in `Decision`."""
    unavailable: frozenset[str] = frozenset()
    """Models that cannot be called at the moment."""
    logged_latency: frozenset[str] | None = None
    """Models of which a latency was logged; None where the router does not tell."""

    def at(self, moment: Moment) -> PolicyContext:
        """The same with the models that cannot be called at a moment."""
        return replace(self, unavailable=moment.unavailable) if moment.unavailable else self

    @cached_property
    def names(self) -> dict[str, None]:
        """Names of the models, in pool order, to be found at once."""
        return dict.fromkeys(card.model for card in self.pool.cards)


@dataclass(frozen=True)
class Choices:
    """What a policy leaves to choose from on each query of a batch."""

    counted: FloatArray
    """(num_queries, num_models), what counts as the effect: the expected one, or the end of its
    interval that `Policy.risk` names, less the penalties."""
    is_open: BoolArray
    """(num_queries, num_models), whether the model may be taken; True at least once a row."""
    used_fallback: BoolArray
    """(num_queries,), whether nobody satisfied the policy, so that its fallback alone is open."""


def decide(
    policy: Policy,
    predictions: Predictions,
    row: int,
    context: PolicyContext,
    *,
    evidence: Sequence[Evidence] = (),
    shadow_price: float | None = None,
    source: str = "",
) -> Decision:
    """The choice for one query: `row` of `predictions`.

    Args:
        policy: What to maximise and to respect.
        predictions: What the router expects.
        row: Which query.
        context: What the policy needs to know of the router.
        evidence: The solved queries that the predictions rest on.
        shadow_price: Effect that a dollar is worth, where a budget over many queries says it:
            effect - shadow_price * cost is maximised then, in place of what the policy weighs.
        source: Where the policy stands, for messages; empty for one that the caller gave.

    Raises:
        PolicyError: Nobody satisfies the policy and it names no fallback.
        UnknownModelError: The policy names a model that is not in the pool.
    """
    if source:
        with name_source(source):
            return decide(
                policy, predictions, row, context, evidence=evidence, shadow_price=shadow_price
            )
    _check_policy(policy, predictions, context)
    policy, needs = _resolve(policy, predictions, context, is_priced=shadow_price is not None)
    familiarity = None if predictions.familiarity is None else float(predictions.familiarity[row])
    ranking = rank_models(
        policy,
        predictions,
        row,
        context.pool,
        context.scale,
        needs,
        unavailable=context.unavailable,
        logged_latency=context.logged_latency,
        shadow_price=shadow_price,
    )
    chosen, used_fallback = ranking.candidate(ranking.order[0]), False
    if chosen.rejected is not None:
        if policy.fallback is None:
            told = [(c.model, str(c.rejected)) for c in ranking.list_all()]
            raise PolicyError(explain_nobody(told))
        _check_fallback(policy.fallback, context)
        used_fallback = True
        chosen = ranking.candidate(predictions.models.index(policy.fallback))
    safe = None if used_fallback else _take_safe(policy, chosen, ranking, familiarity)
    chosen = safe or chosen
    return Decision(
        model=chosen.model,
        effect=chosen.effect,
        cost_usd=chosen.cost_usd,
        candidates=LazyTuple(ranking.list_all),
        evidence=evidence,
        used_fallback=used_fallback,
        policy=policy.settings,
        effect_low=chosen.effect_low,
        effect_high=chosen.effect_high,
        used_safe_model=safe is not None,
        familiarity=familiarity,
        deviation_share=context.deviation_share,
    )


def list_choices(
    policy: Policy,
    predictions: Predictions,
    context: PolicyContext,
    *,
    needs_cost: bool = False,
    needs_latency: bool = False,
    rows: IntArray | None = None,
) -> Choices:
    """What the policy leaves to choose from on each query, whatever it maximises.

    Where `decide` would take the safe model in the place of a candidate, that candidate is not
    open and the safe model is.

    Args:
        policy: What to respect.
        predictions: What the router expects.
        context: What the policy needs to know of the router.
        needs_cost: Rule out models whose cost is unknown.
        needs_latency: Rule out models whose latency is unknown.
        rows: Numbers of the queries, which messages name; all without it.

    Raises:
        PolicyError: On one of the queries nobody satisfies the policy and it names no fallback.
        UnknownModelError: The policy names a model that is not in the pool.
    """
    _check_policy(policy, predictions, context)
    numbers = np.arange(len(predictions)) if rows is None else rows
    num_asked, predictions = (
        len(predictions),
        predictions if rows is None else predictions.take(rows=rows),
    )
    needs = Needs(needs_cost or policy.max_cost_usd is not None, needs_latency)
    check_predictable(policy, predictions, needs)
    estimates = read_estimates(policy, predictions, slice(None))
    grounds = list_grounds(policy, estimates, context.pool, needs, context.unavailable)
    is_open = ~np.logical_or.reduce(
        [np.broadcast_to(ground.rules_out, estimates.effect.shape) for ground in grounds]
    )
    is_open &= ~np.isnan(estimates.counted)
    used_fallback = ~is_open.any(axis=1)
    if used_fallback.any():
        if policy.fallback is None:
            row = int(used_fallback.argmax())
            reasons = tell_each(grounds, row, len(predictions.models))
            told = [
                (m, r or "effect unknown") for m, r in zip(predictions.models, reasons, strict=True)
            ]
            where = f"Query {numbers[row] + 1} of {num_asked}: " if num_asked > 1 else ""
            raise PolicyError(f"{where}{explain_nobody(told)}")
        _check_fallback(policy.fallback, context)
        is_open[used_fallback, predictions.models.index(policy.fallback)] = True
    if policy.safe_model is not None:
        safe = predictions.models.index(policy.safe_model)
        is_doubtful = estimates.doubt > policy.max_doubt
        if predictions.familiarity is not None:
            is_doubtful |= (predictions.familiarity < policy.min_familiarity)[:, None]
        is_doubtful[:, safe] = False
        is_open &= ~(is_doubtful & (is_open[:, safe] & ~used_fallback)[:, None])
    counted = estimates.counted
    if policy.penalties:
        # A fallback that a card says nothing of is taken anyhow, so it has nothing to take off.
        counted = counted - np.nan_to_num(count_penalties(policy, context.pool))
    return Choices(counted, is_open, used_fallback)


def check_policy(policy: Policy, predictions: Predictions, context: PolicyContext) -> None:
    """Refuse a policy by which a router can decide no query, whatever it is.

    Args:
        policy: What to maximise and to respect.
        predictions: What the router expects of some query.
        context: What the policy needs to know of the router.

    Raises:
        PolicyError: It asks for what no card states or the router never predicts, or names and
            cards leave nobody and it names no fallback.
        UnknownModelError: It names a model that is not in the pool.
    """
    _check_policy(policy, predictions, context)
    _resolve(policy, predictions, context, is_priced=False)
    grounds = list_card_grounds(policy, context.pool)
    reasons = tell_each(grounds, 0, len(predictions.models))
    told = [(m, r) for m, r in zip(predictions.models, reasons, strict=True) if r is not None]
    if policy.fallback is None and len(told) == len(reasons):
        raise PolicyError(explain_nobody(told))


@contextmanager
def name_source(source: str) -> Iterator[None]:
    """Errors within say first where the policy stands.

    Example:
        >>> with name_source("mine.yaml: the route 'law'"):
        ...     raise PolicyError("No model satisfies the policy.")
        Traceback (most recent call last):
        graphrouter.exceptions.PolicyError: mine.yaml: the route 'law': No model satisfies the \
policy.
    """
    try:
        yield
    except (PolicyError, UnknownModelError) as error:
        raise type(error)(f"{source}: {error}") from None


def _check_policy(policy: Policy, predictions: Predictions, context: PolicyContext) -> None:
    """Refuse what is no policy, or one that asks for more than the router knows or has."""
    if not isinstance(policy, Policy):
        raise PolicyError(
            f"policy is a {type(policy).__name__}; expected a Policy, for example "
            "Policy.preset('balanced')."
        )
    if policy.needs_intervals and predictions.effect_low is None:
        what = "a safe model" if policy.risk == "expected" else f"risk = {policy.risk}"
        raise PolicyError(
            f"The policy asks for {what}, but this router does not say how sure it is of its "
            "estimates. "
            "Use a router of kind graphrouter, or drop risk and safe_model."
        )
    if policy.min_familiarity and predictions.familiarity is None:
        raise PolicyError(
            "The policy asks for min_familiarity, but this router does not say how familiar a "
            "prompt is. Use a router of kind graphrouter, or drop min_familiarity."
        )
    named = (
        *(policy.allowed or ()),
        *policy.excluded,
        *(name for name in (policy.fallback, policy.safe_model) if name is not None),
    )
    for name in named:
        check_in_pool("The policy", name, context.names)
    check_demands(policy, context.pool, context.unavailable)


def _check_fallback(model: str, context: PolicyContext) -> None:
    """Refuse to fall back on a model that cannot be called."""
    if model in context.unavailable:
        raise PolicyError(
            f"No model satisfies the policy, and its fallback {model!r} is unavailable now. Loosen "
            "the policy, or name another fallback."
        )


def check_seconds(policy: Policy, scale: CostScale) -> None:
    """Refuse to weigh seconds as dollars where weights have no scale of dollars."""
    is_weighed = policy.usd_per_effect is None and policy.min_effect is None
    if policy.usd_per_second is not None and is_weighed and np.isnan(scale.width_usd):
        raise PolicyError(
            "usd_per_second counts seconds as dollars, and weights count dollars on the scale of "
            "the router's costs, which are unknown or all equal. Say with usd_per_effect what one "
            "more solved query is worth, or limit max_latency_s instead."
        )


def _resolve(
    policy: Policy, predictions: Predictions, context: PolicyContext, *, is_priced: bool
) -> tuple[Policy, Needs]:
    """The policy as the router applies it, and what must be known of a model.

    Where a budget says the price of a dollar, no weight counts, nor do seconds.
    """
    if not is_priced:
        check_seconds(policy, context.scale)
    policy = policy.resolve(context.scale)
    counts = policy.usd_per_second is not None
    needs = Needs(cost=True) if is_priced else Needs(policy.needs_cost, counts)
    check_predictable(policy, predictions, needs)
    return policy, needs


def _take_safe(
    policy: Policy, chosen: Candidate, ranking: Ranking, familiarity: float | None
) -> Candidate | None:
    """The safe model where too little is known; None where it is ruled out, or enough is known."""
    if policy.safe_model in (None, chosen.model):
        return None
    is_doubtful = chosen.doubt is not None and chosen.doubt > policy.max_doubt
    is_unfamiliar = familiarity is not None and familiarity < policy.min_familiarity
    if policy.safe_model is None or not (is_doubtful or is_unfamiliar):
        return None
    safe = ranking.candidate(ranking.models.index(policy.safe_model))
    return safe if safe.rejected is None else None
