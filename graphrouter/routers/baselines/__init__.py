"""The baselines: every other way to route that graphrouter is compared with, behind one protocol."""

from graphrouter.routers.baselines.base import Baseline
from graphrouter.routers.baselines.catalogue import BASELINES, QUICK, fit_baselines
from graphrouter.routers.baselines.learning import LearningData

__all__ = ["BASELINES", "QUICK", "Baseline", "LearningData", "fit_baselines"]
