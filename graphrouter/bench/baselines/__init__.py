"""The baselines: every other way to route that graphrouter is compared with.

All of them stand behind one protocol.
"""

from graphrouter.bench.baselines.baseline import Baseline, TextBaseline
from graphrouter.bench.baselines.catalogue import BASELINES, QUICK, find_router, fit_baselines
from graphrouter.bench.baselines.learning import LearningData, Questions

__all__ = [
    "BASELINES",
    "QUICK",
    "Baseline",
    "LearningData",
    "Questions",
    "TextBaseline",
    "find_router",
    "fit_baselines",
]
