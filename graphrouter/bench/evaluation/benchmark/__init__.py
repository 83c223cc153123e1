"""The benchmark: who predicts and routes better, on the same splits, embeddings, trade-offs and
queries.
"""

from graphrouter.bench.evaluation.benchmark.cells import MAIN, Cell, CellResult
from graphrouter.bench.evaluation.benchmark.run import (
    BenchmarkResult,
    Plan,
    collect,
    lacking,
    open_cells,
    plan_benchmark,
    results_table,
    run_cells,
    write_results,
)
from graphrouter.bench.evaluation.benchmark.worker import fit_and_ask

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
