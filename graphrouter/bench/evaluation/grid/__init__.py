"""A grid of cells, dataset x seed x router: each has a result in a file, and work on it goes on
after an interruption.
"""

from graphrouter.bench.evaluation.grid.bench import SplitBench, set_up_split
from graphrouter.bench.evaluation.grid.cells import GridCell, seeded
from graphrouter.bench.evaluation.grid.folder import (
    CELLS,
    check_folder,
    keep_embeddings,
    read_datasets,
)
from graphrouter.bench.evaluation.grid.store import (
    GridResult,
    Status,
    StoredCell,
    read_cell,
    write_cell,
)
from graphrouter.bench.evaluation.grid.work import failures, finish, open_cells, run_cells

__all__ = [
    "CELLS",
    "GridCell",
    "GridResult",
    "SplitBench",
    "Status",
    "StoredCell",
    "check_folder",
    "failures",
    "finish",
    "keep_embeddings",
    "open_cells",
    "read_cell",
    "read_datasets",
    "run_cells",
    "seeded",
    "set_up_split",
    "write_cell",
]
