"""Evaluation: metrics, the cost-effect frontier, bootstrap intervals, baselines, and the table that
shows them.
"""

from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.evaluate import evaluate
from graphrouter.bench.evaluation.families import METRICS
from graphrouter.bench.evaluation.results import Evaluation, SettingResult
from graphrouter.bench.evaluation.table import Table, build_table, verdict

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
