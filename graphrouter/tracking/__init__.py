"""Runs of train, evaluate, benchmark and tune in MLflow.

No failure of it stops them. Importing this does not import MLflow.
"""

from graphrouter.tracking.tracked_run import TrackedRun, Tracking, open_run

__all__ = ["TrackedRun", "Tracking", "open_run"]
