"""The tables of a comparison on newcomers: a row a router, a column a number of outcomes.

The same for all outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.conclusion import Mark
from graphrouter.bench.evaluation.newcomers.newcomer_measures import COVERAGE
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation
from graphrouter.bench.evaluation.report.grids import Grid, GridRow
from graphrouter.bench.evaluation.table import Cell

NOTE = (
    "In brackets 95 % bootstrap intervals over the test queries. ▲ graphrouter is surely better "
    "after as many outcomes, "
    "▼ surely worse: the interval of the paired difference excludes zero."
)


class Measure(NamedTuple):
    """A metric as tables and plots show it."""

    name: str
    title: str
    lower_is_better: bool = False
    is_share: bool = False

    @property
    def form(self) -> str:
        """Format of its figures."""
        return ".1%" if self.is_share else ".4f"


LOG_LOSS = Measure("log_loss", "Log loss on the newcomers", lower_is_better=True)
LEARNED = Measure("learned_share", "Learned share of what a training would teach", is_share=True)
TRAFFIC = Measure("newcomer_traffic", "Share of traffic sent to newcomers", is_share=True)
ORACLE_TRAFFIC = "oracle_newcomer_traffic"
MEASURES = (
    LOG_LOSS,
    LEARNED,
    Measure("reward_balanced", "Balanced reward over old and new models"),
    Measure("area_log", "Area under the frontier over old and new models"),
    Measure("reward_performance_first", "Mean effect over old and new models"),
    Measure("reward_cost_first", "Cost-first reward over old and new models"),
    Measure("brier", "Brier score on the newcomers", lower_is_better=True),
    TRAFFIC,
    Measure(COVERAGE, "Share of the 80 % intervals of effect that hold", is_share=True),
)


def choose_title(measure: Measure, found: NewcomerEvaluation) -> str:
    """The title, in the words of what was held out."""
    return (
        measure.title
        if found.hold_out == "models"
        else measure.title.replace("the newcomers", "the new task")
    )


def build_newcomer_grids(found: NewcomerEvaluation) -> list[Grid]:
    """One table a metric; those that nobody has a figure for are left out."""
    return [_grid(found, measure) for measure in MEASURES if _is_known(found, measure)]


def read_oracle_traffic(found: NewcomerEvaluation) -> Interval:
    """What the oracle sends to newcomers; the same for every router and shot."""
    return found.figure(MAIN, "0", ORACLE_TRAFFIC)


def _is_known(found: NewcomerEvaluation, measure: Measure) -> bool:
    return any(
        np.isfinite(found.figure(name, label, measure.name).value)
        for name in found.routers
        for label in found.labels
    )


def _grid(found: NewcomerEvaluation, measure: Measure) -> Grid:
    rows = tuple(
        GridRow(
            (Cell(name), *(_cell(found, name, label, measure) for label in found.labels)),
            is_evaluated=name == MAIN,
        )
        for name in found.routers
    )
    columns = ("router", *(f"k = {label}" for label in found.labels))
    oracle = read_oracle_traffic(found)
    notes = (f"The oracle sends {oracle.value:.1%} to newcomers.",) if measure == TRAFFIC else ()
    return Grid(
        choose_title(measure, found), columns, rows, is_folded=measure != LOG_LOSS, notes=notes
    )


def _cell(found: NewcomerEvaluation, name: str, label: str, measure: Measure) -> Cell:
    figure = found.figure(name, label, measure.name)
    if not np.isfinite(figure.value):
        return Cell("-")
    ends = (
        f"[{figure.low:{measure.form}}, {figure.high:{measure.form}}]"
        if np.isfinite(figure.low)
        else ""
    )
    return Cell(
        format(figure.value, measure.form),
        ends,
        mark=find_mark(found, name, label, measure),
        number=figure.value,
    )


def find_mark(found: NewcomerEvaluation, name: str, label: str, measure: Measure) -> Mark:
    """Whether graphrouter is surely better or worse than this router after as many outcomes."""
    difference = found.paired.get(name, {}).get(label, {}).get(measure.name, UNDEFINED)
    if not difference.excludes_zero:
        return ""
    return "better" if (difference.value < 0) == measure.lower_is_better else "worse"
