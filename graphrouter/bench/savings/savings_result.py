"""What policies would have saved over a period, and what is sure of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrouter.bench.savings.logged_period import Logged, Period
from graphrouter.bench.savings.policy_amounts import (
    Amount,
    CallRows,
    compare,
    lay_rows,
    measure_amount,
    measure_cost_error,
)
from graphrouter.exceptions import NotApplicableError, PolicyError
from graphrouter.files import to_plain
from graphrouter.moment import check_in_pool
from graphrouter.notebook import render_table
from graphrouter.policy import PRESETS, Policy
from graphrouter.types import IntArray
from graphrouter.wording import name_some

if TYPE_CHECKING:
    from graphrouter.router.protocol import Router

PRESET_LABELS = {
    "performance_first": "Quality first",
    "balanced": "Balanced",
    "cost_first": "Cost first",
}
"""What a page calls the three presets."""
FEWEST_CALLS = 30
"""To judge on."""
MOSTLY = 0.9
"""Share of the calls from which an amount counts as told by the log."""


@dataclass(frozen=True, eq=False)
class PolicySavings:
    """One way to choose, over the whole period."""

    name: str
    words: str
    """What it chooses by."""
    cost_usd: Amount
    """US dollars of the period."""
    effect: Amount
    """Mean of a call, in [0, 1]."""
    saved_usd: Amount | None
    """Against the baseline; None for the baseline itself."""
    effect_change: Amount | None
    """Mean effect less that of the baseline."""
    shares: Mapping[str, float]
    """Share of the calls that each model gets, the largest first."""

    @property
    def effect_ends(self) -> tuple[float, float, float]:
        """Mean effect and its ends, kept within [0, 1]."""
        low, high = max(self.effect.low, 0.0), min(self.effect.high, 1.0)
        return self.effect.value, low, high

    @property
    def saved_share(self) -> float | None:
        """Of what the baseline costs; None for itself, and where that costs nothing."""
        if self.saved_usd is None:
            return None
        base = self.cost_usd.value + self.saved_usd.value
        return self.saved_usd.value / base if base > 0 else None


@dataclass(frozen=True, eq=False)
class Savings:
    """A period under a baseline and under policies."""

    log: str
    """Name of the log."""
    baseline: PolicySavings
    policies: tuple[PolicySavings, ...]
    logged: Logged | None
    """As it was, where the log is one of calls that were made."""
    num_calls: int
    num_judged: int
    """Calls that all this was measured on, new to the router; the others are taken to be alike."""
    cost_error: tuple[float, float]
    """Ratios of observed to predicted cost between which the models lie; NaN = not known."""
    why_unknown: str
    """Why the log cannot tell of all models, in a sentence; empty where it can."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; what is undefined is None."""
        plain: dict[str, Any] = to_plain(self)
        for found, policy in zip(plain["policies"], self.policies, strict=True):
            found["saved_share"] = to_plain(policy.saved_share)
        return plain

    def _repr_html_(self) -> str:
        rows = [
            (each.name, each.cost_usd.value, each.saved_share, each.effect.value)
            for each in (self.baseline, *self.policies)
        ]
        columns = ("policy", "US dollars", "share saved", "mean effect")
        return render_table(f"{self.num_calls:,} calls of {self.log}", columns, rows)


