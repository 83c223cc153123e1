"""From a dataset to tensors: embeddings, fitted transforms, node tables and outcome edges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.data import RoutingDataset, Split
from graphrouter.data.columns import OUTCOME_NUMBERS
from graphrouter.data.splits import check_split, group_families
from graphrouter.data.view_columns import question_keys
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import DataError
from graphrouter.features.askers import People
from graphrouter.features.bills import Bills
from graphrouter.features.channels import ChannelScaler, Tariff
from graphrouter.features.outcome_edges import RecordedEdges, encode_outcomes
from graphrouter.features.prompts import draw_fitted
from graphrouter.features.recorded_prices import add_prices
from graphrouter.features.suspect_zeros import hide_suspect_zeros
from graphrouter.features.tables import (
    FeatureTransform,
    FittedTransforms,
    NodeTable,
    RawFeatures,
    encode_raw,
    find_positions,
)
from graphrouter.features.tariffs import read_tariff
from graphrouter.features.token_rates import TokenRates
from graphrouter.features.views import fit_views
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.types import IntArray


@dataclass(frozen=True)
class TrainingTables:
    """A dataset as tensors, with what was fitted on its training rows."""

    nodes: NodeTable
    raw: RawFeatures
    transforms: FittedTransforms
    train: RecordedEdges
    validation: RecordedEdges
    train_queries: Tensor
    """(num_train,) int64 positions in the node table."""
    validation_queries: Tensor
    """(num_validation,) int64 positions in the node table."""
    tokens: TokenRates
    """From characters to tokens, by training outcomes."""
    prompt_group: Tensor
    """(num_queries,) int64, equal for queries with the same prompt."""
    pool: ModelPool
    tariff: Tariff
    """What its models charge, by their training outcomes."""
    model_family: Tensor
    """(num_models,) int64, equal for models of one family, below num_models."""


def prepare(
    data: RoutingDataset, split: Split, encoder: TextEncoder, *, progress: bool = False
) -> TrainingTables:
    """Training and validation rows as tensors.

    Test rows, and tasks without training queries, are dropped before anything else.

    Models held out by the split are dropped from the pool; a model without outcomes stays and is a
    newcomer.

    Raises:
        DataError: The split is not one of this data, or a side of it has no outcomes.
    """
    check_split(data, split)
    pool = ModelPool.of(card for card in data.pool if card.model not in set(split.held_out_models))
    ids = [*split.train, *split.validation]
    queries = data.queries.set_index("query_id").loc[ids]
    tasks = select_training_tasks(data, split)
    raw = encode_raw(encoder, queries, pool, tasks, progress=progress, filed=True)
    position, model, outcomes = _order_outcomes(data, ids, pool)
    # Outcomes are sorted by query, those of training first: parts of them are not copied.
    num_first = int(np.searchsorted(position, len(split.train)))
    of_train, others = slice(num_first), slice(num_first, None)
    sides = {"training": (split.train, of_train), "validation": (split.validation, others)}
    is_graded = outcomes["effect"].notna().to_numpy(dtype=bool)
    for side, (theirs, rows) in sides.items():
        if theirs and not is_graded[rows].any():
            what = "a graded answer" if len(is_graded[rows]) else "an outcome"
            raise DataError(
                f"No {side} query of {data.name!r} has {what} of a model of the pool. Divide "
                "the queries another way, or grade more of them."
            )
    priced = hide_suspect_zeros(add_prices(outcomes, pool, model), named=(model, pool.names))
    train = (position[of_train], model[of_train], priced[of_train])
    train_rows, fitted = slice(0, len(split.train)), draw_fitted(len(split.train))
    transforms = FittedTransforms(
        features=FeatureTransform.fit(
            prompts=raw.prompts[fitted],
            surface=raw.surface[fitted],
            descriptions=raw.descriptions,
            cards=raw.cards,
            tasks=raw.tasks,
            views=fit_views(raw.views, train_rows),
        ),
        channels=ChannelScaler.fit(train[2]),
        cost=CostScale.fit(train[2]["cost_usd"].to_numpy(float)),
    )
    bills = Bills.read(train[2], pool.names, transforms.channels, shown=train[2], model=train[1])
    edges = encode_outcomes(position, model, priced, transforms, bills)
    tokens = raw.count_tokens(*train)
    return TrainingTables(
        nodes=_name_askers(raw.to_nodes(transforms.features, pool, model[of_train]), queries),
        raw=raw,
        transforms=transforms,
        train=edges.take(of_train),
        validation=edges.take(others),
        train_queries=torch.arange(len(split.train)),
        validation_queries=torch.arange(len(split.train), len(ids)),
        tokens=tokens,
        prompt_group=torch.from_numpy(_number_prompts(queries)),
        pool=pool,
        tariff=read_tariff(bills, pool.prices, raw, *train, tokens),
        model_family=torch.from_numpy(_number_families(data, pool)),
    )


def _name_askers(nodes: NodeTable, queries: pd.DataFrame) -> NodeTable:
    """The nodes with those who asked, where the queries say so."""
    people = People.of(queries)
    return nodes if people is None else replace(nodes, askers=people.to_nodes())


def _number_prompts(queries: pd.DataFrame) -> IntArray:
    """(num_queries,), equal for queries that ask the same."""
    # Keys are 16 hexadecimal digits: as numbers they take a tenth of the room.
    keys = np.fromiter((int(key, 16) for key in question_keys(queries)), np.uint64, len(queries))
    return np.asarray(pd.factorize(keys)[0], dtype=np.int64)


def _number_families(data: RoutingDataset, pool: ModelPool) -> IntArray:
    """Number of each model's family: (num_models,)."""
    family_of = dict(zip(data.models["model"], group_families(data.models), strict=True))
    return np.asarray(
        pd.factorize(np.array([family_of[name] for name in pool.names]))[0], dtype=np.int64
    )


def select_training_tasks(data: RoutingDataset, split: Split) -> pd.DataFrame:
    """The tasks that training queries have, in the order of the task table.

    Columns `task` and `description`.
    """
    present = data.queries.loc[data.queries["query_id"].isin(split.train), "task"].dropna().unique()
    return data.tasks.loc[data.tasks["task"].isin(present), ["task", "description"]].reset_index(
        drop=True
    )


def _order_outcomes(
    data: RoutingDataset, query_ids: list[str], pool: ModelPool
) -> tuple[IntArray, IntArray, pd.DataFrame]:
    """Outcomes of the queries and of the pool, in the order of both.

    So shuffled rows are the same data and give the same router. First the position of the query of
    each, then that of its model, then its numbers: names are not copied, which are half of a log.
    """
    query = find_positions(data.outcomes["query_id"], query_ids)
    model = find_positions(data.outcomes["model"], pool.names)
    rows = np.flatnonzero((query >= 0) & (model >= 0))
    rows = rows[np.argsort(query[rows] * len(pool) + model[rows], kind="stable")]
    query, model = query[rows], model[rows]
    numbers = data.outcomes[list(OUTCOME_NUMBERS)].take(rows)
    names = pd.CategoricalDtype(list(pool.names))
    return query, model, numbers.assign(model=pd.Categorical.from_codes(model, dtype=names))
