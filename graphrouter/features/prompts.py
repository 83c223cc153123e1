"""Prompts as numbers: centred embeddings, surface features, principal coordinates, similar ones.

The same for training and serving, by statistics that are fitted on training rows alone.

In the principal coordinates what a model gets right is close to linear. Two prompts are alike when
their texts and their surfaces are: a long text with code in it is another task than a short one on
the same subject. The kernel is

    k(x, y) = exp(SHARPNESS * (cos(x, y) - 1) - |s_x - s_y|^2 / (2 * num_surface))

over centred embeddings x, y and scaled surface features s. Its principal components (Schoelkopf,
Smola and Mueller 1998) are computed from some training rows, the landmarks (Williams and Seeger
2001, the Nystroem method).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from graphrouter.encoders import TextEncoder, encode_texts
from graphrouter.features.row_files import RowFile, write_rows
from graphrouter.features.surface import read_surface
from graphrouter.types import FloatArray, IntArray

Float32Array = NDArray[np.float32]

NUM_PRINCIPAL = 128
NUM_LANDMARKS = 512
SHARPNESS = 2.0
_SMALLEST = 1e-6
"""Directions with less than this share of the largest variance are noise of the arithmetic."""
_ROWS_AT_ONCE = 32
"""Kernel values of so many prompts stay in the cache between one operation and the next."""
_ROWS_CENTRED_AT_ONCE = 1024
"""In double precision all of a large support would be the most that loading it takes."""
MOST_FITTED = 16_384
"""So many training rows, drawn at random, say where prompts are centred and along which directions
they vary; more would say it no better, and take memory that grows with the log."""


@dataclass(frozen=True, eq=False)
class PromptTransform:
    """Centres and scales prompts with statistics of the training rows.

    Never refitted at prediction. Each row is transformed by itself: it does not depend on others.
    """

    mean: Float32Array
    """(dimension,) mean embedding."""
    surface_mean: Float32Array
    """(num_surface,)"""
    surface_scale: Float32Array
    """(num_surface,) > 0."""
    coordinates: KernelCoordinates
    """Principal coordinates."""

    @classmethod
    def fit(cls, embeddings: Float32Array, surface: Float32Array) -> Self:
        """The transform of training rows.

        Args:
            embeddings: (num_queries, dimension) unit embeddings.
            surface: (num_queries, num_surface) from `read_surface`.
        """
        rows = draw_fitted(len(embeddings))
        embeddings, surface = embeddings[rows], surface[rows]
        mean = average_present(embeddings)
        surface_mean, surface_scale = measure_columns(surface.astype(np.float64))
        coordinates = KernelCoordinates.fit(
            scale_to_unit(embeddings - mean), _scale_surface(surface, surface_mean, surface_scale)
        )
        return cls(mean, surface_mean, surface_scale, coordinates)

    @overload
    def text(self, embeddings: Float32Array) -> Float32Array: ...
    @overload
    def text(self, embeddings: RowFile) -> RowFile: ...
    def text(self, embeddings: Float32Array | RowFile) -> Float32Array | RowFile:
        """Centred unit embeddings: (num_queries, dimension); filed where the embeddings are."""
        found = _make_like(embeddings, embeddings.shape[1])
        for rows in _list_blocks(len(embeddings)):
            write_rows(found, rows.start, scale_to_unit(embeddings[rows] - self.mean))
        return found

    def surface(self, raw: Float32Array) -> Float32Array:
        """Scaled surface features, clipped to [-5, 5]: (num_queries, num_surface)."""
        return _scale_surface(raw, self.surface_mean, self.surface_scale)

    @overload
    def principal(self, embeddings: Float32Array, raw_surface: Float32Array) -> Float32Array: ...
    @overload
    def principal(self, embeddings: RowFile, raw_surface: Float32Array) -> RowFile: ...
    def principal(
        self, embeddings: Float32Array | RowFile, raw_surface: Float32Array
    ) -> Float32Array | RowFile:
        """Prompts in decorrelated coordinates, by falling variance: (num_queries, NUM_PRINCIPAL).

        In these coordinates a ridge regression is one shrunk sum a coordinate, which the network
        does inside the graph. Filed where the embeddings are.
        """
        found = _make_like(embeddings, len(self.coordinates.mean))
        for rows in _list_blocks(len(embeddings)):
            placed = self.place(embeddings[rows], raw_surface[rows])
            write_rows(found, rows.start, placed.principal)
        return found

    def place(self, embeddings: Float32Array, raw_surface: Float32Array) -> PlacedPrompts:
        """`text`, `surface` and `principal` of the same prompts, the first two computed once."""
        text, surface = self.text(embeddings), self.surface(raw_surface)
        return PlacedPrompts(text, surface, self._precise_coordinates.find(text, surface))

    def to_arrays(self) -> dict[str, Float32Array]:
        """All numbers by name, for `from_arrays`."""
        own = {"centre": self.mean, "numbers_mean": self.surface_mean}
        return {**own, "numbers_scale": self.surface_scale, **self.coordinates._asdict()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> Self:
        """The transform of `to_arrays`.

        Raises:
            KeyError: An array is missing.
        """
        centre, mean, scale = (arrays[n] for n in ("centre", "numbers_mean", "numbers_scale"))
        found = KernelCoordinates(*(arrays[name] for name in KernelCoordinates._fields))
        return cls(centre, mean, scale, found)

    @cached_property
    def _precise_coordinates(self) -> PreciseCoordinates:
        return PreciseCoordinates.of(self.coordinates)


class PlacedPrompts(NamedTuple):
    """Prompts under a transform."""

    text: Float32Array
    """(num_prompts, dimension) centred unit embeddings."""
    surface: Float32Array
    """(num_prompts, num_surface) scaled surface features."""
    principal: Float32Array
    """(num_prompts, NUM_PRINCIPAL) decorrelated coordinates."""


class PromptReading(NamedTuple):
    """Prompts as a text encoder and `read_surface` read them: done once, for all that needs it."""

    embeddings: Float32Array
    """(num_prompts, dimension) unit embeddings; a zero row = nothing to read."""
    surface: Float32Array
    """(num_prompts, num_surface)"""

    @classmethod
    def of(cls, prompts: Sequence[str], encoder: TextEncoder) -> Self:
        """What an encoder and the surface say of prompts."""
        return cls(encode_texts(encoder, list(prompts)), read_surface(prompts))


class KernelCoordinates(NamedTuple):
    """Maps prompts to decorrelated coordinates, by falling variance.

    L landmarks, P = NUM_PRINCIPAL coordinates.
    """

    landmark_text: Float32Array
    """(L, dimension) centred unit embeddings of the landmarks."""
    landmark_surface: Float32Array
    """(L, num_surface) their scaled surface features."""
    basis: Float32Array
    """(L, P) from kernel values to coordinates; zero columns where rows were too few."""
    mean: Float32Array
    """(P,) mean coordinates of the training rows, before they are centred."""

    @classmethod
    def fit(cls, text: Float32Array, surface: Float32Array) -> Self:
        """The coordinates of training rows.

        Args:
            text: (num_queries, dimension) centred unit embeddings.
            surface: (num_queries, num_surface) scaled surface features.
        """
        rows = np.sort(np.random.default_rng(0).permutation(len(text))[:NUM_LANDMARKS])
        to_features, scale = (
            _find_whitening(compute_kernel(text[rows], surface[rows], text[rows], surface[rows])),
            np.sqrt(max(text.shape[1], 1)),
        )
        features = compute_kernel(text, surface, text[rows], surface[rows]) @ to_features * scale
        middle = features.mean(axis=0)
        basis = _find_directions(features - middle)
        return cls(
            text[rows],
            surface[rows],
            (to_features @ basis * scale).astype(np.float32),
            (middle @ basis).astype(np.float32),
        )

    def of(self, text: Float32Array, surface: Float32Array) -> Float32Array:
        """Coordinates of prompts: (num_queries, P), each row by itself.

        Args:
            text: (num_queries, dimension) centred unit embeddings.
            surface: (num_queries, num_surface) scaled surface features.
        """
        return PreciseCoordinates.of(self).find(text, surface)


class PreciseCoordinates(NamedTuple):
    """`KernelCoordinates` in double precision, made once and not for every prompt."""

    landmark_text: FloatArray
    landmark_surface: FloatArray
    basis: FloatArray
    mean: FloatArray
    landmark_square: FloatArray
    """(L,) squared lengths of `landmark_surface`."""

    @classmethod
    def of(cls, coordinates: KernelCoordinates) -> Self:
        """The same numbers."""
        # Stored row after row, whatever fitting left: a product rounds by the order in memory.
        text, surface, basis, mean = (part.astype(np.float64, order="C") for part in coordinates)
        return cls(text, surface, basis, mean, (surface**2).sum(axis=1))

    def find(self, text: Float32Array, surface: Float32Array) -> Float32Array:
        """Coordinates of prompts; arguments of `KernelCoordinates.of`."""
        found = np.empty((len(text), len(self.mean)), dtype=np.float32)
        for first in range(0, len(text), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            # A stack of matrices of one row, multiplied one by one: a product of several rows at
            # once may round a row differently in another batch.
            alike = _measure_likeness(
                text[rows, None].astype(np.float64),
                surface[rows, None].astype(np.float64),
                self.landmark_text,
                self.landmark_surface,
                self.landmark_square,
            )
            found[rows] = (alike @ self.basis - self.mean)[:, 0]
        return found


def compute_kernel(
    text: Float32Array,
    surface: Float32Array,
    other_text: Float32Array | FloatArray,
    other_surface: Float32Array | FloatArray,
) -> FloatArray:
    """How much alike prompts are, (..., num_rows, num_others) in (0, 1].

    Args:
        text: (..., num_rows, dimension) centred unit embeddings; a zero row is like nothing in
            particular.
        surface: (..., num_rows, num_surface) scaled surface features.
        other_text: (num_others, dimension).
        other_surface: (num_others, num_surface).

    Example:
        >>> text = np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
        >>> surface = np.zeros((2, 11), dtype=np.float32)
        >>> compute_kernel(text[:1], surface[:1], text, surface).round(3).tolist()
        [[1.0, 0.018]]
    """
    one, other = text.astype(np.float64), np.asarray(other_text, dtype=np.float64)
    near, far = surface.astype(np.float64), np.asarray(other_surface, dtype=np.float64)
    return _measure_likeness(one, near, other, far, (far**2).sum(axis=1))


def _measure_likeness(
    text: FloatArray, near: FloatArray, other_text: FloatArray, far: FloatArray, square: FloatArray
) -> FloatArray:
    """`compute_kernel` in double precision, of surfaces `near` and `far`, these with their squares.

    One array is worked on from the product on: a prompt is compared with each of the landmarks.
    """
    distance = np.add.reduce(near * near, axis=-1)[..., None] + square
    distance -= 2 * near @ far.T
    np.maximum(distance, 0, out=distance)
    distance /= 2 * max(near.shape[-1], 1)
    alike: FloatArray = text @ other_text.T
    alike -= 1
    alike *= SHARPNESS
    alike -= distance
    return np.exp(alike, out=alike)


def _find_whitening(gram: FloatArray) -> FloatArray:
    """W with gram = (gram W)(gram W)^T: (num_landmarks, rank)."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _SMALLEST * values.max()
    white: FloatArray = vectors[:, kept] / np.sqrt(values[kept])
    return white


