"""From rows to tensors, the same for training and for serving: raw features, node tables and
outcome edges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.encoders import TextEncoder
from graphrouter.features.cards import card_features
from graphrouter.features.channels import ChannelScaler, OutcomeColumns
from graphrouter.features.prompts import Float32Array, prompt_chars, surface_features
from graphrouter.features.transforms import FeatureTransform
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.types import FloatArray, IntArray

PRICE_COLUMNS = ("input_usd_per_mtok", "output_usd_per_mtok")


@dataclass(frozen=True)
class NodeTable:
    """Features of all nodes that a graph may draw from. Rows are positions.

    Ids live with the caller.
    """

    query_text: Tensor
    """(num_queries, dimension) float32, centred unit embeddings."""
    query_principal: Tensor
    """(num_queries, num_principal) float32, text and surface features in decorrelated
    coordinates."""
    query_chars: Tensor
    """(num_queries,) float32 length of the prompt in characters."""
    query_task: Tensor
    """(num_queries,) int64 position in the task table, -1 = unknown."""
    model_text: Tensor
    """(num_models, dimension) float32, a zero row = no description."""
    model_card: Tensor
    """(num_models, 2 * num_card) float32, scaled numbers and missing marks."""
    task_text: Tensor
    """(num_tasks, dimension) float32, a zero row = no description."""


@dataclass(frozen=True)
class OutcomeEdges:
    """Outcomes as edges from query to model."""

    query: Tensor
    """(num_edges,) int64 position in the node table."""
    model: Tensor
    """(num_edges,) int64 position in the pool."""
    channels: Tensor
    """(NUM_CHANNELS, num_edges) float32, standardised; NaN = not observed."""
    scaled_cost: Tensor
    """(num_edges,) float32, cost mapped to [0, 1] by the policy's scale; NaN = not observed. Never
    a message."""

    def take(self, edges: Tensor) -> OutcomeEdges:
        """The edges at the given positions (int64) or where the mask (bool) is true."""
        return OutcomeEdges(
            self.query[edges], self.model[edges], self.channels[:, edges], self.scaled_cost[edges]
        )


@dataclass(frozen=True)
class RawFeatures:
    """Features before any fitted transform: what an artifact keeps of its support, pool and
    tasks.
    """

    prompts: Float32Array
    """(num_queries, dimension) embeddings."""
    surface: Float32Array
    """(num_queries, num_surface)."""
    query_task: IntArray
    """(num_queries,) position in the task table, -1 = unknown."""
    descriptions: Float32Array
    """(num_models, dimension), a zero row = no description."""
    cards: FloatArray
    """(num_models, num_card), NaN = not stated."""
    tasks: Float32Array
    """(num_tasks, dimension), a zero row = no description."""

    def head(self, num_queries: int) -> RawFeatures:
        """The same features with the first queries alone."""
        first = slice(0, num_queries)
        return dataclasses.replace(
            self,
            prompts=self.prompts[first],
            surface=self.surface[first],
            query_task=self.query_task[first],
        )

    def to_nodes(self, transform: FeatureTransform) -> NodeTable:
        """The node table under a fitted transform."""
        return NodeTable(
            query_text=torch.from_numpy(transform.prompts.text(self.prompts)),
            query_principal=torch.from_numpy(
                transform.prompts.principal(self.prompts, self.surface)
            ),
            query_chars=torch.from_numpy(prompt_chars(self.surface).astype(np.float32)),
            query_task=torch.from_numpy(self.query_task),
            model_text=torch.from_numpy(transform.descriptions(self.descriptions)),
            model_card=torch.from_numpy(transform.cards(self.cards)),
            task_text=torch.from_numpy(transform.tasks(self.tasks)),
        )


@dataclass(frozen=True)
class FittedTransforms:
    """Everything that is fitted on training rows and saved with the artifact."""

    features: FeatureTransform
    channels: ChannelScaler
    cost: CostScale


def encode_raw(
    encoder: TextEncoder,
    queries: pd.DataFrame,
    pool: ModelPool,
    tasks: pd.DataFrame,
    *,
    progress: bool = False,
) -> RawFeatures:
    """Embeddings and raw numbers of queries (`task`, `prompt`), models and tasks (`task`,
    `description`).
    """
    prompts = queries["prompt"].tolist()
    return RawFeatures(
        prompts=encoder.encode(prompts, progress=progress),
        surface=surface_features(prompts),
        query_task=positions_of(queries["task"], tasks["task"].tolist()),
        descriptions=_encode_present(encoder, [card.description for card in pool]),
        cards=card_features(pool),
        tasks=_encode_present(
            encoder, [None if pd.isna(text) else str(text) for text in tasks["description"]]
        ),
    )


def with_prices(outcomes: pd.DataFrame, pool: ModelPool) -> pd.DataFrame:
    """The outcomes with the prices that their models have now, as columns: what a cost meant does
    not change with a price.
    """
    prices = pool.prices[:, positions_of(outcomes["model"], pool.names)]
    return outcomes.assign(**dict(zip(PRICE_COLUMNS, prices, strict=True)))


def outcome_columns(outcomes: pd.DataFrame) -> OutcomeColumns:
    """Outcome rows, with the prices that they were recorded under, as arrays."""
    return OutcomeColumns(
        effect=outcomes["effect"].to_numpy(float),
        cost_usd=outcomes["cost_usd"].to_numpy(float),
        input_tokens=outcomes["input_tokens"].to_numpy(float),
        output_tokens=outcomes["output_tokens"].to_numpy(float),
        latency_s=outcomes["latency_s"].to_numpy(float),
        input_price=outcomes[PRICE_COLUMNS[0]].to_numpy(float),
        output_price=outcomes[PRICE_COLUMNS[1]].to_numpy(float),
    )


def outcome_edges(
    query: IntArray,
    model: IntArray,
    columns: OutcomeColumns,
    transforms: FittedTransforms,
) -> OutcomeEdges:
    """Outcomes as edges between positions of the node table and of the pool."""
    return OutcomeEdges(
        query=torch.from_numpy(query),
        model=torch.from_numpy(model),
        channels=torch.from_numpy(transforms.channels.encode(columns).astype(np.float32)),
        scaled_cost=torch.from_numpy(transforms.cost.scale(columns.cost_usd).astype(np.float32)),
    )


def positions_of(values: pd.Series[Any], names: Sequence[str]) -> IntArray:
    """Position of each value among `names`, -1 where it is not among them: (num_values,)."""
    return np.asarray(pd.Index(names).get_indexer(pd.Index(values)), dtype=np.int64)


def _encode_present(encoder: TextEncoder, texts: list[str | None]) -> Float32Array:
    """Embeddings, a zero row where there is no text."""
    vectors = np.zeros((len(texts), encoder.dimension), dtype=np.float32)
    present = [i for i, text in enumerate(texts) if text]
    if present:
        vectors[present] = encoder.encode([texts[i] or "" for i in present])
    return vectors
