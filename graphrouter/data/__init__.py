"""Datasets: the tables, their checks, readers and splits. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.data.assignment import Assignment, measure_assignment
    from graphrouter.data.describe import DatasetSummary, describe_dataset
    from graphrouter.data.flat_table import read_answers
    from graphrouter.data.learnable import Learnable, measure_learnable, suggest_grades
    from graphrouter.data.pair_choice import suggest_pairs
    from graphrouter.data.readers import load_dataset
    from graphrouter.data.schema import RoutingDataset
    from graphrouter.data.splits import Split, hold_out_models, split_dataset
    from graphrouter.data.table_files import read_table, write_table

__all__ = [
    "Assignment",
    "DatasetSummary",
    "Learnable",
    "RoutingDataset",
    "Split",
    "describe_dataset",
    "hold_out_models",
    "load_dataset",
    "measure_assignment",
    "measure_learnable",
    "read_answers",
    "read_table",
    "split_dataset",
    "suggest_grades",
    "suggest_pairs",
    "write_table",
]

_MODULE_OF = {
    "Assignment": "graphrouter.data.assignment",
    "DatasetSummary": "graphrouter.data.describe",
    "Learnable": "graphrouter.data.learnable",
    "RoutingDataset": "graphrouter.data.schema",
    "Split": "graphrouter.data.splits",
    "describe_dataset": "graphrouter.data.describe",
    "hold_out_models": "graphrouter.data.splits",
    "load_dataset": "graphrouter.data.readers",
    "measure_assignment": "graphrouter.data.assignment",
    "measure_learnable": "graphrouter.data.learnable",
    "read_answers": "graphrouter.data.flat_table",
    "read_table": "graphrouter.data.table_files",
    "split_dataset": "graphrouter.data.splits",
    "suggest_grades": "graphrouter.data.learnable",
    "suggest_pairs": "graphrouter.data.pair_choice",
    "write_table": "graphrouter.data.table_files",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
