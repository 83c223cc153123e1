"""Hashed words and word pairs: no weights, no dependencies.

For tests and as the plainest reference.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from graphrouter.config import EncoderConfig
from graphrouter.encoders.text_encoder import (
    DEFAULT_MAX_CHARS,
    Embeddings,
    clip_texts,
    iterate_batches,
    unit_rows,
)

_WORD = re.compile(r"\w+")


class HashingEncoder:
    """Signed feature hashing of words and word pairs, weighted 1 + log(count).

    The method is that of Weinberger et al., "Feature Hashing for Large Scale Multitask Learning"
    (2009), section 2.

    Example:
        >>> encoder = HashingEncoder(64)
        >>> vectors = encoder.encode(["Sort a list.", "sort a list", "Boil an egg."])
        >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
        True
    """

    id = "hashing/words-and-pairs"
    revision = "1"
    works_in_memory = True

    def __init__(self, dimension: int = 256, *, max_chars: int = DEFAULT_MAX_CHARS) -> None:
        self.dimension = dimension
        self.config = EncoderConfig(name="hashing", dimension=dimension, max_chars=max_chars)
        self._max_chars = max_chars

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) of unit length, float32.

        All zeros for a text without a word.
        """
        clipped = clip_texts(texts, self._max_chars)
        vectors = np.zeros((len(clipped), self.dimension))
        for part in iterate_batches(len(clipped), 256, progress=progress):
            for row in range(part.start, part.stop):
                vectors[row] = self._hash(clipped[row])
        return unit_rows(vectors)

    def _hash(self, text: str) -> NDArray[np.float64]:
        words = _WORD.findall(text.lower())
        counts = Counter([*words, *(f"{first} {second}" for first, second in pairwise(words))])
        # crc32 and not hash(): the latter changes from process to process.
        hashes = np.fromiter(
            (zlib.crc32(feature.encode()) for feature in counts), dtype=np.uint32, count=len(counts)
        )
        tf = np.fromiter(counts.values(), dtype=np.float64, count=len(counts))
        signs = np.where(hashes >> 31, 1.0, -1.0)
        columns = (hashes & 0x7FFFFFFF) % self.dimension
        vector = np.zeros(self.dimension)
        np.add.at(vector, columns, signs * (1.0 + np.log(tf)))
        return vector
