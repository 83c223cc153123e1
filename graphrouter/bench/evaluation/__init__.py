"""Metrics, the frontier of effect against cost, bootstrap intervals, and the table of them."""

from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.conclusion import Conclusion, conclude
from graphrouter.bench.evaluation.deviations import average_deviations, share_predicted
from graphrouter.bench.evaluation.evaluate import collect_outputs, evaluate, score_runs
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.bench.evaluation.hulls import area_log, upper_hull
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.on_request import OnRequest, measure_on_request
from graphrouter.bench.evaluation.results import Evaluation, SettingResult
from graphrouter.bench.evaluation.robustness import RobustnessReport, measure_robustness
from graphrouter.bench.evaluation.table import Table, build_table, give_verdict

__all__ = [
    "METRICS",
    "Conclusion",
    "Evaluation",
    "Interval",
    "OnRequest",
    "RobustnessReport",
    "SettingResult",
    "Table",
    "area_log",
    "average_deviations",
    "build_table",
    "collect_held_out",
    "collect_outputs",
    "conclude",
    "evaluate",
    "give_verdict",
    "measure_on_request",
    "measure_robustness",
    "score_runs",
    "share_predicted",
    "upper_hull",
]
