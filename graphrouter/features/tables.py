"""From rows to tensors, the same for training and serving: features, node tables, outcome edges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from graphrouter.data.columns import VIEWS
from graphrouter.data.positions import find_positions as find_positions  # of tables too
from graphrouter.encoders import TextEncoder, encode_texts
from graphrouter.encoders.text_encoder import encode_present
from graphrouter.features.cards import read_cards, read_own_numbers
from graphrouter.features.channels import (
    ChannelScaler,
    OutcomeColumns,
    read_columns,
)
from graphrouter.features.prompts import (
    Float32Array,
    KernelCoordinates,
    PromptTransform,
    average_present,
    measure_columns,
    scale_to_unit,
)
from graphrouter.features.row_files import RowFile, is_filed
from graphrouter.features.surface import read_surface
from graphrouter.features.token_rates import TokenRates, count_chars, fit_token_rates
from graphrouter.features.views import (
    RawViews,
    ViewNodes,
    join_views,
    make_view_nodes,
    pack_transforms,
    read_views,
    take_transforms,
)
from graphrouter.lazy import pandas as pd
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.types import BoolArray, FloatArray, IntArray, Queries

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class FeatureTransform:
    """Centres and scales node features with statistics of the training rows.

    Never refitted at prediction.
    """

    prompts: PromptTransform
    description_mean: Float32Array
    """(dimension,) mean embedding of the model descriptions."""
    task_mean: Float32Array
    """(dimension,) mean embedding of the task descriptions."""
    card_mean: Float32Array
    """(num_card,)"""
    card_scale: Float32Array
    """(num_card,) > 0."""
    views: Mapping[str, PromptTransform] = field(default_factory=dict)
    """Of what goes with queries beside their texts, by name in alphabetical order."""

    @classmethod
    def fit(
        cls,
        *,
        prompts: Float32Array,
        surface: Float32Array,
        descriptions: Float32Array,
        cards: FloatArray,
        tasks: Float32Array,
        views: Mapping[str, PromptTransform] | None = None,
    ) -> FeatureTransform:
        """The transform of training rows.

        Args:
            prompts: (num_queries, dimension) unit embeddings of training prompts.
            surface: (num_queries, num_surface) from `read_surface`.
            descriptions: (num_models, dimension) embeddings; all-zero rows (no description) are
                skipped.
            cards: (num_models, num_card) from `read_cards`, NaN = not stated.
            tasks: (num_tasks, dimension) embeddings; all-zero rows are skipped.
            views: From `fit_views`; none without it.
        """
        card_mean, card_scale = measure_columns(cards)
        return cls(
            prompts=PromptTransform.fit(prompts, surface),
            description_mean=average_present(descriptions),
            task_mean=average_present(tasks),
            card_mean=card_mean,
            card_scale=card_scale,
            views=dict(views or {}),
        )

    def to_arrays(self) -> dict[str, Float32Array]:
        """All numbers by name, for `from_arrays`."""
        return {
            "prompt_mean": self.prompts.mean,
            "surface_mean": self.prompts.surface_mean,
            "surface_scale": self.prompts.surface_scale,
            "description_mean": self.description_mean,
            "task_mean": self.task_mean,
            "card_mean": self.card_mean,
            "card_scale": self.card_scale,
            **self.prompts.coordinates._asdict(),
            **pack_transforms(self.views),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> FeatureTransform:
        """The transform of `to_arrays`.

        Raises:
            KeyError: An array is missing.
            TypeError: There is one too many.
        """
        rest = dict(arrays)
        views = take_transforms(rest)
        coordinates = {name: rest.pop(name) for name in KernelCoordinates._fields}
        prompts = PromptTransform(
            mean=rest.pop("prompt_mean"),
            surface_mean=rest.pop("surface_mean"),
            surface_scale=rest.pop("surface_scale"),
            coordinates=KernelCoordinates(**coordinates),
        )
        return cls(prompts=prompts, views=views, **rest)

    def descriptions(self, embeddings: Float32Array) -> Float32Array:
        """Centred unit embeddings of model descriptions.

        A zero row where there is none: (num_models, dimension).
        """
        return _centre_present(embeddings, self.description_mean)

    def tasks(self, embeddings: Float32Array) -> Float32Array:
        """Centred unit embeddings of task descriptions.

        A zero row where there is none: (num_tasks, dimension).
        """
        return _centre_present(embeddings, self.task_mean)

    def cards(self, raw: FloatArray) -> Float32Array:
        """Scaled card numbers, then missing marks: (num_models, 2 * num_card).

        A number is 0 where it is not stated, and clipped to [-5, 5].
        """
        missing = np.isnan(raw)
        scaled = np.clip(
            (np.where(missing, self.card_mean, raw) - self.card_mean) / self.card_scale, -5, 5
        )
        return np.concatenate([scaled, missing], axis=1).astype(np.float32)


_PROMPTS_AT_ONCE = 65_536
_QUERY_FEATURES = ("prompts", "surface", "num_chars", "query_task")
"""Those of `RawFeatures` that have a row a query."""


@dataclass(frozen=True, eq=False)
class Askers:
    """Who asked the queries: nodes of users, which have no features of their own."""

    of_query: Tensor
    """(num_queries,) int64 position of who asked each, -1 = nobody is named."""
    team: Tensor
    """(A,) int64 position of the team of each; the users first, then a newcomer of each of the G
    teams, then one of no team, whose position is G."""

    def take(self, queries: Tensor) -> Askers:
        """Who asked some of the queries; nobody is left out."""
        return Askers(self.of_query[queries], self.team)


@dataclass(frozen=True)
class NodeTable:
    """Features of all nodes that a graph may draw from. Rows are positions.

    Ids live with the caller.
    """

    query_text: Tensor | RowFile
    """(num_queries, dimension) float32, centred unit embeddings; of a long log that is trained on,
    rows of a file."""
    query_principal: Tensor | RowFile
    """(num_queries, num_principal) float32, text and surface features in decorrelated
    coordinates; likewise."""
    query_chars: Tensor
    """(num_queries, NUM_KINDS) float32 characters of the prompt by kind."""
    query_task: Tensor
    """(num_queries,) int64 position in the task table, -1 = unknown."""
    model_text: Tensor
    """(num_models, dimension) float32, a zero row = no description."""
    model_card: Tensor
    """(num_models, 2 * num_card + 2 * num_own) float32: scaled numbers and missing marks, then the
    same of the users' own fields."""
    task_text: Tensor
    """(num_tasks, dimension) float32, a zero row = no description."""
    askers: Askers | None = None
    """None where no query says who asked it."""
    views: tuple[ViewNodes, ...] = ()
    """What goes with the queries beside their texts, by name."""