def _find_directions(centred: FloatArray) -> FloatArray:
    """Leading eigenvectors of the covariance: (num_features, NUM_PRINCIPAL).

    Columns beyond the rank are zero.
    """
    values, vectors = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][:NUM_PRINCIPAL]
    order = order[values[order] > _SMALLEST * max(float(values.max()), _SMALLEST)]
    directions = np.zeros((centred.shape[1], NUM_PRINCIPAL))
    directions[:, : len(order)] = vectors[:, order]
    return directions


def _scale_surface(raw: Float32Array, mean: Float32Array, scale: Float32Array) -> Float32Array:
    scaled: Float32Array = np.minimum(np.maximum((raw - mean) / scale, -5), 5)
    return scaled.astype(np.float32, copy=False)


def draw_fitted(num_rows: int) -> IntArray | slice:
    """Which training rows a transform is fitted on: all, or `MOST_FITTED` of them in order."""
    if num_rows <= MOST_FITTED:
        return slice(num_rows)
    drawn = np.random.default_rng(0).permutation(num_rows)[:MOST_FITTED]
    return np.sort(drawn)


def _make_like(rows: Float32Array | RowFile, width: int) -> Float32Array | RowFile:
    """Room for as many rows, filed where those are."""
    if isinstance(rows, RowFile):
        return RowFile.zeros(len(rows), width)
    return np.empty((len(rows), width), dtype=np.float32)


def _list_blocks(num_rows: int) -> list[slice]:
    """Rows of a table, some at a time."""
    size = _ROWS_CENTRED_AT_ONCE
    return [slice(first, first + size) for first in range(0, num_rows, size)]


def measure_columns(values: FloatArray) -> tuple[Float32Array, Float32Array]:
    """Column means and standard deviations that skip NaN.

    0 and 1 for a column without values or without spread.
    """
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    variance = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count
    scale = np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 1e-12)), 1.0)
    return mean.astype(np.float32), scale.astype(np.float32)


def average_present(embeddings: Float32Array) -> Float32Array:
    """Mean (dimension,) of the rows (n, dimension) that are not all zero; zero without any."""
    present = np.abs(embeddings).sum(axis=1) > 0
    if not present.any():
        return np.zeros(embeddings.shape[1], dtype=np.float32)
    mean: Float32Array = embeddings[present].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def scale_to_unit(vectors: Float32Array) -> Float32Array:
    """Rows scaled to length 1, each by itself, so that a row does not depend on the others."""
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.add.reduce(wide * wide, axis=1, keepdims=True))
    wide /= np.maximum(norms, 1e-9)
    return wide.astype(np.float32)
