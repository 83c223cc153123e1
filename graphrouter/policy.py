"""What to maximise (`Policy.utility`) and what to respect when a query is routed.

Policies stand outside the network, so one artifact serves every trade-off. `Policy` is the one
place where settings are written down: the options of the command line, the parameters of a
registered model and the parser of plain values are made from its fields. `decision` applies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import PolicyError
from graphrouter.types import FloatArray

__all__ = [
    "PRESETS",
    "Capability",
    "CostScale",
    "Policy",
    "PresetName",
    "Risk",
    "parse_policy",
]

PresetName = Literal["performance_first", "balanced", "cost_first"]
Risk = Literal["lower", "expected", "upper"]
Capability = Literal["tools", "vision", "json"]
PRESETS: dict[PresetName, tuple[float, float]] = {
    "performance_first": (1.0, 0.0),
    "balanced": (0.5, 0.5),
    "cost_first": (0.2, 0.8),
}
"""(effect weight, cost weight) of each preset, from GraphRouter (Feng, Shen, You; ICLR 2025),
section 4."""


class CostScale(NamedTuple):
    """Maps US dollars a call to [0, 1]; fitted on training outcomes, saved with the artifact.

    A graph router moves it with the prices of its models (`features.tables.reprice_scale`). The
    bounds are the 1st and the 99th percentile and not the extremes: a single runaway completion
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


