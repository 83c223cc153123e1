"""The benchmark: who predicts and routes better, under the same conditions for all."""

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN, Cell, CellResult
from graphrouter.bench.evaluation.benchmark.benchmark_run import (
    BenchmarkResult,
    Plan,
    build_results_table,
    collect,
    find_missing,
    fit_and_ask,
    open_cells,
    plan_benchmark,
    run_cells,
    write_results,
)

__all__ = [
    "MAIN",
    "BenchmarkResult",
    "Cell",
    "CellResult",
    "Plan",
    "build_results_table",
    "collect",
    "find_missing",
    "fit_and_ask",
    "open_cells",
    "plan_benchmark",
    "run_cells",
    "write_results",
]
