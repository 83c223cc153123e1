"""What a plan of calls is about: prompt, policy, judge and limits."""

from __future__ import annotations

from dataclasses import dataclass

from graphrouter.batch_routing import check_amount
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.grades import Judge
from graphrouter.policy import Policy
from graphrouter.selection import PolicyContext
from graphrouter.types import FloatArray, Predictions


@dataclass(frozen=True)
class Limits:
    """What a sequence of calls may take at most."""

    max_calls: int = 3
    """>= 1."""
    max_total_cost_usd: float | None = None
    """US dollars of all calls and grades together, as expected before each; >= 0."""
    deadline_s: float | None = None
    """Seconds of all calls one after the other, as expected before each; >= 0."""

    def __post_init__(self) -> None:
        if isinstance(self.max_calls, bool) or not isinstance(self.max_calls, int):
            raise PolicyError(f"max_calls is {self.max_calls!r}; expected a whole number from 1.")
        if self.max_calls < 1:
            raise PolicyError(f"max_calls is {self.max_calls}; expected at least 1.")
        for name in ("max_total_cost_usd", "deadline_s"):
            if getattr(self, name) is not None:
                check_amount(name, getattr(self, name))


@dataclass(frozen=True)
class Asked:
    """What a plan is about; the same for all plans that follow from one another."""

    prompt: str
    policy: Policy
    judge: Judge
    judge_cost_usd: float
    limits: Limits
    predictions: Predictions
    """Of the prompt, with nothing told; one row."""
    covariance: FloatArray
    """(M, M) of the models' outcomes on one query."""
    context: PolicyContext


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