@dataclass(frozen=True)
class RawFeatures:
    """Features before any fitted transform: what an artifact keeps."""

    prompts: Float32Array
    """(num_queries, dimension) embeddings; of a long log that is trained on, a `RowFile`, of which
    some queries are taken."""
    surface: Float32Array
    """(num_queries, num_surface)."""
    num_chars: Float32Array
    """(num_queries, NUM_KINDS) characters of the prompts by kind."""
    query_task: IntArray
    """(num_queries,) position in the task table, -1 = unknown."""
    descriptions: Float32Array
    """(num_models, dimension), a zero row = no description."""
    cards: FloatArray
    """(num_models, num_card), NaN = not stated."""
    tasks: Float32Array
    """(num_tasks, dimension), a zero row = no description."""
    views: RawViews = field(default_factory=dict)
    """What goes with the queries beside their texts, by name."""

    def take_queries(self, rows: BoolArray | IntArray | slice) -> RawFeatures:
        """The same features with some of the queries alone."""
        views = {name: view.take(rows) for name, view in self.views.items()}
        return dataclasses.replace(
            self, **{name: getattr(self, name)[rows] for name in _QUERY_FEATURES}, views=views
        )

    def add_queries(self, new: RawFeatures) -> RawFeatures:
        """The same features with the queries of `new` after its own."""
        parts = {name: [getattr(self, name), getattr(new, name)] for name in _QUERY_FEATURES}
        views = join_views(self.views, len(self.prompts), new.views, len(new.prompts))
        joined = {name: np.concatenate(parts[name]) for name in parts}
        return dataclasses.replace(self, **joined, views=views)

    def count_tokens(
        self, query: IntArray, model: IntArray, outcomes: OutcomeColumns
    ) -> TokenRates:
        """How many tokens the models count in a text.

        Args:
            query: (E,) position of each outcome's query.
            model: (E,) position of its model.
            outcomes: E rows with the column `input_tokens`.
        """
        return fit_token_rates(
            self.num_chars.astype(np.float64),
            self.query_task,
            query,
            model,
            *read_columns(outcomes, "input_tokens"),
            num_models=len(self.cards),
            num_tasks=len(self.tasks),
        )

    def to_nodes(
        self,
        transform: FeatureTransform,
        pool: ModelPool | None = None,
        known: IntArray | None = None,
        principal: Float32Array | RowFile | None = None,
    ) -> NodeTable:
        """The node table under a transform that was fitted on training rows.

        With `pool` the users' own fields of its cards are in it, and `known` holds positions of the
        models that outcomes are known of. `principal` are the principal coordinates of the queries,
        where they are computed already.
        """
        import torch  # here and below: serving reads features and makes no tensors

        if principal is None:
            principal = transform.prompts.principal(self.prompts, self.surface)
        cards = transform.cards(self.cards)
        if pool is not None and known is not None:
            own = read_own_numbers(pool.cards, np.isin(np.arange(len(pool)), known))
            cards = np.concatenate([cards, own], axis=1)
        return NodeTable(
            query_text=_to_tensor(transform.prompts.text(self.prompts)),
            query_principal=_to_tensor(principal),
            query_chars=torch.from_numpy(self.num_chars),
            query_task=torch.from_numpy(self.query_task),
            model_text=torch.from_numpy(transform.descriptions(self.descriptions)),
            model_card=torch.from_numpy(cards),
            task_text=torch.from_numpy(transform.tasks(self.tasks)),
            views=make_view_nodes(transform.views, self.views, len(self.prompts)),
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
    filed: bool = False,
) -> RawFeatures:
    """Embeddings and raw numbers of queries, models and tasks.

    Args:
        encoder: Of texts.
        queries: Columns `task` and `prompt`, and perhaps `context` and `embedding`.
        pool: The models.
        tasks: Columns `task` and `description`.
        progress: Show a progress bar.
        filed: Whether embeddings of many queries may be rows of a file.
    """
    views = {}
    if filed and is_filed(len(queries)) and not any(name in queries for name in VIEWS):
        embeddings, surface, num_chars = _read_by_blocks(encoder, queries["prompt"], progress)
    else:
        prompts = queries["prompt"].tolist()
        embeddings = encode_texts(encoder, prompts, progress=progress)
        surface, num_chars = read_surface(prompts), count_chars(prompts)
        views = read_views(encoder, Queries.of_frame(queries), embeddings)
    return RawFeatures(
        prompts=embeddings,
        surface=surface,
        num_chars=num_chars,
        query_task=find_positions(queries["task"], tasks["task"].tolist()),
        descriptions=encode_present(encoder, [card.description for card in pool]),
        cards=read_cards(pool),
        tasks=encode_present(
            encoder, [None if pd.isna(text) else str(text) for text in tasks["description"]]
        ),
        views=views,
    )


def _read_by_blocks(
    encoder: TextEncoder, prompts: pd.Series[str], progress: bool
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Embeddings, surface and characters of many prompts; the first are rows of a file."""
    embeddings = RowFile.zeros(len(prompts), encoder.dimension)
    surface, num_chars = [], []
    for first in range(0, len(prompts), _PROMPTS_AT_ONCE):
        some = prompts.iloc[first : first + _PROMPTS_AT_ONCE].tolist()
        embeddings.write(first, encode_texts(encoder, some, progress=progress))
        surface.append(read_surface(some))
        num_chars.append(count_chars(some))
    # What trains on them takes rows of them, which a file gives too.
    return cast("Float32Array", embeddings), np.concatenate(surface), np.concatenate(num_chars)


def _to_tensor(rows: Float32Array | RowFile) -> Tensor | RowFile:
    """Rows as a tensor; those of a file stay there."""
    import torch

    return rows if isinstance(rows, RowFile) else torch.from_numpy(rows)


def _centre_present(embeddings: Float32Array, mean: Float32Array) -> Float32Array:
    present = np.abs(embeddings).sum(axis=1, keepdims=True) > 0
    return np.where(present, scale_to_unit(embeddings - mean), np.float32(0.0)).astype(np.float32)