def find_savings(
    router: Router,
    period: Period,
    *,
    baseline: str,
    policies: Mapping[str, Policy] | None = None,
) -> Savings:
    """What a period would have cost and brought, had policies chosen instead of one model for all.

    Args:
        router: Its pool and scale of costs are what policies weigh by.
        period: The calls, from `read_period`.
        baseline: The model that everything is compared with.
        policies: By name; the three presets without it.

    Raises:
        NotApplicableError: Nobody knows the costs of a model that is asked, or there are fewer than
            30 calls to judge on.
        PolicyError: A policy finds nobody to ask at some call.
        UnknownModelError: The pool has no model `baseline`.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=300, num_models=4).data
        >>> router = gr.GraphRouter.fit(data, instant=True)
        >>> from graphrouter.bench.savings import read_period
        >>> period = read_period(router, data)
        >>> found = find_savings(router, period, baseline=router.models[-1])
        >>> [each.name for each in found.policies], found.num_calls
        (['Quality first', 'Balanced', 'Cost first'], 300)
    """
    columns = {model: place for place, model in enumerate(router.models)}
    check_in_pool("The baseline", baseline, columns)
    judged = _drop_unknown(period, columns[baseline], baseline)
    chosen = policies or {
        label: Policy.preset(name) for name, label in PRESET_LABELS.items() if name in PRESETS
    }
    targets = {name: _choose(judged, name, policy, columns) for name, policy in chosen.items()}
    base = np.full(len(judged.predictions), columns[baseline], dtype=np.int64)
    everyone = {f"Always {baseline}": base, **targets}
    rows = {
        quantity: [lay_rows(judged, quantity, target) for target in everyone.values()]
        for quantity in ("cost_usd", "effect")
    }
    words = ["one model for all calls", *(policy.describe() for policy in chosen.values())]
    found = _tell(
        list(zip(everyone.items(), words, strict=True)),
        rows["cost_usd"],
        rows["effect"],
        router.models,
        period.num_calls,
    )
    return Savings(
        period.name,
        found[0],
        tuple(found[1:]),
        period.logged,
        period.num_calls,
        len(judged.predictions),
        measure_cost_error(judged),
        period.why_unknown,
    )


def _drop_unknown(period: Period, column: int, baseline: str) -> Period:
    """The calls of which something is predicted of the baseline."""
    effect, cost = period.predictions.effect, period.predictions.cost_usd
    if not np.isfinite(cost).any():
        raise NotApplicableError(
            "Savings need costs: the router was trained on outcomes without cost_usd, and without "
            "tokens of models with a price. Train it on a log with one of them."
        )
    if not np.isfinite(cost[:, column]).any():
        raise NotApplicableError(_explain_no_cost([baseline]))
    known = np.flatnonzero(np.isfinite(effect[:, column]) & np.isfinite(cost[:, column]))
    if len(known) < FEWEST_CALLS:
        raise NotApplicableError(
            f"There are {len(known):,} calls to judge {baseline} on that the router has not "
            f"learned from; expected at least {FEWEST_CALLS}. Give a longer log."
        )
    return period if len(known) == len(effect) else period.take(known)


def _explain_no_cost(models: Sequence[str]) -> str:
    return (
        f"Nobody knows what a call of {name_some(models)} costs: the router saw no cost of it, and "
        "it has no price. Give it one with graphrouter pool set-price, or name another baseline or "
        "policies that leave it out."
    )


def _check_costs(rows: CallRows, models: tuple[str, ...]) -> None:
    unknown = np.unique(rows.target[np.isnan(rows.value)])
    if len(unknown):
        raise NotApplicableError(_explain_no_cost([models[column] for column in unknown]))


def _choose(period: Period, name: str, policy: Policy, columns: Mapping[str, int]) -> IntArray:
    models = period.choose(policy)
    nobody = sum(model is None for model in models)
    if nobody:
        raise PolicyError(
            f"The policy {name!r} finds nobody to ask at {nobody:,} of {len(models):,} calls. Give "
            "it a fallback, or ask for less."
        )
    return np.array([columns[str(model)] for model in models], dtype=np.int64)


def _tell(
    everyone: list[tuple[tuple[str, IntArray], str]],
    costs: list[CallRows],
    effects: list[CallRows],
    models: tuple[str, ...],
    num_calls: int,
) -> list[PolicySavings]:
    found = []
    for place, ((name, target), words) in enumerate(everyone):
        _check_costs(costs[place], models)
        saved = change = None
        if place:
            saved = compare(costs[0], costs[place])
            change = compare(effects[place], effects[0])
        counts = Counter(target.tolist()).most_common()
        found.append(
            PolicySavings(
                name,
                words,
                measure_amount(costs[place]).times(num_calls),
                measure_amount(effects[place]),
                None if saved is None else saved.times(num_calls),
                change,
                {models[column]: count / len(target) for column, count in counts},
            )
        )
    return found
