"""Every baseline by name, from simple to complex, and how several are fitted at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from graphrouter.exceptions import ConfigError
from graphrouter.routers.baselines.avengers import Avengers, AvengersPro
from graphrouter.routers.baselines.base import Baseline
from graphrouter.routers.baselines.bradley_terry import SimilarityWeighted
from graphrouter.routers.baselines.carrot import CarrotKNN, CarrotLinear
from graphrouter.routers.baselines.cascade_methods import AutoMix, FrugalGPT, RouterBenchCascade
from graphrouter.routers.baselines.constants import Cheapest, LargestPrice, RandomRouter
from graphrouter.routers.baselines.domains import CompositionOfExperts, MoDEM
from graphrouter.routers.baselines.factorization import EmbedLLM, MatrixFactorization
from graphrouter.routers.baselines.hybrid_llm import HybridLLMDeterministic, HybridLLMProbabilistic, HybridLLMTransformed
from graphrouter.routers.baselines.item_response import IdentityVectors, MultidimensionalIRT, TwoParameterIRT
from graphrouter.routers.baselines.learning import LearningData
from graphrouter.routers.baselines.means import BestSingle, RaschRouter, TaskMean
from graphrouter.routers.baselines.model_sat import ModelSAT
from graphrouter.routers.baselines.neighbours import NearestNeighbours
from graphrouter.routers.baselines.paper import PaperGraphRouter, PaperGraphRouterTies
from graphrouter.routers.baselines.regressors import MLP, Linear, LinearSVM
from graphrouter.routers.baselines.router_dc import RouterDC
from graphrouter.routers.baselines.smoothie import Smoothie
from graphrouter.routers.baselines.tags import MixLLM, TagRouter
from graphrouter.routers.baselines.trees import BoostedTrees
from graphrouter.routers.baselines.tryage import Tryage
from graphrouter.routers.baselines.uniroute import UniRouteKMeans, UniRouteLearnedMap

_CONSTANT = (BestSingle, Cheapest, LargestPrice, RandomRouter)
_BY_TASK = (TaskMean, RaschRouter)
_BY_NEIGHBOURS = (NearestNeighbours, CarrotKNN, SimilarityWeighted)
_LINEAR = (Linear, CarrotLinear, LinearSVM)
_BY_CLUSTERS = (UniRouteKMeans, UniRouteLearnedMap, Avengers, AvengersPro)
_BY_DOMAINS = (MoDEM, CompositionOfExperts, TagRouter, MixLLM)
_BY_FACTORS = (TwoParameterIRT, MultidimensionalIRT, IdentityVectors, EmbedLLM, MatrixFactorization)
_BY_NETWORKS = (BoostedTrees, MLP, Tryage, ModelSAT, RouterDC, PaperGraphRouter, PaperGraphRouterTies)
_OF_TWO_MODELS = (HybridLLMDeterministic, HybridLLMProbabilistic, HybridLLMTransformed)
_BY_ANSWERS = (Smoothie, FrugalGPT, AutoMix, RouterBenchCascade)
_CLASSES: tuple[type[Baseline], ...] = (
    *_CONSTANT,
    *_BY_TASK,
    *_BY_NEIGHBOURS,
    *_LINEAR,
    *_BY_CLUSTERS,
    *_BY_DOMAINS,
    *_BY_FACTORS,
    *_BY_NETWORKS,
    *_OF_TWO_MODELS,
    *_BY_ANSWERS,
)
BASELINES: dict[str, type[Baseline]] = {kind.name: kind for kind in _CLASSES}
"""The class of each baseline, by name; the simpler ones first, which is how a verdict finds the simplest that will do."""
ALWAYS = ("best_single", "task_mean")
"""These stand in every table, whatever was asked for."""
QUICK = ("best_single", "task_mean", "rasch", "knn")
"""The simple ones, fitted within a second: what `evaluate` compares with unless asked for more."""


def fit_baselines(data: LearningData, names: Iterable[str] = QUICK) -> dict[str, Baseline]:
    """The baselines by name, fitted on the training rows; those that stand in every table are among them.

    Raises:
        ConfigError: There is no baseline of such a name.
        NotApplicableError: A method needs something that the data does not have.
    """
    return {kind.name: kind.fit(data) for kind in find_baselines([*ALWAYS, *names])}


def find_baselines(names: Iterable[str]) -> list[type[Baseline]]:
    """The classes of the named baselines, in table order.

    Raises:
        ConfigError: There is no baseline of such a name.
    """
    wanted = set(names)
    unknown = sorted(wanted - set(BASELINES))
    if unknown:
        near = difflib.get_close_matches(unknown[0], BASELINES, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Baselines: {', '.join(BASELINES)}."
        raise ConfigError(f"Unknown baseline {unknown[0]!r}. {hint} All of them: graphrouter benchmark --list.")
    return [kind for name, kind in BASELINES.items() if name in wanted]
