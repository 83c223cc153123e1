"""What to maximise (`Policy.utility`) and what to respect when a query is routed.

Policies stand outside the network, so one artifact serves every trade-off. `Policy` is the one
place where settings are written down: the options of the command line, the parameters of a
registered model and the parser of plain values are made from its fields. `decision` applies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import PolicyError
from graphrouter.own_fields import OwnValue
from graphrouter.policy_words import (
    PRESET,
    RIVALS,
    WEIGHTS,
    OptionName,
    check_charges,
    check_is_no_preset,
    check_one_goal,
    complete_weights,
    freeze,
    read_given,
    read_penalties,
    read_requirements,
)
from graphrouter.types import FloatArray
from graphrouter.utility import PRESETS, Charges, CostScale, PresetName, UtilityArrays, weigh
from graphrouter.wording import name_some, show_value

__all__ = [
    "PRESETS",
    "Capability",
    "CostScale",
    "Policy",
    "PresetName",
    "Risk",
    "parse_policy",
    "weigh",
]

Risk = Literal["lower", "expected", "upper"]
Capability = Literal["tools", "vision", "json"]


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
    usd_per_second: float | None = Field(
        None, ge=0, description="What a second to the end of the answer costs you, in US dollars."
    )
    penalties: Annotated[
        dict[str, Annotated[float, Field(ge=0)]], OptionName("penalty", metavar="NAME=VALUE")
    ] = Field(
        {},
        description="Effect that one unit of a numeric field of the card takes off, such as "
        "energy_wh=0.02.",
    )
    max_cost_usd: float | None = Field(None, ge=0, description="Most expected US dollars a call.")
    min_effect: float | None = Field(
        None, ge=0, le=1, description="Take the cheapest model with at least this expected effect."
    )
    max_latency_s: float | None = Field(
        None, gt=0, description="Most expected seconds to the end of the answer."
    )
    max_ttft_s: float | None = Field(
        None, gt=0, description="Most expected seconds to the first token of the answer."
    )
    allowed: Annotated[tuple[str, ...] | None, OptionName("allow", metavar="MODEL")] = Field(
        None, description="Only these models; all by default."
    )
    excluded: Annotated[tuple[str, ...], OptionName("exclude", metavar="MODEL")] = Field(
        (), description="Never these models."
    )
    requires: Annotated[
        tuple[str, ...] | dict[str, OwnValue], OptionName("require", metavar="NAME[=VALUE]")
    ] = Field(
        (),
        description="What the card must state: tools, vision or json, or a field and its value, "
        "such as region=eu.",
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
    def _read_words(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        check_is_no_preset(values)
        read = complete_weights(values)
        if read.get("requires") is not None:
            read["requires"] = read_requirements(read["requires"], get_args(Capability))
        if read.get("penalties") is not None:
            read["penalties"] = read_penalties(read["penalties"])
        return read

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
        check_one_goal([*self._goals, *self.model_fields_set.intersection(WEIGHTS)])
        check_charges(dict(self), is_weighed=not self._goals)
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
        if scale.is_known or {*WEIGHTS, *RIVALS, "usd_per_second"} & self.model_fields_set:
            return self
        return self.model_copy(update={"effect_weight": 1.0, "cost_weight": 0.0})

    @classmethod
    def preset(cls, name: PresetName, **settings: Any) -> Policy:
        """One of the three presets of the GraphRouter paper.

        Args:
            name: Of the preset.
            settings: Further fields by name, such as `max_cost_usd`; none of those that say what is
                maximised, which the preset does.

        Raises:
            PolicyError: There is no such preset, or a setting is unknown or not accepted.

        Example:
            >>> Policy.preset("cost_first", max_cost_usd=0.01).max_cost_usd
            0.01
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise PolicyError(f"Unknown preset {show_value(name)}. Presets: {', '.join(PRESETS)}.")
        return parse_policy({PRESET: name, **settings}, cls)

    @property
    def settings(self) -> dict[str, Any]:
        """The weights, where they count, and whatever else is set, as plain values."""
        others = self.model_dump(exclude_defaults=True, mode="json")
        if self._goals:
            return others
        return {"effect_weight": self.effect_weight, "cost_weight": self.cost_weight, **others}

    @property
    def _goals(self) -> list[str]:
        """The settings that take the place of the weights; none where those count."""
        return [name for name in RIVALS if getattr(self, name) is not None]

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

    @property
    def limits_seconds(self) -> bool:
        """True when a model is ruled out by how long it takes."""
        return self.max_latency_s is not None or self.max_ttft_s is not None

    @property
    def counts_seconds(self) -> bool:
        """True when the choice depends on how long a model takes."""
        return bool(self.usd_per_second) or self.limits_seconds

    @property
    def requirements(self) -> dict[str, OwnValue]:
        """What cards must state, by the names of their fields; a capability must be true.

        Example:
            >>> Policy(requires=["tools", "region=eu"]).requirements
            {'tools': True, 'region': 'eu'}
        """
        asked = self.requires
        return asked if isinstance(asked, dict) else dict.fromkeys(asked, True)

    def utility(
        self,
        effect: FloatArray,
        cost_usd: FloatArray,
        scale: CostScale,
        charges: Charges | None = None,
    ) -> FloatArray:
        """What this policy maximises, same shape as `effect`; see `split_utility`."""
        return self.split_utility(effect, cost_usd, scale, charges).total

    def split_utility(
        self,
        effect: FloatArray,
        cost_usd: FloatArray,
        scale: CostScale,
        charges: Charges | None = None,
    ) -> UtilityArrays:
        """The parts of what this policy maximises, each in the shape of `effect`.

        NaN where a cost, a latency or a penalised field is needed and unknown. The reward of an
        observed outcome is the same function of what was observed. Seconds are counted as dollars,
        at the same price in effect; under weights they are not clipped as scaled costs are.

        Args:
            effect: In [0, 1].
            cost_usd: US dollars a call.
            scale: Of the router.
            charges: What `usd_per_second` and `penalties` count.
        """
        per_effect, dollars, per_usd = 1.0, cost_usd, 1.0
        if self.min_effect is not None:
            effect = np.zeros_like(effect)
        elif self.usd_per_effect is not None:
            dollars, per_usd = cost_usd / self.usd_per_effect, 1 / self.usd_per_effect
        else:
            per_effect, effect = self.effect_weight, self.effect_weight * effect
            counts, per_usd = self.cost_weight > 0, self.cost_weight / scale.width_usd
            dollars = self.cost_weight * scale.scale(cost_usd) if counts else np.zeros_like(effect)
        charged = Charges() if charges is None else charges
        return UtilityArrays(
            effect,
            dollars,
            charged.count_seconds(effect, per_usd, self.usd_per_second),
            charged.count_penalties(effect, per_effect, self.penalties),
        )

    def describe(self) -> str:
        """The policy in words: what it maximises, then what it respects.

        Example:
            >>> Policy(cost_weight=0, risk="lower", max_latency_s=2).describe()
            'the highest lower end of the effect; at most 2 s'
        """
        limits = [
            f"a second costs {self.usd_per_second:g} USD"
            if self.usd_per_second is not None
            else "",
            *(f"less {each:g} a unit of {name}" for name, each in self.penalties.items()),
            f"at most {self.max_cost_usd:g} USD a call" if self.max_cost_usd is not None else "",
            f"at most {self.max_latency_s:g} s" if self.max_latency_s is not None else "",
            f"first token within {self.max_ttft_s:g} s" if self.max_ttft_s is not None else "",
            f"only {name_some(self.allowed, most=8)}" if self.allowed is not None else "",
            f"never {name_some(self.excluded, most=8)}" if self.excluded else "",
            f"with {', '.join(map(_say_requirement, self.requirements.items()))}"
            if self.requires
            else "",
            f"{self.safe_model} where the interval of the best is wider than {self.max_doubt:g}"
            if self.safe_model
            else "",
            f"{self.safe_model} where the familiarity is below {self.min_familiarity:g}"
            if self.min_familiarity
            else "",
        ]
        return "; ".join([self._describe_goal(), *(limit for limit in limits if limit)])

    def _title(self) -> str:
        return f"Policy: {self.describe()}"

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

    def __hash__(self) -> int:
        return hash(freeze(dict(self)))  # mappings have no hash of their own


def _say_requirement(asked: tuple[str, OwnValue]) -> str:
    name, value = asked
    return name if value is True else f"{name} = {value}"


def parse_policy(
    values: Mapping[str, Any], kind: type[Policy] = Policy, *, source: str | None = None
) -> Policy:
    """A policy from plain values (command line, HTTP, MLflow, YAML).

    Args:
        values: Settings by the names of the fields of `Policy`, and perhaps `preset` in the place
            of the weights. None and an empty list count as not given.
        kind: The class, where it is one with more settings.
        source: What to call the values in messages; the name of the class without it.

    Example:
        >>> parse_policy({"preset": "cost_first", "fallback": None, "excluded": []}).cost_weight
        0.8

    Raises:
        PolicyError: An unknown setting, one that is not accepted, or a preset beside a setting that
            takes the place of its weights.
    """
    source = source or kind.__name__
    if not isinstance(values, Mapping):
        raise PolicyError(
            f"{source}: a policy was to be made of a {type(values).__name__}; expected a mapping "
            "of settings."
        )
    try:
        given = read_given(values, PRESETS)
    except ValueError as error:
        raise PolicyError(f"{source}: {error}.") from None
    return kind.parse(given, source=source)
