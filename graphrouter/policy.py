"""From predictions to a choice.

Policies stand outside the network, so one artifact serves every trade-off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from graphrouter.config import DocumentedModel, first_problem
from graphrouter.exceptions import PolicyError, UnknownModelError
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.types import BoolArray, Candidate, Decision, Evidence, FloatArray, Predictions

PresetName = Literal["performance_first", "balanced", "cost_first"]
Risk = Literal["lower", "expected", "upper"]
PRESETS: dict[PresetName, tuple[float, float]] = {
    "performance_first": (1.0, 0.0),
    "balanced": (0.5, 0.5),
    "cost_first": (0.2, 0.8),
}
"""(effect weight, cost weight) of each preset, from GraphRouter (Feng, Shen, You; ICLR 2025),
section 4."""


class CostScale(NamedTuple):
    """Maps US dollars a call to [0, 1]; fitted on training outcomes, saved with the artifact.

    The bounds are the 1st and the 99th percentile and not the extremes: a single runaway completion
    would otherwise squeeze all other costs to zero and with them the meaning of the presets.
    """

    low_usd: float
    high_usd: float

    @classmethod
    def fit(cls, cost_usd: FloatArray) -> CostScale:
        """The scale of the observed costs (any shape; NaN is skipped).

        NaN bounds when nothing was observed.
        """
        known = cost_usd[np.isfinite(cost_usd)]
        if known.size == 0:
            return cls(float("nan"), float("nan"))
        low, high = np.quantile(known, [0.01, 0.99])
        return cls(float(low), float(high))

    @property
    def is_known(self) -> bool:
        """False when no training outcome carried a cost."""
        return bool(np.isfinite(self.low_usd))

    def scale(self, cost_usd: FloatArray) -> FloatArray:
        """`cost_usd` (any shape) clipped to the bounds and mapped to [0, 1]; NaN stays NaN."""
        if not self.is_known:
            return np.full_like(cost_usd, np.nan)
        width = self.high_usd - self.low_usd
        if not width > 0:  # all costs equal
            return np.where(np.isfinite(cost_usd), 0.0, np.nan)
        scaled: FloatArray = (np.clip(cost_usd, self.low_usd, self.high_usd) - self.low_usd) / width
        return scaled


class Policy(DocumentedModel):
    """What to optimise and what to respect when a query is routed.

    Without further settings the policy maximises `effect_weight * effect - cost_weight * scaled
    cost`. `usd_per_effect` maximises `effect - cost_usd / usd_per_effect` instead; `min_effect`
    takes the cheapest model that reaches it. `risk` says which effect counts where the router gives
    intervals: the expected one, the lower end of its interval, which is cautious, or the upper end,
    which tries models that little is known of (optimism in the face of uncertainty: Auer,
    Cesa-Bianchi and Fischer 2002, UCB1).

    Example:
        >>> Policy(cost_weight=0.3).effect_weight
        0.7
        >>> Policy.preset("cost_first").cost_weight
        0.8
    """

    model_config = ConfigDict(allow_inf_nan=False)

    effect_weight: float = Field(
        0.5,
        ge=0,
        description="Weight of the expected effect; 1 - cost_weight when only that is given.",
    )
    cost_weight: float = Field(
        0.5,
        ge=0,
        description="Weight of the scaled cost; 1 - effect_weight when only that is given.",
    )
    usd_per_effect: float | None = Field(
        None, gt=0, description="What one more solved query is worth, in US dollars."
    )
    max_cost_usd: float | None = Field(None, ge=0, description="Most expected US dollars a call.")
    min_effect: float | None = Field(
        None, ge=0, le=1, description="Take the cheapest model with at least this expected effect."
    )
    max_latency_s: float | None = Field(
        None, gt=0, description="Most expected seconds to the end of the answer."
    )
    allowed: tuple[str, ...] | None = Field(None, description="Only these models; all by default.")
    excluded: tuple[str, ...] = Field((), description="Never these models.")
    requires: tuple[Literal["tools", "vision", "json"], ...] = Field(
        (), description="Capabilities that the card must state."
    )
    fallback: str | None = Field(
        None, description="Model to take when nobody satisfies the policy; an error by default."
    )
    risk: Risk = Field(
        "expected",
        description="Which end of the interval of effect counts: lower, upper, or neither "
        "(expected).",
    )
    safe_model: str | None = Field(
        None, description="Model to take when too little is known of the one that is best."
    )
    max_doubt: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Width of the interval of effect above which safe_model is taken.",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete_weights(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {
            name: values[name]
            for name in ("effect_weight", "cost_weight")
            if values.get(name) is not None
        }
        if len(given) != 1:
            return values
        [(name, text)] = given.items()
        try:
            weight = float(text)  # "0.3" too: what the field accepts must complete the other
        except (TypeError, ValueError):
            return values  # the field says what is wrong
        other = "cost_weight" if name == "effect_weight" else "effect_weight"
        if weight > 1:
            raise ValueError(
                f"{name} = {weight:g} leaves no weight for {other}; give both, or one between 0 "
                "and 1"
            )
        return {**values, other: round(1 - weight, 12)} if weight >= 0 else values

    @model_validator(mode="after")
    def _is_consistent(self) -> Policy:
        if self.effect_weight == 0 and self.cost_weight == 0:
            raise ValueError("effect_weight and cost_weight are both 0; one of them must count")
        both = sorted(set(self.allowed or ()) & set(self.excluded))
        if both:
            raise ValueError(f"{both[0]!r} is both allowed and excluded; drop one of the two")
        if self.fallback is not None and self.fallback in self.excluded:
            raise ValueError(
                f"the fallback {self.fallback!r} is excluded; name another, or do not exclude it"
            )
        if self.min_effect is not None and self.usd_per_effect is not None:
            raise ValueError(
                "min_effect takes the cheapest model, usd_per_effect the best value; set one of "
                "the two"
            )
        return self

    @model_validator(mode="after")
    def _has_a_safe_model_to_take(self) -> Policy:
        if self.safe_model is None:
            if "max_doubt" in self.model_fields_set:
                raise ValueError(
                    "max_doubt says when a safe model is taken, and there is none; set safe_model "
                    "too"
                )
            return self
        if self.safe_model in self.excluded or self.safe_model not in (
            self.allowed or (self.safe_model,)
        ):
            raise ValueError(
                f"the safe model {self.safe_model!r} is excluded, or not among the allowed; name "
                "another"
            )
        return self

    def resolve(self, scale: CostScale) -> Policy:
        """This policy; with weights that nobody chose and costs that nobody knows, the same policy
        by effect alone.
        """
        if scale.is_known or {"effect_weight", "cost_weight"} & self.model_fields_set:
            return self
        return self.model_copy(update={"effect_weight": 1.0, "cost_weight": 0.0})

    @classmethod
    def preset(cls, name: PresetName) -> Policy:
        """One of the three presets of the GraphRouter paper."""
        if name not in PRESETS:
            raise PolicyError(f"Unknown preset {name!r}. Presets: {', '.join(PRESETS)}.")
        effect, cost = PRESETS[name]
        return cls(effect_weight=effect, cost_weight=cost)

    @property
    def settings(self) -> dict[str, Any]:
        """The weights and whatever else is set, as plain values."""
        weights = {"effect_weight": self.effect_weight, "cost_weight": self.cost_weight}
        return {**weights, **self.model_dump(exclude_defaults=True, mode="json")}

    @property
    def needs_intervals(self) -> bool:
        """True when the choice depends on the interval of the expected effect."""
        return self.risk != "expected" or self.safe_model is not None

    @property
    def needs_cost(self) -> bool:
        """True when the choice depends on the expected cost."""
        if (
            self.max_cost_usd is not None
            or self.min_effect is not None
            or self.usd_per_effect is not None
        ):
            return True
        return self.cost_weight > 0

    def utility(self, effect: FloatArray, cost_usd: FloatArray, scale: CostScale) -> FloatArray:
        """What this policy maximises, same shape as `effect`.

        NaN where a cost is needed and unknown.

        The reward of an observed outcome is the same function of the observed effect and cost.
        """
        if self.min_effect is not None:
            return -cost_usd
        if self.usd_per_effect is not None:
            return effect - cost_usd / self.usd_per_effect
        if self.cost_weight == 0:
            return self.effect_weight * effect
        return self.effect_weight * effect - self.cost_weight * scale.scale(cost_usd)


def parse_policy(values: dict[str, Any]) -> Policy:
    """A policy from plain values (command line, HTTP, YAML).

    Raises:
        PolicyError: An unknown setting or one that is not accepted.
    """
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        problem = first_problem(error)
        if problem.is_unknown:
            raise PolicyError(
                f"Unknown policy setting {problem.key!r}. Settings: "
                f"{', '.join(Policy.model_fields)}."
            ) from None
        where = f"{problem.key} = {problem.received!r}: " if problem.key else ""
        raise PolicyError(f"Policy: {where}{problem.message}.") from None


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy needs besides the predictions."""

    pool: ModelPool
    scale: CostScale


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
    candidates = _candidates(policy, predictions, row, context)
    chosen, used_fallback = candidates[0], False
    if chosen.rejected is not None:
        if policy.fallback is None:
            raise PolicyError(_nobody(candidates))
        used_fallback = True
        chosen = next(c for c in candidates if c.model == policy.fallback)
    safe = None if used_fallback else _safe_instead(policy, chosen, candidates)
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
    )


