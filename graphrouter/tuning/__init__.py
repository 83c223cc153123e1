"""Tuning: settings that do best on validation queries, found by Optuna (the extra `tune`)."""

from graphrouter.tuning.records import EpochFigures, TrialRecord
from graphrouter.tuning.result import TuningResult
from graphrouter.tuning.run import tune

__all__ = ["EpochFigures", "TrialRecord", "TuningResult", "tune"]
