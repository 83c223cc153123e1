"""A model for each step of a plan: the highest worth within the limits.

The logarithm of the worth is at least a sum over steps of share * log(chance) (Jensen's inequality,
with the shares of `PlanWorth.shares` at any choice, where the two are equal), so the knapsack of
those terms finds a choice that is worth no less: a minorise-maximise step (Hunter and Lange 2004,
"A Tutorial on MM Algorithms", The American Statistician 58(1)). With one end that counts one such
step is exact. Where steps count for themselves the worth is nearly a sum of chances, for which the
knapsack of its slopes is the better step. Both are taken from several starts, and the best is kept.
Of a small plan every choice is looked at, and the bound is exact.

The bound is a dual: at prices of the limits, each end that counts is a plan of its own, which pays
a share of what its steps use (Guignard and Kim 1987, "Lagrangean Decomposition", Mathematical
Programming 39). Along the relaxed frontier of such a plan its worth is convex in what it pays, so
the best point is a vertex of the hulls, which `list_hull_steps` lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from graphrouter.batch_records import BatchLimits
from graphrouter.batch_routing import (
    hold_limits,
    list_batch_choices,
    solve_named,
    warn_of_idle_prices,
)
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.grades import Grade
from graphrouter.knapsack import list_hull_steps
from graphrouter.moment import check_in_pool
from graphrouter.multipliers import Limit
from graphrouter.number_checks import is_number
from graphrouter.policy import Policy
from graphrouter.selection import Choices, PolicyContext, decide
from graphrouter.steps.plan_steps import Step, StepPlan
from graphrouter.steps.step_routing import RoutedStep, StepRouting
from graphrouter.steps.step_search import search_plan
from graphrouter.steps.step_worth import Flow, PlanWorth
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions
from graphrouter.wording import show_value

_LEAST_CHANCE = 1e-9
"""Chance whose logarithm stands for any below it."""
_MOST_ROUNDS = 30
_RISE = 1e-12
"""Share by which a round has to be worth more to be followed by another."""
_PRICE_FACTORS = (0.0, 0.25, 0.5, 0.71, 1.0, 1.41, 2.0, 4.0)
"""Prices at which the bound is tried, as multiples of those of the choice."""
_MOST_BOUNDED = 200_000
"""(end, step) pairs up to which all of these prices are tried."""


def assign_steps(
    plan: StepPlan,
    predictions: Predictions,
    policy: Policy,
    context: PolicyContext,
    limits: BatchLimits,
    *,
    tolerance: float = 0.0,
    known_tasks: Sequence[str] | None = None,
) -> StepRouting:
    """A model for each step of a plan.

    Args:
        plan: The steps, of which some may be settled.
        predictions: What the router expects of their prompts, one row a step.
        policy: What to respect on every step, and what counts as the effect.
        context: What the policy needs to know of the router.
        limits: What the plan may take in all; without any, the policy decides each step.
        tolerance: Chance in [0, 1] that a step that went wrong does no harm to what follows.
        known_tasks: Tasks that the router can tell apart; None for one that looks at none.

    Raises:
        DataError: `tolerance` is no such number.
        PolicyError: As `Router.route_steps`.
        UnknownModelError: A settled step was run by a model that is not in the pool.
    """
    if not is_number(tolerance) or not 0 <= tolerance <= 1:
        raise DataError(f"tolerance is {show_value(tolerance)}; expected a number in [0, 1].")
    limits.check(predictions.models)
    expected = settle_predictions(plan, predictions, limits)
    worth = PlanWorth(plan.before, plan.weight, float(tolerance))
    rows = np.arange(len(plan))
    if limits.is_empty or plan.is_settled.all():  # with nothing left there is nothing to hold
        columns, used_fallback = _decide_each(plan, expected, policy, context)
        found = _Found(columns, {}, None, None)
    else:
        choices = _list_choices(plan, expected, policy, context, limits)
        warn_of_idle_prices(policy)
        found, used_fallback = _find_best(worth, choices, expected, limits), choices.used_fallback
    prices = dict(found.prices)
    effect = expected.effect[rows, found.columns]
    return StepRouting(
        plan=plan,
        steps=_tell_steps(plan, expected, found.columns, worth, used_fallback, known_tasks),
        total_effect=worth.total(effect),
        limits=limits,
        tolerance=worth.tolerance,
        bound=found.bound,
        counted=found.counted,
        shadow_price=prices.pop("budget_usd", None),
        shadow_price_s=prices.pop("budget_s", None),
        shadow_price_calls=prices,
        _replan=lambda rest: assign_steps(
            rest,
            predictions,
            policy,
            context,
            limits,
            tolerance=tolerance,
            known_tasks=known_tasks,
        ),
    )


def settle_predictions(
    plan: StepPlan, predictions: Predictions, limits: BatchLimits
) -> Predictions:
    """The predictions with what is known of settled steps in the place of what was expected.

    Raises:
        PolicyError: There is a budget, and what a settled step has cost is unknown.
        UnknownModelError: A settled step was run by a model that is not in the pool.
    """
    if not plan.is_settled.any():
        return predictions
    effect, cost, latency = (
        values.copy()
        for values in (predictions.effect, predictions.cost_usd, predictions.latency_s)
    )
    for row, (name, step) in enumerate(zip(plan.names, plan.steps, strict=True)):
        if step.model is None:
            continue
        check_in_pool(f"The step {name!r}", step.model, predictions.models)
        column = predictions.models.index(step.model)
        if step.effect is not None:
            effect[row, column] = Grade.of(step.effect).believe(float(effect[row, column]))
        if step.cost_usd is not None:
            cost[row, column] = step.cost_usd
        latency[row, column] = 0.0
        if limits.budget_usd is not None and np.isnan(cost[row, column]):
            raise PolicyError(
                f"The step {name!r} was run by {step.model!r}, whose cost is unknown, so "
                "budget_usd cannot be kept. State its cost_usd."
            )
    return replace(predictions, effect=effect, cost_usd=cost, latency_s=latency)


class _Problem(NamedTuple):
    """What is to be chosen, and what the choice is worth."""

    worth: PlanWorth
    chance: FloatArray
    """(num_steps, num_models), what counts, in (0, 1]."""
    is_open: BoolArray
    """Same shape: who may be chosen."""
    named: Mapping[str, Limit]

    def total(self, columns: IntArray) -> float:
        """What a choice (num_steps,) is worth."""
        return self.worth.total(self.chances_of(columns))

    def chances_of(self, columns: IntArray) -> FloatArray:
        """The chances (num_steps,) of a choice."""
        return self.chance[np.arange(len(self.chance)), columns]


class _Found(NamedTuple):
    """A choice, and what is known of the best there is."""

    columns: IntArray
    prices: Mapping[str, float]
    bound: float | None
    counted: float | None


def _decide_each(
    plan: StepPlan, predictions: Predictions, policy: Policy, context: PolicyContext
) -> tuple[IntArray, BoolArray]:
    """The column that the policy takes on each step, and whether that is the fallback."""
    models, fallback = [], []
    for row, step in enumerate(plan.steps):
        if step.model is not None:
            models.append(step.model)
            fallback.append(False)
            continue
        decision = decide(policy, predictions, row, context)
        models.append(decision.model)
        fallback.append(decision.used_fallback)
    columns = np.array([predictions.models.index(model) for model in models], dtype=np.int64)
    return columns, np.array(fallback)


def _list_choices(
    plan: StepPlan,
    predictions: Predictions,
    policy: Policy,
    context: PolicyContext,
    limits: BatchLimits,
) -> Choices:
    """What is left to choose from: who has run a settled step, else what the policy leaves."""
    counted = predictions.effect.copy()
    is_open = np.zeros(counted.shape, dtype=bool)
    used_fallback = np.zeros(len(plan), dtype=bool)
    rows = np.flatnonzero(~plan.is_settled)
    if len(rows):
        left = list_batch_choices(policy, predictions, context, limits, rows=rows)
        counted[rows], is_open[rows] = left.counted, left.is_open
        used_fallback[rows] = left.used_fallback
    for row in np.flatnonzero(plan.is_settled).tolist():
        is_open[row, predictions.models.index(str(plan.steps[row].model))] = True
    return Choices(np.clip(counted, 0.0, 1.0), is_open, used_fallback)


def _find_best(
    worth: PlanWorth, choices: Choices, predictions: Predictions, limits: BatchLimits
) -> _Found:
    """The choice of the highest worth that was found, from every start by both steps."""
    is_open = choices.is_open
    named = hold_limits(is_open, predictions, limits, noun="step")
    chance = np.where(is_open, np.maximum(choices.counted, _LEAST_CHANCE), _LEAST_CHANCE)
    problem = _Problem(worth, chance, is_open, named)
    dearest = np.where(is_open, chance, -1.0).argmax(axis=1)
    best, ceiling = _Found(dearest, {}, None, None), np.inf
    best_worth = -np.inf  # the dearest is where to start, and need not fit
    for start in (_level_flow(worth), None):
        for step in (_climb_logs, _climb_slopes):
            reached = step(problem, best.columns, start)
            reached_worth = problem.total(reached.columns)
            ceiling = min(ceiling, reached.bound if reached.bound is not None else np.inf)
            if reached_worth > best_worth:
                best, best_worth = reached, reached_worth
    columns = search_plan(worth, chance, is_open, list(named.values()))
    if columns is not None:
        best = best._replace(columns=columns)
        bound = problem.total(columns)
    else:
        bound = _bound_worth(problem, best, ceiling)
    counted = worth.total(choices.counted[np.arange(len(chance)), best.columns])
    return _Found(best.columns, best.prices, max(bound, counted), counted)


def _level_flow(worth: PlanWorth) -> Flow:
    """The shares of a plan whose steps are all alike: by weights alone."""
    own = worth.weight / max(float(worth.weight.sum()), _LEAST_CHANCE)
    return Flow(own, own @ worth.before)


def _climb_logs(problem: _Problem, columns: IntArray, start: Flow | None) -> _Found:
    """Rounds of the knapsack of shares times logarithms, until the worth no longer rises."""
    worth, chance, is_open, named = problem
    logs, usable = np.log(chance), np.log(np.maximum(worth.usable(chance), _LEAST_CHANCE))
    has_one_end = int((worth.weight > 0).sum()) == 1
    flow = start or worth.shares(problem.chances_of(columns))
    best, best_worth = _Found(columns, {}, None, None), -np.inf
    for _ in range(_MOST_ROUNDS):
        counted = flow.own[:, None] * logs + flow.through[:, None] * usable
        solution = solve_named(counted, is_open, named)
        reached = problem.total(solution.columns)
        if reached <= best_worth * (1 + _RISE):
            break
        # The derivative of the worth is the worth times that of its logarithm.
        prices = dict(zip(named, (reached * solution.prices).tolist(), strict=True))
        # With one end the sum is the logarithm itself, and so is its bound.
        bound = float(worth.weight.sum() * np.exp(solution.bound)) if has_one_end else None
        best, best_worth = _Found(solution.columns, prices, bound, None), reached
        if has_one_end:
            break
        flow = worth.shares(problem.chances_of(solution.columns))
    return best


def _climb_slopes(problem: _Problem, columns: IntArray, start: Flow | None) -> _Found:
    """Rounds of the knapsack of slopes times chances, until the worth no longer rises."""
    worth, chance, is_open, named = problem
    slopes = worth.weight if start is not None else worth.slopes(problem.chances_of(columns))
    best, best_worth = _Found(columns, {}, None, None), -np.inf
    for _ in range(_MOST_ROUNDS):
        solution = solve_named(slopes[:, None] * chance, is_open, named)
        reached = problem.total(solution.columns)
        if reached <= best_worth * (1 + _RISE):
            break
        prices = dict(zip(named, solution.prices.tolist(), strict=True))
        best, best_worth = _Found(solution.columns, prices, None, None), reached
        slopes = worth.slopes(problem.chances_of(solution.columns))
    return best


def _bound_worth(problem: _Problem, best: _Found, ceiling: float) -> float:
    """A worth that no choice within the limits exceeds.

    Args:
        problem: What is to be chosen.
        best: The best choice that was found, with its prices.
        ceiling: A bound that is known already.
    """
    worth, chance, is_open, named = problem
    ends = np.flatnonzero(worth.weight > 0)
    involved = worth.before[ends] | (np.arange(len(chance)) == ends[:, None])
    flow = (worth.weight * worth.right(problem.chances_of(best.columns)))[ends]
    paid = involved * np.maximum(flow, _LEAST_CHANCE * max(1.0, float(flow.sum())))[:, None]
    total = paid.sum(axis=0)
    paid = np.divide(paid, total, out=np.zeros_like(paid), where=total > 0)
    factors = _PRICE_FACTORS if involved.sum() <= _MOST_BOUNDED else (0.0, 1.0)
    for factor in factors:
        price = np.array([factor * best.prices.get(name, 0.0) for name in named])
        used = sum(
            (p * np.where(is_open, limit.usage, 0.0))
            for p, limit in zip(price.tolist(), named.values(), strict=True)
        ) + np.zeros(chance.shape)
        left = sum(p * limit.most for p, limit in zip(price.tolist(), named.values(), strict=True))
        idle = np.where(is_open, used, np.inf)[total == 0].min(axis=1).sum()
        value = float(left - idle)
        for end, share, steps in zip(ends.tolist(), paid, involved, strict=True):
            value += _find_most(problem, used, end, share, np.flatnonzero(steps))
        ceiling = min(ceiling, value)
    return ceiling


def _find_most(
    problem: _Problem, used: FloatArray, end: int, share: FloatArray, steps: IntArray
) -> float:
    """The most that one end can be worth beyond its share of what its steps use."""
    worth, chance, is_open, _ = problem
    logs = np.log(np.maximum(worth.usable(chance[steps]), _LEAST_CHANCE))
    logs[steps == end] = np.log(chance[end])
    usage = share[steps][:, None] * used[steps]
    hull = list_hull_steps(logs, usage, is_open[steps])
    at = np.arange(len(steps))
    order = hull.by_slope()
    log = np.append(0.0, np.cumsum(hull.gain[order])) + logs[at, hull.start].sum()
    cost = np.append(0.0, np.cumsum(hull.usage[order])) + usage[at, hull.start].sum()
    return float((worth.weight[end] * np.exp(log) - cost).max())


def _tell_steps(
    plan: StepPlan,
    expected: Predictions,
    columns: IntArray,
    worth: PlanWorth,
    used_fallback: BoolArray,
    known_tasks: Sequence[str] | None,
) -> tuple[RoutedStep, ...]:
    """The steps with their models, and what hangs on each."""
    rows = np.arange(len(plan))
    effect = expected.effect[rows, columns]
    right, shares = worth.right(effect), worth.shares(effect)
    share = np.minimum(shares.own + shares.through, 1.0)
    known = None if known_tasks is None else set(known_tasks)
    settled = plan.is_settled
    values = zip(effect.tolist(), right.tolist(), share.tolist(), columns.tolist(), strict=True)
    return tuple(
        RoutedStep(
            name=plan.names[row],
            role=step.role,
            role_known=_is_known(step, known),
            after=step.after,
            model=expected.models[column],
            effect=own,
            chance_right=as_is,
            share=hangs,
            cost_usd=_or_none(expected.cost_usd[row, column]),
            latency_s=_or_none(expected.latency_s[row, column]),
            is_settled=bool(settled[row]),
            used_fallback=bool(used_fallback[row]),
        )
        for row, (step, (own, as_is, hangs, column)) in enumerate(
            zip(plan.steps, values, strict=True)
        )
    )


def _is_known(step: Step, known: set[str] | None) -> bool | None:
    return None if known is None or step.role is None else step.role in known


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
