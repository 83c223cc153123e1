"""Who was asked what: how far a prompt decides which models answered it.

In the log of a router each prompt has one answer, of a model that somebody chose. Where the choice
looked at the prompt, models have answered different prompts, and their mean effects compare the
prompts as much as the models.
"""

from __future__ import annotations

import logging
import re
import zlib
from dataclasses import dataclass

import numpy as np

from graphrouter.data.schema import RoutingDataset
from graphrouter.types import BoolArray, FloatArray, IntArray

_logger = logging.getLogger(__name__)
_MAX_QUERIES = 2000
_NUM_BUCKETS = 256
_PENALTIES = (1.0, 10.0, 100.0, 1000.0)
_WORD = re.compile(r"\w+")
_LEAST_SHARE = 0.02
"""Of what is decided; less is not worth a word, however sure."""
_SURE = 3.0
"""Standard errors above zero from which a share is no chance."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """How the models that answered a query were chosen."""

    share_answered_once: float
    """Share of the queries with outcomes that have the outcome of one model, in [0, 1]."""
    share_explained: float | None
    """Share of the variance of "was this model asked" that task and words of the prompt predict, on
    queries left out, in [0, 1]; 0 = as at random. None where every model was asked everywhere."""
    is_sure: bool
    """Whether that share is more than chance."""

    @property
    def depends_on_prompt(self) -> bool:
        """True where it surely matters which prompts a model was asked."""
        share = self.share_explained
        return self.is_sure and share is not None and share >= _LEAST_SHARE

    def describe(self) -> str:
        """What to know of it, in a sentence or two; empty where models were asked at random.

        Example:
            >>> Assignment(1.0, 0.43, True).describe()[:66]
            'Which models were asked depends on the prompt: its task and words '
        """
        if not self.depends_on_prompt:
            return ""
        return (
            "Which models were asked depends on the prompt: its task and words tell "
            f"{self.share_explained:.0%} of it (0 % = at random), and "
            f"{self.share_answered_once:.0%} of the queries have the outcome of one model. Mean "
            "effects of models then compare their prompts too; run several models on some of the "
            "same prompts."
        )


def measure_assignment(data: RoutingDataset) -> Assignment:
    """How far task and words of a prompt decide which models answered it.

    A ridge regression of "was asked" on the task, the hashed words and the length of the prompt,
    with the error of each query from a fit without it (Allen 1974, PRESS). At most 2,000 queries
    are looked at.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> measure_assignment(simulate(num_queries=200).data).depends_on_prompt
        False
    """
    rows, columns = data.pair_positions
    asked = np.zeros((len(data.queries), len(data.models)), dtype=bool)
    asked[rows, columns] = True
    answered = np.flatnonzero(asked.any(axis=1))
    once = float((asked[answered].sum(axis=1) == 1).mean()) if answered.size else 0.0
    if answered.size > _MAX_QUERIES:
        chosen = np.random.default_rng(0).permutation(answered.size)[:_MAX_QUERIES]
        answered = answered[np.sort(chosen)]
    asked = asked[answered]
    varies = asked.any(axis=0) & ~asked.all(axis=0)
    if not varies.any() or answered.size < 20:
        return Assignment(once, None, False)
    gain, total = _explain(_read_prompts(data, answered), asked[:, varies])
    share = float(gain.sum() / total.sum())
    error = float(gain.std(ddof=1) * np.sqrt(gain.size) / total.sum())
    return Assignment(once, min(max(share, 0.0), 1.0), share > _SURE * error)


def warn_of_assignment(data: RoutingDataset) -> Assignment:
    """Measure it, and log a warning where models were asked by the looks of the prompt."""
    found = measure_assignment(data)
    if found.depends_on_prompt:
        _logger.warning("%s", found.describe())
    return found


def _read_prompts(data: RoutingDataset, rows: IntArray) -> FloatArray:
    """Task marks, hashed words (of unit length) and log length of the queries: (num_rows, D)."""
    queries = data.queries.iloc[rows]
    tasks = queries["task"].fillna("").to_numpy(dtype=object)
    names = {name: i for i, name in enumerate(dict.fromkeys(tasks))}
    marks = np.zeros((len(rows), len(names)))
    marks[np.arange(len(rows)), [names[task] for task in tasks]] = 1.0
    words = np.zeros((len(rows), _NUM_BUCKETS))
    lengths = np.zeros((len(rows), 1))
    for row, prompt in enumerate(queries["prompt"]):
        lengths[row] = np.log1p(len(prompt))
        for word in _WORD.findall(prompt[:2000].lower()):
            words[row, zlib.crc32(word.encode("utf-8", "surrogatepass")) % _NUM_BUCKETS] += 1.0
    words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1.0)
    return np.concatenate([marks, words, lengths], axis=1)


def _explain(features: FloatArray, asked: BoolArray) -> tuple[FloatArray, FloatArray]:
    """What each query's features spare of the squared error, and that error by rates alone: (n,).

    Both from fits without the query; the penalty is the one that spares most.
    """
    num = len(features)
    # Of a mean without oneself the error is n / (n - 1) times as large.
    apart = (asked - asked.mean(axis=0)) * num / (num - 1)
    total = (apart**2).sum(axis=1)
    centred = features - features.mean(axis=0)
    scale = centred.std(axis=0)
    scaled = centred / np.where(scale > 0, scale, 1.0)
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    target = asked - asked.mean(axis=0)
    gains = []
    for penalty in _PENALTIES:
        shrink = singular**2 / (singular**2 + penalty * singular.size)
        fitted = left @ (shrink[:, None] * (left.T @ target))
        leverage = (left**2) @ shrink + 1 / num
        error = (target - fitted) / np.maximum(1 - leverage, 1e-6)[:, None]
        gains.append(total - (error**2).sum(axis=1))
    return max(gains, key=lambda gain: float(gain.sum())), total
