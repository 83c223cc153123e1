"""Tuning: settings that do best on validation queries, found by Optuna (the extra `tune`)."""

from graphrouter.bench.tuning.records import EpochFigures, TrialRecord
from graphrouter.bench.tuning.result import TuningResult
from graphrouter.bench.tuning.run import tune

__all__ = ["EpochFigures", "TrialRecord", "TuningResult", "tune"]
