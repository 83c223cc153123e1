"""Random numbers that belong to a (prompt, model) pair.

They are the same alone and in a batch, today and after loading.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from graphrouter.types import FloatArray

_Words = NDArray[np.uint64]


def draw_for_pairs(
    prompts: Sequence[str], models: Sequence[str], *, seed: int, purpose: str
) -> FloatArray:
    """Uniform draws inside (0, 1), (num_prompts, num_models).

    A draw depends on nothing but seed, purpose, prompt and model name: neither on batch mates nor
    on the rest of the pool.

    Example:
        >>> models = ["nano", "grand"]
        >>> draws = draw_for_pairs(["a", "b"], models, seed=0, purpose="example")
        >>> alone = draw_for_pairs(["b"], models, seed=0, purpose="example")
        >>> bool((draws[1:] == alone).all())
        True
    """
    of_prompt = find_words(prompts)[:, None]
    of_model = find_words([f"{seed}/{purpose}/{model}" for model in models])[None, :]
    # 53 bits are what a double holds; the half keeps the draws off 0 and 1.
    return np.asarray(
        ((_scatter(of_prompt ^ of_model) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    )


def find_words(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A word of 64 bits for each text, (num_texts,); equal texts get the same."""
    digests = (
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def _scatter(words: _Words) -> _Words:
    """The words, every bit mixed into every other.

    The finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
    """
    mixed = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
