"""Evaluation: metrics, the cost-effect frontier, bootstrap intervals, baselines, and the table that shows them."""

from graphrouter.evaluation.bootstrap import Interval
from graphrouter.evaluation.evaluate import evaluate
from graphrouter.evaluation.families import METRICS
from graphrouter.evaluation.results import Evaluation, SettingResult
from graphrouter.evaluation.table import Table, build_table, verdict

__all__ = [
    "METRICS",
    "Evaluation",
    "Interval",
    "SettingResult",
    "Table",
    "build_table",
    "evaluate",
    "verdict",
]
