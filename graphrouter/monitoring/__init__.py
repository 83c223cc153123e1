"""What to watch while a router serves: models that change behind their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.monitoring.drift import check_drift
    from graphrouter.monitoring.drift_detector import Drift, DriftDetector
    from graphrouter.monitoring.drift_report import DriftReport, ModelCheck

__all__ = [
    "Drift",
    "DriftDetector",
    "DriftReport",
    "ModelCheck",
    "check_drift",
]

_MODULE_OF = {
    "Drift": "graphrouter.monitoring.drift_detector",
    "DriftDetector": "graphrouter.monitoring.drift_detector",
    "DriftReport": "graphrouter.monitoring.drift_report",
    "ModelCheck": "graphrouter.monitoring.drift_report",
    "check_drift": "graphrouter.monitoring.drift",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
