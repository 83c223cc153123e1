"""Datasets: the tables, their checks, readers, splits, and the simulated default."""

from graphrouter.data.readers import load_dataset
from graphrouter.data.schema import RoutingDataset
from graphrouter.data.simulate import Simulation, simulate
from graphrouter.data.splits import Split, split_dataset

__all__ = ["RoutingDataset", "Simulation", "Split", "load_dataset", "simulate", "split_dataset"]
