"""Datasets: the tables, their checks, readers and splits."""

from graphrouter.data.readers import load_dataset
from graphrouter.data.schema import RoutingDataset
from graphrouter.data.splits import Split, split_dataset

__all__ = ["RoutingDataset", "Split", "load_dataset", "split_dataset"]
