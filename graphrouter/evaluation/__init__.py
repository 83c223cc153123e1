"""Evaluation: metrics, the cost-effect frontier, bootstrap intervals, references, and the table that shows them."""

from graphrouter.evaluation.bootstrap import Interval
from graphrouter.evaluation.evaluate import evaluate
from graphrouter.evaluation.families import METRICS
from graphrouter.evaluation.references import REFERENCES, fit_references
from graphrouter.evaluation.results import Evaluation, SettingResult
from graphrouter.evaluation.table import Table, build_table, verdict

__all__ = [
    "METRICS",
    "REFERENCES",
    "Evaluation",
    "Interval",
    "SettingResult",
    "Table",
    "build_table",
    "evaluate",
    "fit_references",
    "verdict",
]
