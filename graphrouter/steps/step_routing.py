"""Where each step of a plan is sent, and what the whole is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrouter.batch_records import ROUNDING, BatchLimits
from graphrouter.grades import Grade
from graphrouter.notebook import render_table
from graphrouter.steps.plan_steps import StepPlan
from graphrouter.wording import count_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class RoutedStep:
    """One step of a plan, and who takes it."""

    name: str
    role: str | None
    role_known: bool | None
    """Whether the router knows the role as a task, so that it counts; None for a router that does
    not look at tasks."""
    after: tuple[str, ...]
    model: str
    effect: float
    """Expected effect where everything that it builds upon can be used, in [0, 1]; for a settled
    step that was graded what its answer is worth."""
    chance_right: float
    """Expected effect as things are: with the chance that what it builds upon can be used."""
    share: float
    """Share of the worth of the plan that hangs on it, in [0, 1]: 1 where all is lost without
    it."""
    cost_usd: float | None
    """Expected US dollars of the call, or what a settled step was billed; None where unknown."""
    latency_s: float | None
    """Expected seconds to the end of the answer, 0 for a settled step; None where unknown."""
    is_settled: bool
    used_fallback: bool
    """Whether nobody satisfied the policy and its fallback was taken."""


@dataclass(frozen=True, repr=False, eq=False)
class StepRouting:
    """A model for each step of a plan under a budget, and how far the choice is from the best.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> router = gr.GraphRouter.fit(data, instant=True)
        >>> steps = [
        ...     {"role": "extraction", "prompt": "Take the figures from the letter."},
        ...     {"role": "writing", "prompt": "Write an answer to it.", "after": "extraction"},
        ... ]
        >>> routing = router.route_steps(steps, budget_usd=0.01)
        >>> [step.name for step in routing.next_steps]
        ['extraction']
        >>> later = routing.after("extraction", effect=1.0, cost_usd=0.002)
        >>> later.steps[0].is_settled, later.spent_usd, later.total_cost_usd <= 0.01
        (True, 0.002, True)
    """

    plan: StepPlan
    steps: tuple[RoutedStep, ...]
    """In the order asked."""
    total_effect: float
    """What the plan is worth: the sum over steps of weight times `chance_right`. Without weights
    the mean chance that an end of the plan goes right."""
    limits: BatchLimits
    """What the plan was allowed, settled steps included."""
    _replan: Callable[[StepPlan], StepRouting]
    """The routing of a plan that goes on from this one."""
    tolerance: float = 0.0
    """Chance that a step that went wrong does no harm to what comes after it."""
    bound: float | None = None
    """No choice that fits is worth more, by what the policy counts; None where nothing is
    limited, so that each step was decided by itself, or nothing is left to choose."""
    counted: float | None = None
    """The worth of the choice by what the policy counts, to be held against `bound`: the end that
    `Policy.risk` names, less penalties, in the place of the expected effect."""
    shadow_price: float | None = None
    """Worth that one more dollar would buy, 0 where the budget does not bind; None without
    `budget_usd`."""
    shadow_price_s: float | None = None
    """Worth that one more second would buy; None without `budget_s`."""
    shadow_price_calls: Mapping[str, float] = field(default_factory=dict)
    """Worth that one more call of a capped model would buy, by model."""

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.steps)

    def __getitem__(self, name: str) -> RoutedStep:
        """The step of that name.

        Raises:
            DataError: There is none.
        """
        return self.steps[self.plan.find(name)]

    @property
    def model(self) -> tuple[str, ...]:
        """Model of each step, in the order asked."""
        return tuple(step.model for step in self.steps)

    @property
    def gap(self) -> float | None:
        """What is lost against the best choice at most; None without `bound`, 0 up to rounding."""
        if self.bound is None or self.counted is None:
            return None
        gap = self.bound - self.counted
        return gap if gap > ROUNDING * max(1.0, abs(self.bound)) else 0.0

    @property
    def total_cost_usd(self) -> float:
        """US dollars of all steps, settled ones included; NaN where that of one is unknown."""
        return float(sum(_or_nan(step.cost_usd) for step in self.steps))

    @property
    def spent_usd(self) -> float:
        """US dollars of the settled steps; NaN where that of one is unknown."""
        return float(sum(_or_nan(step.cost_usd) for step in self.steps if step.is_settled))

    @property
    def critical_path_s(self) -> float:
        """Seconds to the end of the plan if each step starts as soon as it can; NaN = unknown."""
        ends = np.zeros(len(self.steps))
        for i in self.plan.order:
            waits = ends[self.plan.direct[i]].max(initial=0.0)
            ends[i] = waits + _or_nan(self.steps[i].latency_s)
        return float(ends.max()) if not np.isnan(ends).any() else float("nan")

    @property
    def next_steps(self) -> tuple[RoutedStep, ...]:
        """The steps that can be run now: all that they build upon is settled."""
        settled = self.plan.is_settled
        return tuple(
            step
            for i, step in enumerate(self.steps)
            if not settled[i] and settled[self.plan.direct[i]].all()
        )

    @property
    def unknown_roles(self) -> tuple[str, ...]:
        """Roles that the router does not know as tasks: their steps are routed by prompt alone."""
        names = (step.role for step in self.steps if step.role_known is False)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def after(
        self,
        name: str,
        effect: float | Grade | None = None,
        *,
        cost_usd: float | None = None,
        model: str | None = None,
    ) -> StepRouting:
        """The rest of the plan, chosen anew with what is left once a step was run.

        Args:
            name: Which step.
            effect: Grade of what came of it; as was expected where nobody graded it.
            cost_usd: What it was billed; as was expected without it.
            model: Who has run it; whom this routing chose without it.

        Raises:
            DataError: There is no such step, or a value is of another kind.
            PolicyError: What is left does not suffice for the rest.
            UnknownModelError: There is no such model.
        """
        settled = self.plan.settle(name, model or self[name].model, effect, cost_usd)
        return self._replan(settled)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `graphrouter route-steps --json` prints them; NaN becomes None."""
        totals = {"total_cost_usd": self.total_cost_usd, "critical_path_s": self.critical_path_s}
        return {
            "steps": [{**asdict(step), "after": list(step.after)} for step in self.steps],
            "next": [step.name for step in self.next_steps],
            "total_effect": self.total_effect,
            **{name: None if np.isnan(value) else value for name, value in totals.items()},
            "counted": self.counted,
            "bound": self.bound,
            "shadow_price": self.shadow_price,
            "shadow_price_s": self.shadow_price_s,
            "shadow_price_calls": dict(self.shadow_price_calls),
            "tolerance": self.tolerance,
            "unknown_roles": list(self.unknown_roles),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a step, with the fields of `RoutedStep`; `after` is a list."""
        import pandas as pd  # here, so that what decides alone need not load it

        return pd.DataFrame([{**asdict(step), "after": list(step.after)} for step in self.steps])

    def __repr__(self) -> str:
        parts = [f"effect {self.total_effect:.3g}"]
        if self.limits.budget_usd is not None:
            parts.append(f"{self.total_cost_usd:.6g} of {self.limits.budget_usd:.6g} USD")
        if self.shadow_price is not None:
            parts.append(f"shadow price {self.shadow_price:.3g}")
        if self.gap is not None:
            parts.append(f"gap {self.gap:.2g}")
        return f"StepRouting({count_of(len(self), 'step')}: {', '.join(parts)})"

    def _repr_html_(self) -> str:
        shown = ("name", "role", "model", "effect", "chance_right", "share", "cost_usd")
        rows = ([getattr(step, name) for name in shown] for step in self.steps)
        return render_table(repr(self), shown, rows)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
