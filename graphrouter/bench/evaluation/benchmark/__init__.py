"""The benchmark: who predicts and routes better, under the same conditions for all."""

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN, Cell, CellResult
from graphrouter.bench.evaluation.benchmark.benchmark_run import (
    BenchmarkResult,
    Plan,
    collect,
    fit_and_ask,
    lacking,
    open_cells,
    plan_benchmark,
    results_table,
    run_cells,
    write_results,
)

__all__ = [
    "MAIN",
    "BenchmarkResult",
    "Cell",
    "CellResult",
    "Plan",
    "collect",
    "fit_and_ask",
    "lacking",
    "open_cells",
    "plan_benchmark",
    "results_table",
    "run_cells",
    "write_results",
]
