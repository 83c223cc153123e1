"""From a dataset to tensors: embeddings, fitted transforms, node tables and outcome edges."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.data import RoutingDataset, Split
from graphrouter.data.splits import check_split, model_families, prompt_key
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import DataError
from graphrouter.graph.builder import NodeTable, OutcomeEdges
from graphrouter.graph.cards import card_features
from graphrouter.graph.channels import ChannelScaler, OutcomeColumns
from graphrouter.graph.coordinates import Float32Array
from graphrouter.graph.features import FeatureTransform, prompt_chars, surface_features
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.types import FloatArray, IntArray

PRICE_COLUMNS = ("input_usd_per_mtok", "output_usd_per_mtok")


@dataclass(frozen=True)
class RawFeatures:
    """Features before any fitted transform: what an artifact keeps of its support, pool and tasks."""

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
            self, prompts=self.prompts[first], surface=self.surface[first], query_task=self.query_task[first]
        )

    def to_nodes(self, transform: FeatureTransform) -> NodeTable:
        """The node table under a fitted transform."""
        return NodeTable(
            query_text=torch.from_numpy(transform.prompts(self.prompts)),
            query_principal=torch.from_numpy(transform.principal(self.prompts, self.surface)),
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


@dataclass(frozen=True)
class TrainingTables:
    """A dataset as tensors, with what was fitted on its training rows."""

    nodes: NodeTable
    raw: RawFeatures
    transforms: FittedTransforms
    train: OutcomeEdges
    validation: OutcomeEdges
    train_queries: Tensor
    """(num_train,) int64 positions in the node table."""
    validation_queries: Tensor
    """(num_validation,) int64 positions in the node table."""
    prompt_group: Tensor
    """(num_queries,) int64, equal for queries with the same prompt."""
    pool: ModelPool
    model_family: Tensor
    """(num_models,) int64, equal for models of one family, below num_models."""


def prepare(data: RoutingDataset, split: Split, encoder: TextEncoder, *, progress: bool = False) -> TrainingTables:
    """Training and validation rows as tensors; test rows, and tasks without training queries, are dropped before anything else.

    Models held out by the split are dropped from the pool; a model without outcomes stays and is a newcomer.

    Raises:
        DataError: The split is not one of this data, or a side of it has no outcomes.
    """
    check_split(data, split)
    pool = ModelPool.of(card for card in data.pool if card.model not in set(split.held_out_models))
    ids = [*split.train, *split.validation]
    queries = data.queries.set_index("query_id").loc[ids]
    tasks = training_tasks(data, split)
    raw = encode_raw(encoder, queries, pool, tasks, progress=progress)
    outcomes = _outcomes_in_order(data, ids, pool)
    position = positions_of(outcomes["query_id"], ids)
    is_train = position < len(split.train)
    for side, count in (("training", is_train.sum()), ("validation", (~is_train).sum())):
        if count == 0:
            raise DataError(
                f"No {side} query of {data.name!r} has an outcome of a model of the pool. Divide the queries another way."
            )
    priced = with_prices(outcomes, pool)
    train_columns = outcome_columns(priced[is_train])
    train_rows = slice(0, len(split.train))
    transforms = FittedTransforms(
        features=FeatureTransform.fit(
            prompts=raw.prompts[train_rows],
            surface=raw.surface[train_rows],
            descriptions=raw.descriptions,
            cards=raw.cards,
            tasks=raw.tasks,
        ),
        channels=ChannelScaler.fit(train_columns),
        cost=CostScale.fit(train_columns.cost_usd),
    )
    columns = outcome_columns(priced)
    edges = outcome_edges(position, positions_of(outcomes["model"], pool.names), columns, transforms)
    mask = torch.from_numpy(is_train)
    return TrainingTables(
        nodes=raw.to_nodes(transforms.features),
        raw=raw,
        transforms=transforms,
        train=edges.take(mask),
        validation=edges.take(~mask),
        train_queries=torch.arange(len(split.train)),
        validation_queries=torch.arange(len(split.train), len(ids)),
        prompt_group=torch.from_numpy(pd.factorize(queries["prompt"].map(prompt_key))[0].astype(np.int64)),
        pool=pool,
        model_family=torch.from_numpy(_families(data, pool)),
    )


def _families(data: RoutingDataset, pool: ModelPool) -> IntArray:
    """Number of each model's family: (num_models,)."""
    family_of = dict(zip(data.models["model"], model_families(data.models), strict=True))
    return np.asarray(pd.factorize(np.array([family_of[name] for name in pool.names]))[0], dtype=np.int64)


def training_tasks(data: RoutingDataset, split: Split) -> pd.DataFrame:
    """`task` and `description` of the tasks that training queries have, in the order of the task table."""
    present = data.queries.loc[data.queries["query_id"].isin(split.train), "task"].dropna().unique()
    return data.tasks.loc[data.tasks["task"].isin(present), ["task", "description"]].reset_index(drop=True)


def _outcomes_in_order(data: RoutingDataset, query_ids: list[str], pool: ModelPool) -> pd.DataFrame:
    """Outcomes of the queries and of the pool, in the order of both: shuffled rows are the same data and give the same router."""
    outcomes = data.outcomes[data.outcomes["query_id"].isin(query_ids) & data.outcomes["model"].isin(pool.names)]
    order = np.lexsort((positions_of(outcomes["model"], pool.names), positions_of(outcomes["query_id"], query_ids)))
    return outcomes.iloc[order]


def encode_raw(
    encoder: TextEncoder, queries: pd.DataFrame, pool: ModelPool, tasks: pd.DataFrame, *, progress: bool = False
) -> RawFeatures:
    """Embeddings and raw numbers of queries (`task`, `prompt`), models and tasks (`task`, `description`)."""
    prompts = queries["prompt"].tolist()
    return RawFeatures(
        prompts=encoder.encode(prompts, progress=progress),
        surface=surface_features(prompts),
        query_task=positions_of(queries["task"], tasks["task"].tolist()),
        descriptions=_encode_present(encoder, [card.description for card in pool]),
        cards=card_features(pool),
        tasks=_encode_present(encoder, [None if pd.isna(text) else str(text) for text in tasks["description"]]),
    )


def with_prices(outcomes: pd.DataFrame, pool: ModelPool) -> pd.DataFrame:
    """The outcomes with the prices that their models have now, as columns: what a cost meant does not change with a price."""
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
