"""What a batch of test queries brings under a budget, beside what else its dollars could buy.

The batch is decided as `route_batch(budget_usd=...)` decides it; what it spends are the recorded
bills of its choices. For the same dollars: single calls of the same router by a trade-off, the best
single model, and the choices that knew every outcome. Neighbouring trade-offs, and the best single
and the cheapest model, are mixed at random so that they spend as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphrouter.batch_records import ROUNDING, BatchLimits, BatchRouting
from graphrouter.batch_routing import assign_batch
from graphrouter.bench.evaluation.bootstrap import (
    UNDEFINED,
    Interval,
    Resampling,
    Statistic,
    bootstrap,
)
from graphrouter.bench.evaluation.evaluate import FEWEST_QUERIES, SeedRun
from graphrouter.bench.evaluation.frontier import Sweep, sweep_predictions
from graphrouter.bench.evaluation.measures import Unmeasured, divide_first_two, explain_no_costs
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.routing_measures import NEEDS_BEST_SINGLE
from graphrouter.files import to_plain
from graphrouter.policy import Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.trade_offs import build_trade_off_grid
from graphrouter.selection import PolicyContext
from graphrouter.types import BoolArray, FloatArray, Predictions

BUDGET_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""How far each budget lies on the way from the cheapest choices to those of the most effect."""


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """What one budget buys; dollars and effects are means a query."""

    share: float
    """Place of the budget on the way from the cheapest choices to those of the most effect."""
    budget_usd: float
    """What the batch may spend by what is expected of it."""
    spent_usd: float
    """What its choices were billed."""
    effect: float
    """Observed effect of its choices."""
    shadow_price: float
    """Effect that one more dollar is expected to buy; 0 where the budget does not bind."""
    single_call: float
    """Effect that single calls of the same router reach for the dollars spent."""
    best_single: float
    """Effect of the best single model on as many queries as the dollars spent pay for, the cheapest
    model on the others; NaN where they do not even pay for that one."""
    optimum: float
    """Effect of the best choices for the dollars spent, every outcome and bill known."""
    over_single_call: Interval
    """Effect of the batch minus `single_call`, paired over queries, choices as they are."""
    over_best_single: Interval
    """The same for `best_single`."""


