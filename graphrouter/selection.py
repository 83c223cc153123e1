"""From predictions to a choice: whom a policy rules out and why, and whom it prefers.

`decide` makes a `Decision`; the reasons to rule a model out are all in `_reject`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from graphrouter.decision import Candidate, Decision, Evidence
from graphrouter.exceptions import PolicyError, UnknownModelError
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.types import BoolArray, FloatArray, Predictions

__all__ = [
    "PolicyContext",
    "decide",
]


@dataclass(frozen=True)
class PolicyContext:
    """What a policy needs besides the predictions; made once for a router, not for a prompt."""

    pool: ModelPool
    scale: CostScale
    deviation_share: float = 1.0
    """As in `Decision`."""

    @cached_property
    def names(self) -> dict[str, None]:
        """Names of the models, in pool order, to be found at once."""
        return dict.fromkeys(card.model for card in self.pool.cards)


def decide(
    policy: Policy,
    predictions: Predictions,
    row: int,
    context: PolicyContext,
    *,
    evidence: tuple[Evidence, ...] = (),
) -> Decision:
    """The choice for one query: `row` of `predictions`.

    Raises:
        PolicyError: Nobody satisfies the policy and it names no fallback.
        UnknownModelError: The policy names a model that is not in the pool.
    """
    if not isinstance(policy, Policy):
        raise PolicyError(
            f"policy is a {type(policy).__name__}; expected a Policy, for example "
            "Policy.preset('balanced')."
        )
    policy = policy.resolve(context.scale)
    if policy.needs_intervals and predictions.effect_low is None:
        what = "a safe model" if policy.risk == "expected" else f"risk = {policy.risk}"
        raise PolicyError(
            f"The policy asks for {what}, but this router does not say how sure it is of its "
            "estimates. "
            "Use a router of kind graphrouter, or drop risk and safe_model."
        )
    familiarity = None if predictions.familiarity is None else float(predictions.familiarity[row])
    if policy.min_familiarity and familiarity is None:
        raise PolicyError(
            "The policy asks for min_familiarity, but this router does not say how familiar a "
            "prompt is. Use a router of kind graphrouter, or drop min_familiarity."
        )
    candidates = _rank(policy, predictions, row, context)
    chosen, used_fallback = candidates[0], False
    if chosen.rejected is not None:
        if policy.fallback is None:
            raise PolicyError(_explain_nobody(candidates))
        used_fallback = True
        chosen = next(c for c in candidates if c.model == policy.fallback)
    safe = None if used_fallback else _take_safe(policy, chosen, candidates, familiarity)
    chosen = safe or chosen
    return Decision(
        model=chosen.model,
        effect=chosen.effect,
        cost_usd=chosen.cost_usd,
        candidates=candidates,
        evidence=evidence,
        used_fallback=used_fallback,
        policy=policy.settings,
        effect_low=chosen.effect_low,
        effect_high=chosen.effect_high,
        used_safe_model=safe is not None,
        familiarity=familiarity,
        deviation_share=context.deviation_share,
    )


def _rank(
    policy: Policy, predictions: Predictions, row: int, context: PolicyContext
) -> tuple[Candidate, ...]:
    """Every model as the policy sees it, best first, the rejected ones last."""
    estimates = _read_estimates(policy, predictions, row)
    reasons = _reject_each(policy, estimates, context)
    counted, cost = np.array([each.counted for each in estimates]), predictions.cost_usd[row]
    utility = policy.utility(counted, cost, context.scale)
    order = _order(utility, counted, cost, np.array([reason is None for reason in reasons]))
    utilities = utility.tolist()
    return tuple(
        Candidate(
            model=estimates[i].model,
            effect=estimates[i].effect,
            cost_usd=estimates[i].cost_usd,
            output_tokens=estimates[i].output_tokens,
            latency_s=estimates[i].latency_s,
            utility=utilities[i] if reasons[i] is None else None,
            rejected=reasons[i],
            effect_low=estimates[i].effect_low,
            effect_high=estimates[i].effect_high,
        )
        for i in order
    )


def _take_safe(
    policy: Policy, chosen: Candidate, rest: tuple[Candidate, ...], familiarity: float | None
) -> Candidate | None:
    """The safe model where too little is known; None where it is ruled out, or enough is known."""
    if policy.safe_model in (None, chosen.model):
        return None
    is_doubtful = chosen.doubt is not None and chosen.doubt > policy.max_doubt
    is_unfamiliar = familiarity is not None and familiarity < policy.min_familiarity
    safe = (c for c in rest if c.model == policy.safe_model and c.rejected is None)
    return next(safe, None) if is_doubtful or is_unfamiliar else None


def _order(
    utility: FloatArray, effect: FloatArray, cost: FloatArray, accepted: BoolArray
) -> list[int]:
    """Column numbers, best first.

    Accepted before rejected, then by utility, then the cheaper, the better, and pool order.
    """
    key_utility = np.where(accepted, np.nan_to_num(utility, nan=-np.inf), effect)
    key_cost = np.nan_to_num(cost, nan=np.inf)
    return [
        int(i)
        for i in np.lexsort((np.arange(len(effect)), -effect, key_cost, -key_utility, ~accepted))
    ]


class _Estimate(NamedTuple):
    """One model's predictions for one query, as plain numbers: a policy asks them one by one.

    None = unknown.
    """

    model: str
    effect: float
    counted: float
    """The end of the interval that counts as the effect, or the expected effect."""
    cost_usd: float | None
    tokens: float
    """Prompt plus completion, as far as known."""
    most_tokens: float
    """The same with the cautious end of the prompt."""
    output_tokens: float | None
    latency_s: float | None
    effect_low: float | None
    effect_high: float | None


def _read_estimates(policy: Policy, predictions: Predictions, row: int) -> list[_Estimate]:
    """Plain predictions of each model, in pool order."""
    effect = predictions.effect[row].tolist()
    cost, prompt, answer, latency = (
        [None if math.isnan(value) else value for value in values[row].tolist()]
        for values in (
            predictions.cost_usd,
            predictions.input_tokens,
            predictions.output_tokens,
            predictions.latency_s,
        )
    )
    low, high = (
        [None] * len(effect) if ends is None else ends[row].tolist()
        for ends in (predictions.effect_low, predictions.effect_high)
    )
    cautious = predictions.most_input_tokens
    most = prompt if cautious is None else np.fmax(cautious, predictions.input_tokens)[row].tolist()
    counted = {"lower": low, "expected": effect, "upper": high}[policy.risk]
    return [
        _Estimate(
            model,
            effect[i],
            counted[i],
            cost[i],
            (prompt[i] or 0.0) + (answer[i] or 0.0),
            (most[i] or 0.0) + (answer[i] or 0.0),
            answer[i],
            latency[i],
            low[i],
            high[i],
        )
        for i, model in enumerate(predictions.models)
    ]


def _reject_each(
    policy: Policy, estimates: list[_Estimate], context: PolicyContext
) -> list[str | None]:
    """Why each model is ruled out, in pool order; None where it is not."""
    named = (
        *(policy.allowed or ()),
        *policy.excluded,
        *filter(None, (policy.fallback, policy.safe_model)),
    )
    for name in named:
        if name not in context.names:
            raise UnknownModelError(
                f"The policy names {name!r}, which is not in the pool: {', '.join(context.names)}."
            )
    return [
        _reject(policy, estimate, card)
        for estimate, card in zip(estimates, context.pool.cards, strict=True)
    ]


def _reject(policy: Policy, estimate: _Estimate, card: ModelCard) -> str | None:
    """Why the policy rules the model out; None where it does not."""
    if math.isnan(estimate.effect):
        return "effect unknown"
    if policy.allowed is not None and card.model not in policy.allowed:
        return "not in allowed"
    if card.model in policy.excluded:
        return "in excluded"
    for capability in policy.requires:
        if not card.has_capability(capability):
            return f"card does not state {capability}"
    if card.context_tokens is not None and estimate.most_tokens > card.context_tokens:
        return (
            f"context of {card.context_tokens} tokens is shorter than the "
            f"{estimate.most_tokens:.0f} that prompt and answer may take "
            f"({estimate.tokens:.0f} expected)"
        )
    return _reject_cost(policy, estimate) or _reject_latency(policy, estimate)


def _reject_cost(policy: Policy, estimate: _Estimate) -> str | None:
    if policy.needs_cost and estimate.cost_usd is None:
        return "cost unknown"
    if (
        policy.max_cost_usd is not None
        and estimate.cost_usd is not None
        and estimate.cost_usd > policy.max_cost_usd
    ):
        return f"cost {estimate.cost_usd:.6f} USD above {policy.max_cost_usd:g}"
    if policy.min_effect is not None and estimate.counted < policy.min_effect:
        end = "" if policy.risk == "expected" else f"{policy.risk} end of "
        return f"{end}effect {estimate.counted:.3f} below {policy.min_effect:g}"
    return None


def _reject_latency(policy: Policy, estimate: _Estimate) -> str | None:
    if policy.max_latency_s is None:
        return None
    if estimate.latency_s is None:
        return "latency unknown"
    return (
        f"latency {estimate.latency_s:.2f} s above {policy.max_latency_s:g}"
        if estimate.latency_s > policy.max_latency_s
        else None
    )


def _explain_nobody(candidates: tuple[Candidate, ...]) -> str:
    reasons = [f"{c.model}: {c.rejected}" for c in candidates]
    shown = "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
    if (
        "cost unknown"
        in {c.rejected for c in candidates}
        <= {"cost unknown", "not in allowed", "in excluded"}
    ):
        return (
            "The policy weighs cost, but this router cannot predict any: its outcomes carried "
            "neither cost nor tokens. "
            "Use the preset performance_first, or train on outcomes with cost_usd or "
            "output_tokens and prices."
        )
    if {c.rejected for c in candidates} == {"latency unknown"}:
        return (
            "The policy limits latency, but the router's outcomes carried none. Drop "
            "max_latency_s, or record latency_s."
        )
    return f"No model satisfies the policy ({shown}). Loosen the policy, or name a fallback model."
