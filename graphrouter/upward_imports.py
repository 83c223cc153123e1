"""The one way up: what the product takes from the wings above it, when it is asked for."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Literal

PART_OF = {
    "baselines": "graphrouter.bench.baselines.catalogue",
    "simulate": "graphrouter.bench.simulate",
    "evaluation": "graphrouter.bench.evaluation.held_out",
    "mlflow_store": "graphrouter.tracking.mlflow_store",
}
"""Modules of the bench and of operations, by the word that the product calls them by."""

REGISTRY_SCHEMES = ("models:/", "runs:/")
"""How the name of a place in MLflow begins, as opposed to a folder."""


def load_part(name: Literal["baselines", "simulate", "evaluation", "mlflow_store"]) -> ModuleType:
    """Import a part of another wing; the product imports nothing above it in any other way.

    Example:
        >>> load_part("simulate").simulate(num_queries=30).data.name
        'simulated'
    """
    return import_module(PART_OF[name])
