"""What a plan of calls is about: prompt, policy, judge and limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.batch_records import check_amount
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.field_demands import read_amounts
from graphrouter.grades import Judge
from graphrouter.number_checks import is_whole
from graphrouter.policy import Policy
from graphrouter.router.outcome_covariance import to_logit
from graphrouter.selection import PolicyContext, list_choices
from graphrouter.types import BoolArray, FloatArray, Predictions, Queries
from graphrouter.utility import Charges

if TYPE_CHECKING:
    from graphrouter.chats.chat_prompts import Prompt
    from graphrouter.routes import RouteMatch


@dataclass(frozen=True)
class Limits:
    """What a sequence of calls may take at most."""

    max_calls: int = 3
    """>= 1."""
    max_total_cost_usd: float | None = None
    """US dollars of all calls and grades together, as expected before each; >= 0."""
    deadline_s: float | None = None
    """Seconds of all calls one after the other, as expected before each; >= 0."""
    at_once: int = 1
    """Calls side by side; >= 1."""

    def __post_init__(self) -> None:
        for name in ("max_calls", "at_once"):
            if not is_whole(getattr(self, name), least=1):
                raise PolicyError(
                    f"{name} is {getattr(self, name)!r}; expected a whole number from 1."
                )
        for name in ("max_total_cost_usd", "deadline_s"):
            if getattr(self, name) is not None:
                check_amount(name, getattr(self, name))


class Prices(NamedTuple):
    """In the unit of a policy's utility. M models."""

    per_effect: float
    """What one unit of effect is worth, >= 0."""
    call: FloatArray
    """(1, M) of a call of each."""
    grade: float
    """Of a grade."""
    second: float
    """Of a second of waiting, counted in `call` as well."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What a plan is about; the same for all plans that follow from one another."""

    prompt: str
    """The text that it is routed by."""
    policy: Policy
    judge: Judge
    judge_cost_usd: float
    limits: Limits
    predictions: Predictions
    """Of the prompt, with nothing told; one row."""
    covariance: FloatArray
    """(M, M) of the models' outcomes on one query."""
    context: PolicyContext
    match: RouteMatch | None = None
    """Of the prompt with named routes; None where none were given."""
    given: Prompt = ""
    """The prompt as it was given, by which models are asked."""
    query: Queries | None = None
    """The prompt with who asked it and what goes with it."""

    @cached_property
    def columns(self) -> dict[str, int]:
        """Number of each model."""
        return {model: i for i, model in enumerate(self.predictions.models)}

    @cached_property
    def logit(self) -> FloatArray:
        """(1, M) of the effects."""
        return to_logit(self.predictions.effect)

    @cached_property
    def is_open(self) -> BoolArray:
        """(1, M) whom the policy lets be asked at all.

        Raises:
            PolicyError: Nobody, and it names no fallback.
            UnknownModelError: It names a model that is not in the pool.
        """
        choices = list_choices(
            self.policy,
            self.predictions,
            self.context,
            needs_cost=self.policy.needs_cost or self.limits.max_total_cost_usd is not None,
            needs_latency=self.limits.deadline_s is not None
            or self.policy.usd_per_second is not None,
        )
        return choices.is_open

    @cached_property
    def prices(self) -> Prices:
        """What effect, calls and a grade are worth, in the unit of the policy's utility."""
        cost, latency = self.predictions.cost_usd, self.predictions.latency_s
        zero, worth = np.zeros(1), partial(self.policy.utility, scale=self.context.scale)
        free = Charges(zero, dict.fromkeys(self.policy.penalties, zero))
        nothing = worth(zero, zero, charges=free)
        # A call waits, and takes what its card says, each time.
        charges = Charges(latency, read_amounts(self.policy, self.context.pool))
        call = nothing - worth(np.zeros_like(cost), cost, charges=charges)
        return Prices(
            float((worth(zero + 1, zero, charges=free) - nothing)[0]),
            np.nan_to_num(call),  # unknown for a fallback alone, which is then the only choice
            float((nothing - worth(zero, zero + self.judge_cost_usd, charges=free))[0]),
            float((nothing - worth(zero, zero, charges=free._replace(latency_s=zero + 1)))[0]),
        )


def check_settings(policy: Policy, judge: Judge, judge_cost_usd: float) -> None:
    """Refuse a policy that does not say what effect is worth against cost, and what is no judge.

    Raises:
        DataError: The judge is none.
        PolicyError: The policy asks for the cheapest model above a bar, or looks at ends of
            intervals; or the price of a grade is no such number.
    """
    if not isinstance(policy, Policy):
        raise PolicyError(f"policy is a {type(policy).__name__}; expected a Policy.")
    if not isinstance(judge, Judge):
        raise DataError(
            f"How often the judge is right is a {type(judge).__name__}; expected a "
            "graphrouter.Judge, such as Judge.parse('auc:0.8')."
        )
    check_amount("judge_cost_usd", judge_cost_usd, mending="Leave it out for a free judge.")
    for name, is_asked in (
        ("min_effect", policy.min_effect is not None),
        (f"risk = {policy.risk}", policy.risk != "expected"),
        ("safe_model", policy.safe_model is not None),
    ):
        if is_asked:
            raise PolicyError(
                f"The policy asks for {name}, which says nothing of what a second call is worth; "
                "expected weights of effect and cost, or usd_per_effect."
            )
