"""Coordinates of prompts in which what a model gets right is close to linear: kernel principal components.

Two prompts are alike when their texts and their surfaces are: a long text with code in it is
another task than a short one on the same subject. The kernel is

    k(x, y) = exp(SHARPNESS * (cos(x, y) - 1) - |s_x - s_y|^2 / (2 * num_surface))

over centred embeddings x, y and scaled surface features s. Its principal components (Schoelkopf,
Smola and Mueller 1998) are computed from some training rows, the landmarks (Williams and Seeger
2001, the Nystroem method).
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from graphrouter.types import FloatArray

NUM_PRINCIPAL = 128
NUM_LANDMARKS = 512
SHARPNESS = 2.0
_SMALLEST = 1e-6
"""Directions with less than this share of the largest variance are noise of the arithmetic."""

Float32Array = NDArray[np.float32]


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
            _whitening(kernel(text[rows], surface[rows], text[rows], surface[rows])),
            np.sqrt(text.shape[1]),
        )
        features = kernel(text, surface, text[rows], surface[rows]) @ to_features * scale
        middle = features.mean(axis=0)
        basis = _leading_directions(features - middle)
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
        landmarks, basis, mean = (
            (self.landmark_text.astype(np.float64), self.landmark_surface.astype(np.float64)),
            self.basis.astype(np.float64),
            self.mean.astype(np.float64),
        )
        # One product a row: a matrix product may round a row differently in another batch.
        rows = [
            kernel(text[i : i + 1], surface[i : i + 1], *landmarks)[0] @ basis - mean
            for i in range(len(text))
        ]
        return np.array(rows, dtype=np.float32).reshape(len(text), len(mean))


def kernel(
    text: Float32Array,
    surface: Float32Array,
    other_text: Float32Array | FloatArray,
    other_surface: Float32Array | FloatArray,
) -> FloatArray:
    """How much alike prompts are, (num_rows, num_others) in (0, 1].

    Args:
        text: (num_rows, dimension) centred unit embeddings; a zero row is like nothing in
            particular.
        surface: (num_rows, num_surface) scaled surface features.
        other_text: (num_others, dimension).
        other_surface: (num_others, num_surface).

    Example:
        >>> same, other = np.array([[1.0, 0.0]], dtype=np.float32), np.array([[-1.0, 0.0]], dtype=np.float32)
        >>> surface = np.zeros((1, 11), dtype=np.float32)
        >>> kernel(same, surface, np.vstack([same, other]), np.vstack([surface, surface])).round(3).tolist()
        [[1.0, 0.018]]
    """
    cosine = text.astype(np.float64) @ np.asarray(other_text, dtype=np.float64).T
    near, far = surface.astype(np.float64), np.asarray(other_surface, dtype=np.float64)
    distance = (near**2).sum(axis=1)[:, None] + (far**2).sum(axis=1) - 2 * near @ far.T
    alike: FloatArray = np.exp(
        SHARPNESS * (cosine - 1) - np.maximum(distance, 0) / (2 * surface.shape[1])
    )
    return alike


def _whitening(gram: FloatArray) -> FloatArray:
    """W with gram = (gram W)(gram W)^T: (num_landmarks, rank)."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _SMALLEST * values.max()
    white: FloatArray = vectors[:, kept] / np.sqrt(values[kept])
    return white


def _leading_directions(centred: FloatArray) -> FloatArray:
    """Leading eigenvectors of the covariance: (num_features, NUM_PRINCIPAL), zero columns beyond
    the rank.
    """
    values, vectors = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][:NUM_PRINCIPAL]
    order = order[values[order] > _SMALLEST * max(float(values.max()), _SMALLEST)]
    directions = np.zeros((centred.shape[1], NUM_PRINCIPAL))
    directions[:, : len(order)] = vectors[:, order]
    return directions
