"""Ways to take something away from a dataset: what a router is trained on lacks it, what it is
judged on stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd

from graphrouter.data import RoutingDataset
from graphrouter.data.columns import CAPABILITIES

PRICES = ("input_usd_per_mtok", "output_usd_per_mtok")
CARD_NUMBERS = (*PRICES, "context_tokens", "num_params", *CAPABILITIES)


def without_tasks(data: RoutingDataset) -> RoutingDataset:
    """No task node and no edge to one: no query has a task."""
    return replace(data, queries=_emptied(data.queries, "task"), tasks=data.tasks[:0])


def without_task_descriptions(data: RoutingDataset) -> RoutingDataset:
    """Task nodes without a text."""
    return replace(data, tasks=_emptied(data.tasks, "description"))


def without_descriptions(data: RoutingDataset) -> RoutingDataset:
    """Model nodes without a text. Size and date may still stand in the name."""
    return replace(data, models=_emptied(data.models, "description"))


def without_card_numbers(data: RoutingDataset) -> RoutingDataset:
    """Model nodes without prices, context, size and capabilities.

    What name and description say of them stays.

    Without prices, costs are learned in dollars and not from tokens: figures that weigh cost change
    for that reason too.
    """
    return replace(data, models=_emptied(data.models, *CARD_NUMBERS))


def without_cards(data: RoutingDataset) -> RoutingDataset:
    """Model nodes with nothing but what the name says."""
    return without_card_numbers(without_descriptions(data))


CHANGES: Mapping[str, Callable[[RoutingDataset], RoutingDataset]] = {
    "no_task_nodes": without_tasks,
    "no_task_descriptions": without_task_descriptions,
    "no_model_descriptions": without_descriptions,
    "no_card_numbers": without_card_numbers,
    "no_cards": without_cards,
}


def _emptied(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The table with nothing known in these columns; their types stay."""
    emptied = frame.copy()
    for column in columns:
        emptied[column] = pd.Series(
            [None] * len(frame), index=frame.index, dtype=frame[column].dtype
        )
    return emptied
