"""Tuning: settings that do best on validation queries, found by Optuna (the extra `tune`)."""

from graphrouter.bench.tuning.trial_records import EpochFigures, TrialRecord
from graphrouter.bench.tuning.tuning_result import TuningResult
from graphrouter.bench.tuning.tuning_run import tune

__all__ = ["EpochFigures", "TrialRecord", "TuningResult", "tune"]
