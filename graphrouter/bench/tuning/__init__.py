"""Tuning: settings that do best on validation queries, found by Optuna (the extra `tune`)."""

from graphrouter.bench.tuning.search_space import Choice, FloatRange, IntRange, SearchSpace
from graphrouter.bench.tuning.trial_records import EpochFigures, TrialRecord
from graphrouter.bench.tuning.tuning_result import TuningResult
from graphrouter.bench.tuning.tuning_run import tune

__all__ = [
    "Choice",
    "EpochFigures",
    "FloatRange",
    "IntRange",
    "SearchSpace",
    "TrialRecord",
    "TuningResult",
    "tune",
]