def _candidates(
    policy: Policy, predictions: Predictions, row: int, context: PolicyContext
) -> tuple[Candidate, ...]:
    """Every model as the policy sees it, best first, the rejected ones last."""
    estimates = _estimates(policy, predictions, row)
    reasons = _rejections(policy, estimates, context)
    counted, cost = np.array([each.counted for each in estimates]), predictions.cost_usd[row]
    utility = policy.utility(counted, cost, context.scale)
    order = _preference(utility, counted, cost, np.array([reason is None for reason in reasons]))
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


def _safe_instead(
    policy: Policy, chosen: Candidate, candidates: tuple[Candidate, ...]
) -> Candidate | None:
    """The safe model, where too little is known of the chosen one and the policy does not rule the
    safe one out; else None.
    """
    if (
        policy.safe_model in (None, chosen.model)
        or chosen.doubt is None
        or chosen.doubt <= policy.max_doubt
    ):
        return None
    return next(
        (c for c in candidates if c.model == policy.safe_model and c.rejected is None), None
    )


def _preference(
    utility: FloatArray, effect: FloatArray, cost: FloatArray, accepted: BoolArray
) -> list[int]:
    """Column numbers, best first: accepted before rejected, then utility, then cheaper, then
    better, then pool order.
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
    output_tokens: float | None
    latency_s: float | None
    effect_low: float | None
    effect_high: float | None


def _estimates(policy: Policy, predictions: Predictions, row: int) -> list[_Estimate]:
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
    counted = {"lower": low, "expected": effect, "upper": high}[policy.risk]
    return [
        _Estimate(
            model,
            effect[i],
            counted[i],
            cost[i],
            (prompt[i] or 0.0) + (answer[i] or 0.0),
            answer[i],
            latency[i],
            low[i],
            high[i],
        )
        for i, model in enumerate(predictions.models)
    ]


def _rejections(
    policy: Policy, estimates: list[_Estimate], context: PolicyContext
) -> list[str | None]:
    """Why each model is ruled out, in pool order; None where it is not."""
    named = (
        *(policy.allowed or ()),
        *policy.excluded,
        *filter(None, (policy.fallback, policy.safe_model)),
    )
    for name in named:
        if name not in context.pool.index:
            raise UnknownModelError(
                f"The policy names {name!r}, which is not in the pool: "
                f"{', '.join(context.pool.names)}."
            )
    return [
        _why_not(policy, estimate, card)
        for estimate, card in zip(estimates, context.pool, strict=True)
    ]


def _why_not(policy: Policy, estimate: _Estimate, card: ModelCard) -> str | None:
    if math.isnan(estimate.effect):
        return "effect unknown"
    if policy.allowed is not None and card.model not in policy.allowed:
        return "not in allowed"
    if card.model in policy.excluded:
        return "in excluded"
    for capability in policy.requires:
        if not card.has_capability(capability):
            return f"card does not state {capability}"
    if card.context_tokens is not None and estimate.tokens > card.context_tokens:
        return (
            f"context of {card.context_tokens} tokens is shorter than the "
            f"{estimate.tokens:.0f} expected"
        )
    return _too_dear(policy, estimate) or _too_slow(policy, estimate)


def _too_dear(policy: Policy, estimate: _Estimate) -> str | None:
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


def _too_slow(policy: Policy, estimate: _Estimate) -> str | None:
    if policy.max_latency_s is None:
        return None
    if estimate.latency_s is None:
        return "latency unknown"
    return (
        f"latency {estimate.latency_s:.2f} s above {policy.max_latency_s:g}"
        if estimate.latency_s > policy.max_latency_s
        else None
    )


def _nobody(candidates: tuple[Candidate, ...]) -> str:
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
