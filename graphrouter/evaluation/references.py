"""The routers that stand beside every evaluated one, fitted on training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from graphrouter.exceptions import ConfigError
from graphrouter.routers.base import Router
from graphrouter.routers.neighbours import NearestNeighbours
from graphrouter.routers.reference import BestSingle, RaschRouter, TaskMean

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset, Split
    from graphrouter.encoders import TextEncoder


def _fit_best_single(data: RoutingDataset, split: Split, encoder: TextEncoder) -> Router:
    return BestSingle.fit(data, split.train, held_out_models=split.held_out_models)


def _fit_task_mean(data: RoutingDataset, split: Split, encoder: TextEncoder) -> Router:
    return TaskMean.fit(data, split.train, held_out_models=split.held_out_models)


def _fit_rasch(data: RoutingDataset, split: Split, encoder: TextEncoder) -> Router:
    return RaschRouter.fit(data, split.train, held_out_models=split.held_out_models)


def _fit_knn(data: RoutingDataset, split: Split, encoder: TextEncoder) -> Router:
    return NearestNeighbours.fit(
        data, split.train, encoder=encoder, validation_ids=split.validation, held_out_models=split.held_out_models
    )


REFERENCES: dict[str, Callable[[RoutingDataset, Split, TextEncoder], Router]] = {
    "best_single": _fit_best_single,
    "task_mean": _fit_task_mean,
    "rasch": _fit_rasch,
    "knn": _fit_knn,
}
"""How each reference is fitted, by name, in table order."""
ALWAYS = ("best_single", "task_mean")
"""These stand in every table, whatever was asked for."""


def fit_references(
    data: RoutingDataset, split: Split, encoder: TextEncoder, *, names: Iterable[str] | None = None
) -> dict[str, Router]:
    """The references by name, fitted on the training queries of the split; all of them without `names`.

    Raises:
        ConfigError: A name is not among `REFERENCES`.
    """
    wanted = set(REFERENCES if names is None else names)
    unknown = sorted(wanted - set(REFERENCES))
    if unknown:
        raise ConfigError(f"Unknown reference {unknown[0]!r}. References: {', '.join(REFERENCES)}.")
    return {name: fit(data, split, encoder) for name, fit in REFERENCES.items() if name in wanted or name in ALWAYS}
