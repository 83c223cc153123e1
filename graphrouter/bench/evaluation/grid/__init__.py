"""A grid of cells, dataset x seed x router, that goes on after an interruption."""

from graphrouter.bench.evaluation.grid.cell_files import (
    GridResult,
    Status,
    StoredCell,
    read_cell,
    write_cell,
)
from graphrouter.bench.evaluation.grid.cell_work import find_failures, finish, open_cells, run_cells
from graphrouter.bench.evaluation.grid.grid_cell import GridCell, set_seeds
from graphrouter.bench.evaluation.grid.grid_folder import (
    CELLS,
    check_folder,
    keep_embeddings,
    read_datasets,
)
from graphrouter.bench.evaluation.grid.prepared_split import PreparedSplit, prepare_split

__all__ = [
    "CELLS",
    "GridCell",
    "GridResult",
    "PreparedSplit",
    "Status",
    "StoredCell",
    "check_folder",
    "find_failures",
    "finish",
    "keep_embeddings",
    "open_cells",
    "prepare_split",
    "read_cell",
    "read_datasets",
    "run_cells",
    "set_seeds",
    "write_cell",
]
