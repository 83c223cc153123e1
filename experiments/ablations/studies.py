"""The studies: what is left out or changed in each, and who learns from fewer queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.benchmark import MAIN
from graphrouter.config import Part
from graphrouter.exceptions import ConfigError


@dataclass(frozen=True)
class Variant:
    """One thing that is changed."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Values of dotted settings."""
    change: str | None = None
    """Name of what is taken out of the data."""


PARTS = {f"no_{part}": Variant({"network.leave_out": [part]}) for part in get_args(Part)}
STUDIES: Mapping[str, Mapping[str, Variant]] = {
    "parts": {**PARTS, "no_part": Variant({"network.leave_out": list(get_args(Part))})},
    "data": {
        "no_task_nodes": Variant(change="no_task_nodes"),
        "no_task_descriptions": Variant(change="no_task_descriptions"),
        "no_model_descriptions": Variant(change="no_model_descriptions"),
        "no_card_numbers": Variant(change="no_card_numbers"),
        "nothing_but_names": Variant(change="no_cards"),
        "no_similar_to_edges": Variant(
            {"network.leave_out": ["similar_queries", "similar_residuals"]}
        ),
        "no_newcomers_in_training": Variant({"training.newcomer_share": 0.0}),
    },
    "encoder": {"hashing_encoder": Variant({"encoder.name": "hashing"})},
    "support": {
        "support_512": Variant({"training.support_queries": 512}),
        "support_1024": Variant({"training.support_queries": 1024}),
        "neighbours_16": Variant({"graph.num_neighbours": 16}),
        "neighbours_128": Variant({"graph.num_neighbours": 128}),
    },
}
"""Variants beside `graphrouter`, by study. One that leaves out several parts at once is for the
edges or the node that they read."""
CURVES = "curves"
SIZES: tuple[int | None, ...] = (100, 200, 500, 1000, 2000, None)
"""Training and validation queries of the learning curves; None = all."""
FEW = 200
"""The size at which every baseline is asked."""
ON_CURVES = (
    "best_single",
    "task_mean",
    "rasch",
    "knn",
    "carrot_knn",
    "linear",
    "carrot_linear",
    "uniroute_kmeans",
    "uniroute_map",
    "avengers_pro",
    "mirt",
    "embed_llm",
    "gbt",
)
"""Baselines of the learning curves: the strong ones, and those that are fitted within seconds."""


def routers_at(size: int | None) -> tuple[str, ...]:
    """Who learns from so many queries: the graph router first."""
    return (MAIN, *(BASELINES if size == FEW else ON_CURVES))


def check_studies(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        ConfigError: There is no study of such a name.
    """
    unknown = [name for name in names if name not in (*STUDIES, CURVES)]
    if unknown:
        raise ConfigError(
            f"Unknown study {unknown[0]!r}. Studies: {', '.join((*STUDIES, CURVES))}."
        )
    return tuple(dict.fromkeys(names))
