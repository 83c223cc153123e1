"""Views of a query: what goes with it beside its text, as numbers that may be missing.

A view is one way to look at a query: the documents of its context, how these go with the question,
or an embedding of one encoder. Each has vectors, by which queries are alike, and numbers. As texts
are, both are centred and scaled by statistics of training rows that have the view, and mapped to
principal coordinates of their kernel (see `features.prompts`). A query that does not have a view
has NaN there, and never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.artifact_tables import StoredTable
from graphrouter.encoders import TextEncoder, encode_texts
from graphrouter.features.context_numbers import CONTEXT_NUMBERS, measure_context
from graphrouter.features.prompts import Float32Array, PromptTransform, scale_to_unit
from graphrouter.query_views import Context, Embedding
from graphrouter.types import BoolArray, IntArray, Queries

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT, CONTEXT_FIT = "context", "context_fit"
"""What the documents are about, and how they go with the question."""
_EMBEDDING = "embedding:"
NUM_COORDINATES = 64
"""Of a view, at most."""
_COLUMN, _TRANSFORM = "view.", "views."
"""Beginnings of names in an artifact."""
_FEWEST_ROWS = 2
_LEAST_NORM = 1e-9


class RawView(NamedTuple):
    """A view before any fitted transform: what an artifact keeps. n queries."""

    vectors: Float32Array
    """(n, dimension) of unit length, NaN rows where a query does not have the view; of width 0
    where it is numbers alone."""
    numbers: Float32Array
    """(n, num_numbers), NaN rows likewise; of width 0 where there are none."""

    @property
    def is_known(self) -> BoolArray:
        """(n,) which queries have it."""
        return ~np.isnan((self.vectors if self.vectors.shape[1] else self.numbers)[:, 0])

    def take(self, rows: BoolArray | IntArray | slice) -> RawView:
        """Some of the queries."""
        return RawView(*(part[rows] for part in self))


RawViews = Mapping[str, RawView]
"""By name."""


class PlacedView(NamedTuple):
    """A view under its transform. n queries."""

    x: Float32Array
    """(n, P) principal coordinates, NaN rows where a query does not have the view."""
    text: Float32Array
    """(n, dimension) centred unit vectors, NaN rows likewise."""


@dataclass(frozen=True, eq=False)
class ViewNodes:
    """A view of the nodes of a table or a graph."""

    name: str
    x: Tensor
    """(num_queries, P) principal coordinates, NaN rows where a query does not have it."""
    text: Tensor
    """(num_queries, dimension) centred unit vectors, NaN rows likewise; of width 0 where queries
    are not compared by it."""


def name_embedding(encoder: str) -> str:
    """The name of the view that embeddings of an encoder are.

    Example:
        >>> name_embedding("clip")
        'embedding:clip'
    """
    return f"{_EMBEDDING}{encoder}"


def list_encoders(views: Mapping[str, object]) -> list[str]:
    """The encoders whose embeddings are among some views by name."""
    return [name.removeprefix(_EMBEDDING) for name in views if name.startswith(_EMBEDDING)]


def read_views(encoder: TextEncoder, queries: Queries, asked: Float32Array) -> dict[str, RawView]:
    """The views that any of the queries has, by name, in alphabetical order.

    Args:
        encoder: Of the documents.
        queries: With contexts and embeddings.
        asked: (num_queries, dimension) unit embeddings of the prompts.
    """
    views = _read_embeddings(queries.embeddings)
    if any(context is not None for context in queries.contexts):
        views |= _read_contexts(encoder, queries.prompts, queries.contexts, asked)
    return dict(sorted(views.items()))


def join_views(old: RawViews, num_old: int, new: RawViews, num_new: int) -> dict[str, RawView]:
    """The views of some queries and of more behind them; a view that one side lacks is missing.

    Args:
        old: Of the first.
        num_old: How many these are.
        new: Of the others.
        num_new: How many these are.
    """
    joined = {}
    for name in sorted({*old, *new}):
        like = old[name] if name in old else new[name]
        parts = [
            side[name] if name in side else _make_missing(like, size)
            for side, size in ((old, num_old), (new, num_new))
        ]
        joined[name] = RawView(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return joined


def fit_views(views: RawViews, rows: slice) -> dict[str, PromptTransform]:
    """The transform of each view that at least two of the training rows have.

    Args:
        views: By name.
        rows: Those of training.
    """
    fitted = {}
    for name, view in views.items():
        train = view.take(rows)
        known = train.take(train.is_known)
        if len(known.vectors) >= _FEWEST_ROWS:
            fitted[name] = _cut(PromptTransform.fit(known.vectors, known.numbers))
    return fitted


def place_view(transform: PromptTransform, view: RawView | None, num_queries: int) -> PlacedView:
    """A view under its transform, each row by itself.

    Args:
        transform: Fitted on training rows.
        view: As it was read; None where no query has it.
        num_queries: How many there are.
    """
    width, size = len(transform.coordinates.mean), len(transform.mean)
    x, text = (np.full((num_queries, n), np.nan, dtype=np.float32) for n in (width, size))
    if view is not None and view.is_known.any():
        known = view.is_known
        some = view.take(known)
        x[known] = transform.principal(some.vectors, some.numbers)
        text[known] = transform.text(some.vectors)
    return PlacedView(x, text)


def make_view_nodes(
    transforms: Mapping[str, PromptTransform], views: RawViews, num_queries: int
) -> tuple[ViewNodes, ...]:
    """The views of the nodes of a table.

    Args:
        transforms: Fitted on training rows, by name.
        views: Of the queries.
        num_queries: How many there are.
    """
    import torch  # here: serving reads features and makes no tensors

    return tuple(
        ViewNodes(name, *map(torch.from_numpy, place_view(of, views.get(name), num_queries)))
        for name, of in transforms.items()
    )


def pack_transforms(transforms: Mapping[str, PromptTransform]) -> dict[str, Float32Array]:
    """All numbers of the transforms by name, for `take_transforms`."""
    return {
        f"{_TRANSFORM}{name}.{part}": array
        for name, view in transforms.items()
        for part, array in view.to_arrays().items()
    }


def take_transforms(arrays: dict[str, Float32Array]) -> dict[str, PromptTransform]:
    """The transforms of `pack_transforms`; what they are made of is taken out of the arrays.

    Raises:
        KeyError: An array is missing.
    """
    found: dict[str, dict[str, Float32Array]] = {}
    for key in sorted(key for key in arrays if key.startswith(_TRANSFORM)):
        name, part = key.removeprefix(_TRANSFORM).rsplit(".", 1)
        found.setdefault(name, {})[part] = arrays.pop(key)
    return {name: PromptTransform.from_arrays(parts) for name, parts in found.items()}


def pack_views(views: RawViews) -> dict[str, Float32Array]:
    """The views as columns of vectors, (num_queries, length) each, by name."""
    return {
        f"{_COLUMN}{name}.{part}": rows
        for name, view in views.items()
        for part, rows in view._asdict().items()
        if rows.shape[1]
    }


def unpack_views(
    columns: Mapping[str, Float32Array] | StoredTable, widths: Mapping[str, Sequence[int]]
) -> dict[str, RawView]:
    """The views of `pack_views`.

    Args:
        columns: By name, perhaps among others.
        widths: Of the vectors and of the numbers of each view.

    Raises:
        KeyError: A column is missing.
    """
    found = {}
    for name, sizes in sorted(widths.items()):
        nothing = np.zeros((0, 0), dtype=np.float32)
        parts = [
            np.asarray(columns[f"{_COLUMN}{name}.{part}"], dtype=np.float32) if size else nothing
            for part, size in zip(RawView._fields, sizes, strict=True)
        ]
        count = max(map(len, parts))
        found[name] = RawView(
            *(part if part.size else np.zeros((count, 0), np.float32) for part in parts)
        )
    return found


def _read_embeddings(embeddings: Sequence[Embedding | None]) -> dict[str, RawView]:
    rows: dict[str, list[int]] = {}
    for row, embedding in enumerate(embeddings):
        if embedding is not None:
            rows.setdefault(embedding.encoder, []).append(row)
    views = {}
    for encoder, theirs in rows.items():
        given = np.stack([each.vector for each in map(embeddings.__getitem__, theirs) if each])
        lengths = np.sqrt((given.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        vectors = np.full((len(embeddings), given.shape[1]), np.nan, dtype=np.float32)
        numbers = np.full((len(embeddings), 1), np.nan, dtype=np.float32)
        vectors[theirs] = scale_to_unit(given)
        numbers[theirs] = np.log(np.maximum(lengths, _LEAST_NORM))
        views[name_embedding(encoder)] = RawView(vectors, numbers)
    return views


def _read_contexts(
    encoder: TextEncoder,
    prompts: Sequence[str],
    contexts: Sequence[Context | None],
    asked: Float32Array,
) -> dict[str, RawView]:
    distinct = {
        text: i for i, text in enumerate(dict.fromkeys(t for c in contexts for t in c or ()))
    }
    encoded = encode_texts(encoder, list(distinct))
    vectors = np.full((len(contexts), encoded.shape[1]), np.nan, dtype=np.float32)
    numbers = np.full((len(contexts), len(CONTEXT_NUMBERS)), np.nan, dtype=np.float32)
    for row, (prompt, documents) in enumerate(zip(prompts, contexts, strict=True)):
        if documents is not None:
            each = encoded[[distinct[text] for text in documents]]
            mean = each.astype(np.float64).mean(axis=0, keepdims=True)
            vectors[row] = scale_to_unit(mean.astype(np.float32))[0]
            numbers[row] = measure_context(prompt, documents, asked[row], each)
    return {
        CONTEXT: RawView(vectors, numbers[:, :0]),
        CONTEXT_FIT: RawView(vectors[:, :0], numbers),
    }


def _make_missing(like: RawView, num_queries: int) -> RawView:
    return RawView(
        *(np.full((num_queries, part.shape[1]), np.nan, dtype=np.float32) for part in like)
    )


def _cut(transform: PromptTransform) -> PromptTransform:
    """The transform with the widest coordinates alone, and none beyond the rank."""
    coordinates = transform.coordinates
    width = min(NUM_COORDINATES, max(1, int(np.abs(coordinates.basis).any(axis=0).sum())))
    cut = coordinates._replace(
        basis=np.ascontiguousarray(coordinates.basis[:, :width]), mean=coordinates.mean[:width]
    )
    return PromptTransform(transform.mean, transform.surface_mean, transform.surface_scale, cut)
