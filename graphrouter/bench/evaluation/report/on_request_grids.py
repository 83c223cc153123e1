"""The tables of what is measured on request alone: budgets over a batch, and promises."""

from __future__ import annotations

from collections.abc import Sequence

from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.budget_curves import BudgetCurve
from graphrouter.bench.evaluation.conclusion import Mark
from graphrouter.bench.evaluation.promise_trials import PromiseTrial
from graphrouter.bench.evaluation.report.grids import (
    NOTHING,
    OUTCOME_MARK,
    Grid,
    GridRow,
    cell_of_interval,
    cell_of_number,
    cell_of_usd,
)
from graphrouter.bench.evaluation.table import Cell


def build_budget_grid(curve: BudgetCurve) -> Grid:
    """What each budget buys, and what else the dollars spent could have bought."""
    rows = tuple(
        GridRow(
            (
                cell_of_usd(point.budget_usd),
                cell_of_usd(point.spent_usd),
                cell_of_number(point.effect, ".3f"),
                cell_of_number(point.single_call, ".3f"),
                _difference(point.over_single_call),
                cell_of_number(point.best_single, ".3f"),
                _difference(point.over_best_single),
                cell_of_number(point.optimum, ".3f"),
            )
        )
        for point in curve.points
    )
    columns = (
        "budget a query",
        "spent",
        "effect",
        "single calls",
        "above these",
        "best single",
        "above it",
        f"optimum{OUTCOME_MARK}",
    )
    return Grid("What a budget buys", columns, rows)


def build_promise_grid(trials: Sequence[PromiseTrial]) -> Grid:
    """What was promised, what became of it on other queries, and how often it would be broken."""
    rows = tuple(
        GridRow(
            (
                Cell(f"{trial.keep:.0%} of {trial.reference}"),
                Cell(say_trial(trial)),
                cell_of_interval(trial.share, mark="worse" if trial.is_surely_broken else ""),
                cell_of_interval(trial.saving),
                NOTHING
                if trial.promise is None or trial.promise.share_low is None
                else cell_of_number(trial.promise.share_low, ".4f"),
                cell_of_number(trial.coverage.num_made, ","),
                cell_of_number(trial.coverage.num_broken, ","),
                cell_of_number(trial.coverage.num_broken_untested, ","),
            )
        )
        for trial in trials
    )
    columns = (
        "promise",
        "came of it",
        "kept on the test half",
        "saved there",
        "surely kept, by the other half",
        f"made in {trials[0].coverage.num_samples}",
        "broken",
        "broken without a test",
    )
    return Grid("Promises put to the test", columns, rows, num_text_columns=2)


def say_trial(trial: PromiseTrial) -> str:
    """What came of a promise, in a word or two.

    A share below the promised one on a part of the queries may be chance.
    """
    if trial.promise is None:
        return "refused"
    if trial.is_held:
        return "held"
    return "broken" if trial.is_surely_broken else "missed, perhaps by chance"


def _difference(interval: Interval) -> Cell:
    mark: Mark = ""
    if interval.excludes_zero and round(interval.value, 4):
        mark = "better" if interval.value > 0 else "worse"
    return cell_of_interval(interval, mark=mark)
