"""Datasets: the tables, their checks, readers and splits."""

from graphrouter.data.assignment import Assignment, measure_assignment
from graphrouter.data.describe import DatasetSummary, describe_dataset
from graphrouter.data.flat_table import read_answers
from graphrouter.data.pair_choice import suggest_pairs
from graphrouter.data.readers import load_dataset
from graphrouter.data.schema import RoutingDataset
from graphrouter.data.splits import Split, hold_out_models, split_dataset
from graphrouter.data.table_files import read_table, write_table

__all__ = [
    "Assignment",
    "DatasetSummary",
    "RoutingDataset",
    "Split",
    "describe_dataset",
    "hold_out_models",
    "load_dataset",
    "measure_assignment",
    "read_answers",
    "read_table",
    "split_dataset",
    "suggest_pairs",
    "write_table",
]