@dataclass(frozen=True, slots=True)
class BudgetCurve:
    """A batch of test queries under several budgets, from the smallest to the largest."""

    num_queries: int
    """Queries with a model whose effect and cost were observed and are predicted; the others are
    left out."""
    points: tuple[BudgetPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; an undefined figure is None."""
        points = [
            {
                **to_plain(point),
                "over_single_call": point.over_single_call.to_json(),
                "over_best_single": point.over_best_single.to_json(),
            }
            for point in self.points
        ]
        return {"num_queries": self.num_queries, "points": points}


def find_budget(expected: Predictions, share: float) -> float:
    """US dollars of a batch, a share of the way from its cheapest choices to its best ones.

    Args:
        expected: What is expected of it; models of unknown cost or effect are no choice. Each query
            has a model that is one.
        share: 0 for the cheapest choices, 1 for those of the most effect.

    Example:
        >>> expected = Predictions.from_arrays(
        ...     ("nano", "grand"), np.array([[0.2, 0.6]] * 3), cost_usd=np.array([[1.0, 5.0]] * 3)
        ... )
        >>> find_budget(expected, 0.0), find_budget(expected, 0.5)
        (3.0, 9.0)
    """
    is_choice = np.isfinite(expected.effect) & np.isfinite(expected.cost_usd)
    cheapest = np.where(is_choice, expected.cost_usd, np.inf).min(axis=1).sum()
    best = np.where(is_choice, expected.effect, -np.inf).argmax(axis=1)
    dearest = expected.cost_usd[np.arange(len(best)), best].sum()
    return float((1 - share) * cheapest + share * dearest)


def trace_budgets(
    run: SeedRun,
    setting: SettingName,
    *,
    shares: Sequence[float] = BUDGET_SHARES,
    num_draws: int = 1000,
    seed: int = 0,
) -> BudgetCurve | Unmeasured:
    """What the evaluated router's choices for the batch of all queries bring, budget by budget.

    Everybody chooses among the models whose effect and cost were observed, as for the frontier.

    Args:
        run: Everybody on one evaluation set.
        setting: Which of its settings.
        shares: As `find_budget` takes them, rising.
        num_draws: Bootstrap draws of the intervals.
        seed: Seed of the bootstrap.
    """
    evaluation_set = run.evaluation_set
    reason = explain_no_costs(evaluation_set)
    if reason is not None or evaluation_set.best_single is None:
        return Unmeasured(reason or NEEDS_BEST_SINGLE)
    observed = evaluation_set.observed
    expected = next(iter(run.outputs[setting].values())).predictions
    parts = (observed.effect, observed.cost_usd, expected.effect, expected.cost_usd)
    is_choice: BoolArray = np.asarray(np.isfinite(np.stack(parts)).all(axis=0))
    rows = np.flatnonzero(is_choice.any(axis=1))
    if not len(rows):
        return Unmeasured("the cost of no observed outcome is predicted")
    scale, is_choice = evaluation_set.cost_scale, is_choice[rows]
    known = observed.take(rows=rows)
    chosen_by = _hide(expected.take(rows=rows), ~is_choice)
    best_single = evaluation_set.best_single.take(rows=rows)
    batch = _Batch(
        expected=chosen_by,
        outcomes=_hide(known.to_predictions(), ~is_choice),
        single_calls=sweep_predictions(chosen_by, known, build_trade_off_grid(scale)),
        singles=sweep_predictions(best_single, known, np.array([0.0, np.inf])),
        context=PolicyContext(
            ModelPool.of(ModelCard(model=name) for name in evaluation_set.models), scale
        ),
        resampling=Resampling(
            (tuple(evaluation_set.query_ids[row] for row in rows.tolist()),),
            num_draws if len(rows) >= FEWEST_QUERIES else 0,
            seed,
        ),
    )
    points: list[BudgetPoint] = []
    for share in shares:
        budget = find_budget(chosen_by, share)
        # Where the best choices are the cheapest, one budget is all there is.
        if not points or budget > points[-1].budget_usd * len(rows) * (1 + ROUNDING):
            points.append(batch.spend(budget, share))
    return BudgetCurve(len(rows), tuple(points))


@dataclass(frozen=True)
class _Batch:
    """The queries that count, and what everybody would do with them."""

    expected: Predictions
    """By the evaluated router; NaN where a model is no choice."""
    outcomes: Predictions
    """What came out; NaN where a model is no choice."""
    single_calls: Sweep
    """At each trade-off of the grid."""
    singles: Sweep
    """The best single and the cheapest model."""
    context: PolicyContext
    resampling: Resampling

    def spend(self, budget_usd: float, share: float) -> BudgetPoint:
        """What a budget for all of them buys."""
        chosen, effect, cost = self._decide(self.expected, budget_usd)
        _, best, _ = self._decide(self.outcomes, float(cost.sum()))
        spent = float(cost.mean())
        beside = [_mix(each, spent) for each in (self.single_calls, self.singles)]
        single_call, best_single = (float(each.mean()) for each in beside)
        over_single_call, over_best_single = (self._compare(effect - each) for each in beside)
        return BudgetPoint(
            share=share,
            budget_usd=budget_usd / len(effect),
            spent_usd=spent,
            effect=float(effect.mean()),
            shadow_price=float(chosen.shadow_price or 0.0),
            single_call=single_call,
            best_single=best_single,
            optimum=float(best.mean()),
            over_single_call=over_single_call,
            over_best_single=over_best_single,
        )

    def _decide(
        self, by: Predictions, budget_usd: float
    ) -> tuple[BatchRouting, FloatArray, FloatArray]:
        """The choices under a budget, and what was observed of them: effects and US dollars."""
        chosen = assign_batch(Policy(), by, self.context, BatchLimits(budget_usd=budget_usd))
        columns = np.array([by.models.index(model) for model in chosen.model])
        rows = np.arange(len(columns))
        return chosen, self.outcomes.effect[rows, columns], self.outcomes.cost_usd[rows, columns]

    def _compare(self, difference: FloatArray) -> Interval:
        if not np.isfinite(difference).all():
            return UNDEFINED
        parts = np.column_stack([difference, np.ones(len(difference))])
        [found] = bootstrap([Statistic(parts, divide_first_two)], self.resampling.counts(0))
        return found.interval()


def _hide(expected: Predictions, is_hidden: BoolArray) -> Predictions:
    """Effects and costs alone, unknown where they are to be hidden."""
    effect, cost = (np.where(is_hidden, np.nan, x) for x in (expected.effect, expected.cost_usd))
    return Predictions.from_arrays(expected.models, effect, cost_usd=cost)


def _mix(sweep: Sweep, mean_usd: float) -> FloatArray:
    """Effect of each query where two neighbouring trade-offs are mixed to spend so much on average.

    No hull is taken: it would pick trade-offs by what came out. (num_queries,), NaN where even cost
    alone spends more; effect alone where that spends less.

    Args:
        sweep: From effect alone to cost alone.
        mean_usd: US dollars a query.
    """
    cost, effect = sweep.cost_usd.mean(axis=0)[::-1], sweep.effect[:, ::-1]
    affordable = np.flatnonzero(cost <= mean_usd * (1 + ROUNDING))
    if not len(affordable):
        return np.full(len(effect), np.nan)
    place = int(affordable[-1])
    if place + 1 == len(cost):
        return effect[:, place]
    share = max((mean_usd - cost[place]) / (cost[place + 1] - cost[place]), 0.0)
    return np.asarray((1 - share) * effect[:, place] + share * effect[:, place + 1])
