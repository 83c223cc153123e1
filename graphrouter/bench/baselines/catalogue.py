"""Every baseline by name, from simple to complex, and how several are fitted at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from graphrouter.bench.baselines.baseline import Baseline
from graphrouter.bench.baselines.methods.avengers import Avengers, AvengersPro
from graphrouter.bench.baselines.methods.bradley_terry import SimilarityWeighted
from graphrouter.bench.baselines.methods.carrot import CarrotKNN, CarrotLinear
from graphrouter.bench.baselines.methods.cascade_methods import (
    AutoMix,
    FrugalGPT,
    RouterBenchCascade,
)
from graphrouter.bench.baselines.methods.cascade_routing import CascadeRouting
from graphrouter.bench.baselines.methods.constants import Cheapest, LargestPrice, RandomRouter
from graphrouter.bench.baselines.methods.domains import CompositionOfExperts, MoDEM
from graphrouter.bench.baselines.methods.ellie_sql import EllieSQL
from graphrouter.bench.baselines.methods.factorization import EmbedLLM, MatrixFactorization
from graphrouter.bench.baselines.methods.hybrid_llm import (
    HybridLLMDeterministic,
    HybridLLMProbabilistic,
    HybridLLMTransformed,
)
from graphrouter.bench.baselines.methods.identity_vectors import IdentityVectors
from graphrouter.bench.baselines.methods.item_response import (
    MultidimensionalIRT,
    TwoParameterIRT,
)
from graphrouter.bench.baselines.methods.ltrr import LearningToRank
from graphrouter.bench.baselines.methods.mas_router import MasRouter
from graphrouter.bench.baselines.methods.means import BestSingle, RaschRouter, TaskMean
from graphrouter.bench.baselines.methods.mix_llm import MixLLM
from graphrouter.bench.baselines.methods.model_sat import ModelSAT
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.bench.baselines.methods.paper import PaperGraphRouter, PaperGraphRouterTies
from graphrouter.bench.baselines.methods.rag_router import RAGRouter
from graphrouter.bench.baselines.methods.regressors import MLP, Linear, LinearSVM
from graphrouter.bench.baselines.methods.router_dc import RouterDC
from graphrouter.bench.baselines.methods.router_retriever import RouterRetriever
from graphrouter.bench.baselines.methods.smoothie import Smoothie
from graphrouter.bench.baselines.methods.tags import TagRouter
from graphrouter.bench.baselines.methods.trees import BoostedTrees
from graphrouter.bench.baselines.methods.tryage import Tryage
from graphrouter.bench.baselines.methods.uniroute import UniRouteKMeans, UniRouteLearnedMap
from graphrouter.exceptions import ConfigError
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.wording import suggest

if TYPE_CHECKING:
    from graphrouter.config import TrainConfig
    from graphrouter.data import RoutingDataset, Split
    from graphrouter.encoders import TextEncoder

_CONSTANT = (BestSingle, Cheapest, LargestPrice, RandomRouter)
_BY_TASK = (TaskMean, RaschRouter)
_BY_NEIGHBOURS = (NearestNeighbours, CarrotKNN, SimilarityWeighted)
_LINEAR = (Linear, CarrotLinear, LinearSVM)
_BY_CLUSTERS = (RouterRetriever, UniRouteKMeans, UniRouteLearnedMap, Avengers, AvengersPro)
_BY_DOMAINS = (MoDEM, CompositionOfExperts, TagRouter, MixLLM)
_BY_FACTORS = (TwoParameterIRT, MultidimensionalIRT, IdentityVectors, EmbedLLM, MatrixFactorization)
_BY_NETWORKS = (
    BoostedTrees,
    LearningToRank,
    MLP,
    Tryage,
    ModelSAT,
    RouterDC,
    RAGRouter,
    MasRouter,
    PaperGraphRouter,
    PaperGraphRouterTies,
)
_OF_TIERS = (
    HybridLLMDeterministic,
    HybridLLMProbabilistic,
    HybridLLMTransformed,
    EllieSQL,
)
_CASCADES = (FrugalGPT, AutoMix, RouterBenchCascade, CascadeRouting)
_BY_ANSWERS = (Smoothie, *_CASCADES)
_CLASSES: tuple[type[Baseline], ...] = (
    *_CONSTANT,
    *_BY_TASK,
    *_BY_NEIGHBOURS,
    *_LINEAR,
    *_BY_CLUSTERS,
    *_BY_DOMAINS,
    *_BY_FACTORS,
    *_BY_NETWORKS,
    *_OF_TIERS,
    *_BY_ANSWERS,
)
BASELINES: dict[str, type[Baseline]] = {kind.name: kind for kind in _CLASSES}
"""The class of each baseline, by name; the simpler ones first, which is how a verdict finds the
simplest that will do."""
ALWAYS = ("best_single", "task_mean")
"""These stand in every table, whatever was asked for."""
CASCADES = tuple(kind.name for kind in _CASCADES)
"""They call models in turn until a judge is content."""
QUICK = ("best_single", "task_mean", "rasch", "knn")
"""The simple ones, fitted within a second: what `evaluate` compares with unless asked for more."""


def fit_baselines(
    data: RoutingDataset | TrainingView,
    names: Iterable[str] = QUICK,
    *,
    config: TrainConfig | None = None,
    split: Split | None = None,
    encoder: TextEncoder | None = None,
) -> dict[str, Baseline]:
    """The baselines by name, fitted on the training rows of `data`.

    Those that stand in every table are among them. The arguments are those of `Baseline.fit`.

    Raises:
        ConfigError: There is no baseline of such a name.
        NotApplicableError: A method needs something that the data does not have.
    """
    kinds = find_baselines(names, beside=ALWAYS)
    view = TrainingView.of(data, config, split=split, encoder=encoder)
    return {kind.name: kind.fit(view) for kind in kinds}


def find_router(name: str) -> type[Router]:
    """The class of a router by its name: the graph router or a baseline.

    Example:
        >>> find_router("knn").__name__, find_router("graphrouter").__name__
        ('NearestNeighbours', 'GraphRouter')

    Raises:
        ConfigError: There is no router of such a name.
    """
    if not isinstance(name, str):
        raise ConfigError(f"A {type(name).__name__} stands for a router; expected its name.")
    return GraphRouter if name == GraphRouter.name else find_baselines([name])[0]


def find_baselines(names: Iterable[str], *, beside: Iterable[str] = ()) -> list[type[Baseline]]:
    """The classes of the named baselines, in table order.

    Args:
        names: As in `BASELINES`, each at most once in the result.
        beside: Names of more, such as `ALWAYS`.

    Raises:
        ConfigError: There is no baseline of such a name, or a single string is given.
    """
    if isinstance(names, str):
        raise ConfigError(
            f"baselines is the string {names!r}; expected a sequence, such as [{names!r}]."
        )
    wanted = {*beside, *names}
    unknown = sorted(wanted - set(BASELINES))
    if unknown:
        hint = suggest(unknown[0], BASELINES, "Baselines: ")
        raise ConfigError(
            f"Unknown baseline {unknown[0]!r}. {hint} All of them: graphrouter benchmark --list."
        )
    return [kind for name, kind in BASELINES.items() if name in wanted]
