"""The tables of a report as cells of text, the same for HTML and Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter.bench.evaluation.additions import Addition
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.call_curves import CallCurve
from graphrouter.bench.evaluation.conclusion import Mark
from graphrouter.bench.evaluation.report.breakdown import PresetBreakdown, Reached
from graphrouter.bench.evaluation.report.curves import Frontiers, ReliabilityCurve
from graphrouter.bench.evaluation.report.lost_queries import Example, GroupLoss
from graphrouter.bench.evaluation.table import Cell, Table

OUTCOME_MARK = " †"
"""Stands behind the name of a router that looks at outcomes."""
NUM_COST_LEVELS = 7
NUM_LOSSES = 15
NUM_ROWS = 60
"""Tasks or models in a table; the rest is counted."""
NOTHING = Cell("-")
"""Stands for an undefined figure."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row; its first cells are text, the others numbers."""

    cells: tuple[Cell, ...]
    is_evaluated: bool = False
    """True for the evaluated router."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    num_text_columns: int = 1
    is_folded: bool = False
    """True when it is a second thought: shown on request."""
    notes: tuple[str, ...] = ()


def build_figure_grid(
    table: Table,
    *,
    caption: str,
    router: str,
    sees_outcomes: Collection[str],
    is_folded: bool = False,
) -> Grid:
    """Metrics of all routers; an arrow behind a title says which way is better."""
    columns = tuple(
        f"{metric.title} {'↓' if metric.lower_is_better else '↑'}" for metric in table.metrics
    )
    rows = tuple(
        GridRow(
            (Cell(_marked(row.router, sees_outcomes)), *row.cells),
            is_evaluated=row.router == router,
        )
        for row in table.rows
    )
    return Grid(caption, ("router", *columns), rows, is_folded=is_folded)


def build_frontier_grid(
    frontiers: Frontiers, *, router: str, sees_outcomes: Collection[str]
) -> Grid:
    """Mean effect that each router reaches at a few costs, evenly spaced over log cost."""
    high = frontiers.high_usd
    low = max(frontiers.low_usd, high / 1e4)  # as `area_log` does for a free model
    costs = np.geomspace(low, high, NUM_COST_LEVELS).tolist() if 0 < low < high else [high]
    rows = tuple(
        GridRow(
            (
                Cell(_marked(curve.router, sees_outcomes)),
                *(cell_of_number(effect, ".3f") for effect in curve.at(costs)),
            ),
            is_evaluated=curve.router == router,
        )
        for curve in frontiers.curves
    )
    caption = "Mean effect at a mean cost a query"
    return Grid(caption, ("router", *(format_usd(cost) for cost in costs)), rows, is_folded=True)


def build_single_model_grid(frontiers: Frontiers) -> Grid:
    """What each model brings by itself."""
    rows = tuple(
        GridRow(
            (
                Cell(point.model),
                cell_of_number(point.effect, ".3f"),
                cell_of_usd(point.cost_usd),
                cell_of_number(point.share_run, ".0%"),
            )
        )
        for point in sorted(frontiers.models, key=lambda point: -point.effect)
    )
    caption = "Every single model"
    columns = ("model", "mean effect", "USD a query", "run on")
    if all(point.share_run > 1 - 1e-9 for point in frontiers.models):
        return Grid(caption, columns, rows, is_folded=True)
    note = "Each model over the queries that it was run on, which may be easier or harder ones."
    return Grid(caption, columns, rows, is_folded=True, notes=(note,))


def build_call_grid(
    curves: Sequence[CallCurve], *, router: str, sees_outcomes: Collection[str]
) -> Grid:
    """Calls, effect and cost a query of everybody in each preset."""
    rows = tuple(
        GridRow(
            (
                Cell(_marked(curve.router, sees_outcomes)),
                Cell(point.preset),
                cell_of_number(point.num_calls, ".2f"),
                cell_of_number(point.effect, ".3f"),
                cell_of_usd(point.cost_usd),
            ),
            is_evaluated=curve.router == router,
        )
        for curve in curves
        for point in curve.presets
    )
    columns = ("router", "preset", "calls a query", "mean effect", "USD a query")
    return Grid("Calls a query in each preset", columns, rows, num_text_columns=2)


def build_reliability_grid(curves: Iterable[ReliabilityCurve], *, shown: Collection[str]) -> Grid:
    """Bins of the expected effect of the routers that are shown from the start."""
    rows = tuple(
        GridRow(
            (
                Cell(curve.router),
                cell_of_number(expected, ".3f"),
                cell_of_number(observed, ".3f"),
                cell_of_number(count, ","),
            )
        )
        for curve in curves
        if curve.router in shown
        for expected, observed, count in zip(
            curve.expected, curve.observed, curve.count, strict=True
        )
    )
    return Grid(
        "Expected against observed effect",
        ("router", "expected", "observed", "pairs"),
        rows,
        is_folded=True,
    )


def build_addition_grid(additions: Sequence[Addition], *, router: str) -> Grid:
    """What the evaluated router gains from each baseline when their deviations are averaged.

    The router itself stands in the first row; there is at least one baseline.
    """
    own = GridRow(
        (Cell(router), cell_of_interval(additions[0].explained), NOTHING, NOTHING, NOTHING),
        is_evaluated=True,
    )
    rows = tuple(
        GridRow(
            (
                Cell(each.router),
                cell_of_interval(each.deviation_r2),
                cell_of_interval(each.added_deviation_r2, mark="worse" if each.is_left else ""),
                cell_of_number(each.share, "+.0%"),
                cell_of_interval(each.added_log_loss),
            )
        )
        for each in additions
    )
    columns = ("router", "deviation R2", "adds to it", "relative to it", "saves log loss")
    return Grid("What each baseline would add", columns, (own, *rows))


def build_task_grid(breakdown: PresetBreakdown, *, router: str) -> Grid:
    """Effect and cost of each task: the router, best single, the oracle."""
    has_single = any(row.best_single is not None for row in breakdown.tasks)
    names = (router, *(("best single",) if has_single else ()), "oracle")
    columns = (
        "task",
        "choices",
        *(f"{name}: {what}" for name in names for what in ("effect", "USD")),
    )
    rows = tuple(
        GridRow(
            (
                Cell(row.task),
                cell_of_number(row.num_queries, ","),
                *_reached(row.router),
                *(_reached(row.best_single) if has_single else ()),
                *_reached(row.oracle),
            )
        )
        for row in breakdown.tasks[:NUM_ROWS]
    )
    return Grid(
        f"By task, {breakdown.preset}", columns, rows, notes=_rest(len(breakdown.tasks), "tasks")
    )


def build_chosen_grid(breakdown: PresetBreakdown, *, router: str) -> Grid:
    """What each model is used for: the share of the traffic and what it brings there."""
    columns = (
        "model",
        f"{router}: share",
        "effect there",
        "USD there",
        "best single: share",
        "oracle: share",
    )
    rows = tuple(
        GridRow(
            (
                Cell(row.model),
                cell_of_number(row.share, ".1%"),
                *_reached(row.reached),
                cell_of_number(row.best_single_share, ".1%"),
                cell_of_number(row.oracle_share, ".1%"),
            )
        )
        for row in breakdown.models[:NUM_ROWS]
    )
    return Grid(
        f"By model chosen, {breakdown.preset}",
        columns,
        rows,
        notes=_rest(len(breakdown.models), "models"),
    )


def build_loss_grid(losses: Sequence[GroupLoss]) -> Grid:
    """Where a baseline has more reward, the largest total first."""
    rows = tuple(
        GridRow(
            (
                Cell(f"{each.by}: {each.group}"),
                Cell(each.against),
                cell_of_interval(each.loss, mark="worse" if each.loss.excludes_zero else ""),
                cell_of_number(each.num_queries, ","),
                cell_of_number(each.share, ".1%"),
            )
        )
        for each in losses[:NUM_LOSSES]
    )
    columns = ("where", "better there", "reward lost a query", "choices", "share of all")
    rest = (
        (f"{len(losses) - NUM_LOSSES} smaller losses are not shown.",)
        if len(losses) > NUM_LOSSES
        else ()
    )
    return Grid("Reward lost to a baseline", columns, rows, num_text_columns=2, notes=rest)


def build_example_grid(examples: Sequence[Example]) -> Grid:
    """Queries on which another model did better."""
    rows = tuple(
        GridRow(
            (
                Cell(each.query_id),
                Cell(each.task or "-"),
                Cell(each.prompt or "(empty)"),
                Cell(each.model),
                Cell(each.solver),
                cell_of_number(each.effect, ".2f"),
                cell_of_number(each.solver_effect, ".2f"),
                Cell(
                    f"{each.num_solvers} of {each.num_run}", number=each.num_solvers / each.num_run
                ),
            )
        )
        for each in examples
    )
    columns = (
        "query",
        "task",
        "prompt",
        "chosen",
        "cheapest that did best",
        "effect",
        "its effect",
        "models that did best",
    )
    return Grid("Queries on which another model did better", columns, rows, num_text_columns=5)


def build_failed_grid(failed: Mapping[str, str]) -> Grid:
    """Routers without results."""
    rows = tuple(GridRow((Cell(name), Cell(reason))) for name, reason in failed.items())
    return Grid("Routers that failed", ("router", "reason"), rows, num_text_columns=2)


def format_usd(amount: float) -> str:
    """US dollars with three digits that count, never in powers of ten.

    Example:
        >>> format_usd(0.0000123456), format_usd(2.5), format_usd(0.0)
        ('$0.0000123', '$2.5', '$0')
    """
    return f"${np.format_float_positional(amount, precision=3, fractional=False, trim='-')}"


def cell_of_usd(amount: float) -> Cell:
    """US dollars, a dash where they are unknown."""
    return Cell(format_usd(amount), number=amount) if np.isfinite(amount) else NOTHING


def cell_of_number(value: float, form: str) -> Cell:
    """A number in the given format, a dash where it is undefined."""
    return Cell(format(value, form), number=value) if np.isfinite(value) else NOTHING


def cell_of_interval(interval: Interval, *, mark: Mark = "") -> Cell:
    """A figure with its interval, a dash where it is undefined."""
    if not np.isfinite(interval.value):
        return NOTHING
    has_ends = np.isfinite(interval.low)
    ends = f"[{interval.low:.4f}, {interval.high:.4f}]" if has_ends else ""
    return Cell(f"{interval.value:.4f}", ends, mark=mark, number=interval.value)


def _reached(reached: Reached | None) -> tuple[Cell, Cell]:
    """Effect and cost."""
    return (
        (NOTHING, NOTHING)
        if reached is None
        else (cell_of_number(reached.effect, ".3f"), cell_of_usd(reached.cost_usd))
    )


def _marked(router: str, sees_outcomes: Collection[str]) -> str:
    return router + (OUTCOME_MARK if router in sees_outcomes else "")


def _rest(count: int, what: str) -> tuple[str, ...]:
    return (f"{count - NUM_ROWS} smaller {what} are not shown.",) if count > NUM_ROWS else ()
