"""What a worker process does with a cell: fit on the split that it has prepared, ask in every
setting, keep the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.benchmark.cells import MAIN, CellResult
from graphrouter.bench.evaluation.grid import GridCell, SplitBench, finish, set_up_split
from graphrouter.router.protocol import Router


def run_cell(cell: GridCell) -> CellResult:
    """The result of a cell, which is also kept in its file.

    A router that fails gives a result that says why.
    """
    return fit_and_ask(cell, partial(_fit, cell))


def fit_and_ask(cell: GridCell, fit: Callable[[SplitBench], Router]) -> CellResult:
    """The result of a cell whose router `fit` makes, which is also kept in its file.

    Where it fails, one that says why.
    """
    # Errors outside the router are not the router's: they end the benchmark.
    bench = set_up_split(cell)
    return finish(cell, partial(_fit_and_ask, cell, bench, fit), CellResult)


def _fit_and_ask(
    cell: GridCell, bench: SplitBench, fit: Callable[[SplitBench], Router]
) -> CellResult:
    start = time.perf_counter()
    router = fit(bench)
    fitted = time.perf_counter()
    contenders = {
        setting: bench.trial.enter(router, task_known=setting == "task_known", name=cell.router)
        for setting in bench.settings
    }
    if any(
        each.replayed is None and not np.isfinite(each.predictions.effect).any()
        for each in contenders.values()
    ):
        return CellResult("failed", "it predicts no effect of any model on any query")
    return CellResult("done", "", fitted - start, time.perf_counter() - fitted, contenders)


def _fit(cell: GridCell, bench: SplitBench) -> Router:
    if cell.router == MAIN:
        from graphrouter.router.graph_router import GraphRouter

        return GraphRouter.fit(bench.data, cell.config, split=bench.split)
    return BASELINES[cell.router].fit(bench.learning)
