"""Tasks for prompts that nobody has sorted: clusters, named by the words that set them apart."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from graphrouter.config import EncoderConfig
from graphrouter.encoders import create_encoder, encode_texts
from graphrouter.types import IntArray

__all__ = ["cluster_prompts", "name_clusters"]

_WORD = re.compile(r"[^\W\d_]{3,}")
_FUNCTION_WORDS = frozenset(
    (
        *("and", "are", "but", "can", "does", "for", "from", "has", "have", "how", "into", "not"),
        *("that", "the", "their", "them", "then", "there", "these", "this", "those", "was", "were"),
        *("what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your"),
        "please",
    )
)
"""Words of English that name nothing, however distinctive they look in a small log."""
_NUM_STARTS = 5
_ITERATIONS = 30
_QUERIES_A_CLUSTER = 40
_FEWEST, _MOST = 2, 12
_WORDS_A_NAME = 2
_MOST_CHARS = 2000


def cluster_prompts(prompts: Sequence[str], num_clusters: int | None = None) -> list[str]:
    """A task for each prompt.

    k-means on embeddings (SciPy's, the best of five starts), and names by distinctive words. The
    same prompts get the same tasks. Where nobody says how many there are, clusters with the same
    distinctive words are one: k-means cuts a large kind of prompts in pieces.

    Args:
        prompts: At least one.
        num_clusters: One for each 40 prompts, from 2 to 12, without it.

    Example:
        >>> tasks = cluster_prompts(["Add 1 and 2.", "Add 3 and 4.", "Sing a song."], 2)
        >>> tasks[0] == tasks[1] != tasks[2]
        True
    """
    wanted = num_clusters or min(max(len(prompts) // _QUERIES_A_CLUSTER, _FEWEST), _MOST)
    found = _find_clusters(prompts, wanted)
    if num_clusters is None:
        found = _join_alike(prompts, found)
    names = name_clusters(prompts, found)
    return [names[cluster] for cluster in found.tolist()]


def name_clusters(prompts: Sequence[str], cluster: IntArray) -> dict[int, str]:
    """A name for each cluster: the words that are frequent in it and rare elsewhere.

    By c-TF-IDF: the share of a word in its cluster times log(1 + words a cluster / its number in
    all) (Grootendorst 2022, "BERTopic", section 3.3).

    Args:
        prompts: Texts.
        cluster: (num_prompts,) number of each one's cluster.

    Example:
        >>> name_clusters(["red river, river", "blue hill, hill"], np.array([0, 1]))
        {0: 'river-red', 1: 'hill-blue'}
    """
    names: dict[int, str] = {}
    for number, words in _find_words(prompts, cluster).items():
        name = "-".join(words) or "other"
        taken = sum(each == name or each.startswith(f"{name}-no-") for each in names.values())
        names[number] = f"{name}-no-{taken + 1}" if taken else name
    return names


def _find_words(prompts: Sequence[str], cluster: IntArray) -> dict[int, list[str]]:
    """The most distinctive words of each cluster, by its number."""
    counts: dict[int, Counter[str]] = {}
    for prompt, number in zip(prompts, cluster.tolist(), strict=True):
        counts.setdefault(number, Counter()).update(_WORD.findall(prompt[:_MOST_CHARS].lower()))
    in_all: Counter[str] = sum(counts.values(), Counter())
    a_cluster = in_all.total() / len(counts)
    found = {}
    for number in sorted(counts):
        words = counts[number]
        weight = {
            word: count / words.total() * math.log(1 + a_cluster / in_all[word])
            for word, count in words.items()
            if word not in _FUNCTION_WORDS
        }
        found[number] = sorted(weight, key=lambda word: (-weight[word], word))[:_WORDS_A_NAME]
    return found


def _join_alike(prompts: Sequence[str], cluster: IntArray) -> IntArray:
    """The clusters, those with the same distinctive words as one, (num_prompts,)."""
    words = {number: frozenset(each) for number, each in _find_words(prompts, cluster).items()}
    first = {each: number for number, each in reversed(words.items())}
    return np.array([first[words[number]] for number in cluster.tolist()], dtype=np.int64)


def _find_clusters(prompts: Sequence[str], num_clusters: int) -> IntArray:
    """The number of each prompt's cluster, (num_prompts,), without gaps."""
    from scipy.cluster.vq import kmeans2

    vectors = encode_texts(create_encoder(EncoderConfig()), list(prompts)).astype(np.float64)
    distinct = len(np.unique(vectors, axis=0))
    if distinct <= num_clusters:
        found = np.unique(vectors, axis=0, return_inverse=True)[1].ravel()
        return np.asarray(found, dtype=np.int64)
    best: tuple[float, IntArray] | None = None
    for seed in range(_NUM_STARTS):
        centres, label = kmeans2(
            vectors, num_clusters, iter=_ITERATIONS, minit="++", rng=np.random.default_rng(seed)
        )
        error = float(((vectors - centres[label]) ** 2).sum())
        if best is None or error < best[0]:
            best = error, label
    labels = best[1] if best is not None else np.zeros(len(vectors), dtype=np.int64)
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)