@dataclass(frozen=True)
class OptionName:
    """How a setting is named in a command line, where its field alone does not say it."""

    name: str | None = None
    """The option without its dashes; the name of the field by default."""
    metavar: str | None = None
    """What stands for the value in the help."""


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
    refusal = PolicyError

    effect_weight: float = Field(
        0.5,
        ge=0,
        description="Weight of the expected effect; given alone, the cost gets the rest of 1.",
    )
    cost_weight: float = Field(
        0.5,
        ge=0,
        description="Weight of the scaled cost; given alone, the effect gets the rest of 1.",
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
    allowed: Annotated[tuple[str, ...] | None, OptionName("allow", metavar="MODEL")] = Field(
        None, description="Only these models; all by default."
    )
    excluded: Annotated[tuple[str, ...], OptionName("exclude", metavar="MODEL")] = Field(
        (), description="Never these models."
    )
    requires: Annotated[tuple[Capability, ...], OptionName("require")] = Field(
        (), description="Capabilities that the card must state."
    )
    fallback: Annotated[str | None, OptionName(metavar="MODEL")] = Field(
        None, description="Model to take when nobody satisfies the policy; an error by default."
    )
    risk: Annotated[Risk, OptionName(metavar="END")] = Field(
        "expected",
        description="Which end of the interval of effect counts: lower (cautious), expected, or "
        "upper (tries newcomers).",
    )
    safe_model: Annotated[str | None, OptionName(metavar="MODEL")] = Field(
        None, description="Model to take when too little is known of the one that is best."
    )
    max_doubt: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Width of the interval of effect above which the safe model is taken; 0.3 "
        "by default.",
    )
    min_familiarity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Familiarity of the prompt below which the safe model is taken; 0, never, by "
        "default.",
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
            for name in ("max_doubt", "min_familiarity"):
                if name in self.model_fields_set:
                    raise ValueError(
                        f"{name} says when a safe model is taken, and there is none; set "
                        "safe_model too"
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
        """This policy, or the same by effect alone where nobody chose weights or knows costs."""
        if scale.is_known or {"effect_weight", "cost_weight"} & self.model_fields_set:
            return self
        return self.model_copy(update={"effect_weight": 1.0, "cost_weight": 0.0})

    @classmethod
    def preset(cls, name: PresetName) -> Policy:
        """One of the three presets of the GraphRouter paper."""
        if not isinstance(name, str) or name not in PRESETS:
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
        return weigh(effect, scale.scale(cost_usd), self.effect_weight, self.cost_weight)

    def describe(self) -> str:
        """The policy in words: what it maximises, then what it respects.

        Example:
            >>> Policy(cost_weight=0, risk="lower", max_latency_s=2).describe()
            'the highest lower end of the effect; at most 2 s'
        """
        limits = [
            f"at most {self.max_cost_usd:g} USD a call" if self.max_cost_usd is not None else "",
            f"at most {self.max_latency_s:g} s" if self.max_latency_s is not None else "",
            f"only {', '.join(self.allowed)}" if self.allowed is not None else "",
            f"never {', '.join(self.excluded)}" if self.excluded else "",
            f"with {', '.join(self.requires)}" if self.requires else "",
            f"{self.safe_model} where the interval of the best is wider than {self.max_doubt:g}"
            if self.safe_model
            else "",
            f"{self.safe_model} where the familiarity is below {self.min_familiarity:g}"
            if self.min_familiarity
            else "",
        ]
        return "; ".join([self._describe_goal(), *(limit for limit in limits if limit)])

    def _describe_goal(self) -> str:
        is_expected = self.risk == "expected"
        counted = "effect" if is_expected else f"{self.risk} end of the effect"
        if self.min_effect is not None:
            article = "an" if self.risk == "upper" else "a"
            wanted = "an expected effect" if is_expected else f"{article} {counted}"
            return f"the lowest cost among models with {wanted} of at least {self.min_effect:g}"
        if self.usd_per_effect is not None:
            return f"the highest {counted} - cost / {self.usd_per_effect:g} USD"
        if self.cost_weight == 0:
            return f"the highest {'expected effect' if is_expected else counted}"
        effect = f"{self.effect_weight:g} x {counted}"
        return f"the highest {effect} - {self.cost_weight:g} x scaled cost"


PRESET = "preset"
"""Name of a preset among plain values, in the place of the two weights."""


def weigh(
    effect: FloatArray, scaled_cost: FloatArray, effect_weight: float, cost_weight: float
) -> FloatArray:
    """The reward of the GraphRouter paper: effect_weight * effect - cost_weight * scaled cost.

    Args:
        effect: In [0, 1], any shape; NaN = unknown.
        scaled_cost: In [0, 1], same shape; an unknown one (NaN) counts only where cost does.
        effect_weight: At least 0.
        cost_weight: At least 0.

    Example:
        >>> import numpy as np
        >>> weigh(np.array([0.9, 0.9]), np.array([0.5, np.nan]), 0.5, 0.5).tolist()
        [0.2, nan]
    """
    if cost_weight == 0:
        return effect_weight * effect
    return effect_weight * effect - cost_weight * scaled_cost


def parse_policy(values: Mapping[str, Any], kind: type[Policy] = Policy) -> Policy:
    """A policy from plain values (command line, HTTP, MLflow, YAML).

    Args:
        values: Settings by the names of the fields of `Policy`, and perhaps `preset` in the place
            of the weights. None and an empty list count as not given.
        kind: The class, where it is one with more settings.

    Example:
        >>> parse_policy({"preset": "cost_first", "fallback": None, "excluded": []}).cost_weight
        0.8

    Raises:
        PolicyError: An unknown setting, one that is not accepted, or a preset beside a weight.
    """
    if not isinstance(values, Mapping):
        raise PolicyError(
            f"A policy was to be made of a {type(values).__name__}; expected a mapping of settings."
        )
    given = {name: value for name, value in values.items() if not _is_absent(value)}
    preset = given.pop(PRESET, None)
    if preset is not None:
        chosen = Policy.preset(preset)
        weights = [name for name in ("effect_weight", "cost_weight") if name in given]
        if weights:
            raise PolicyError(
                f"The preset {preset!r} and {weights[0]} both set the weights; give one of them."
            )
        given |= {"effect_weight": chosen.effect_weight, "cost_weight": chosen.cost_weight}
    return kind.parse(given, source=kind.__name__)


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and not value)
