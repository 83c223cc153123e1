"""Runs of train, evaluate, benchmark and tune in MLflow.

No failure of it stops them. Importing this does not import MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.tracking.mlflow_store import find_store
    from graphrouter.tracking.tracked_run import TrackedRun, Tracking, open_run
    from graphrouter.tracking.training_log import EpochMetrics

__all__ = [
    "EpochMetrics",
    "TrackedRun",
    "Tracking",
    "find_store",
    "open_run",
]

_MODULE_OF = {
    "EpochMetrics": "graphrouter.tracking.training_log",
    "TrackedRun": "graphrouter.tracking.tracked_run",
    "Tracking": "graphrouter.tracking.tracked_run",
    "open_run": "graphrouter.tracking.tracked_run",
    "find_store": "graphrouter.tracking.mlflow_store",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
