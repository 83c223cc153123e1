"""Vectors of texts, and which of them lie near each other.

Every answer is the same alone and in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphrouter.types import FloatArray, IntArray

CHUNK_QUERIES = 256


def scale_to_unit(embeddings: object) -> FloatArray:
    """The rows (num_texts, dimension) in double precision and of unit length.

    A row of zeros stays as it is.
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, 1e-12))  # an empty prompt may have a zero vector


def measure_similarities(vectors: FloatArray, others: FloatArray) -> Iterator[FloatArray]:
    """Inner products (chunk, num_others) of one chunk of the rows of `vectors` after the other.

    A matrix product rounds differently for different numbers of rows. Rounding far above that error
    keeps what follows from a comparison of similarities independent of a query's batch mates.
    """
    for start in range(0, len(vectors), CHUNK_QUERIES):
        yield np.round(vectors[start : start + CHUNK_QUERIES] @ others.T, 10)


def find_largest(row: FloatArray, k: int) -> IntArray:
    """Positions of the k largest values of (num_values,), largest first.

    Of equals, the earlier first.
    """
    smallest = np.partition(row, len(row) - k)[len(row) - k]
    reached = np.flatnonzero(row >= smallest)
    return reached[np.argsort(-row[reached], kind="stable")[:k]]
