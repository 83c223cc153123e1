"""Smoothie: which model errs least, told from how far the models' answers lie apart.

No label is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.vectors import find_largest, measure_similarities
from graphrouter.exceptions import NotApplicableError
from graphrouter.types import FloatArray

NUM_NEIGHBOURS = 20
"""Training queries that the local estimate is averaged over. Without labels there is nothing to
tune it on."""
_LEAST_SHARE = 0.01
"""An estimated error is at least this share of the pool's median: noise may bring it to 0 and
below."""


@dataclass(frozen=True, eq=False)
class Smoothie(TextBaseline):
    """Quality theta of each model from the distances between answer embeddings.

    It is averaged over the nearest training queries.

    If every answer is the unknown best one plus independent noise, three distances tell the noise
    of each model. The effect that is returned is `theta / (theta + median theta of the pool)`: it
    ranks as theta does, with 0.5 for a middling model, and is **not** a chance of success, since no
    label was seen; its log loss means nothing. The original embeds the answers of all models to the
    query itself, which means calling them all; this is its variant that uses training answers
    alone. A model without answers counts as middling.
    """

    name: ClassVar[str] = "smoothie"
    source: ClassVar[str] = "Smoothie (arXiv 2412.04692, NeurIPS 2024)"
    needs_answers: ClassVar[bool] = True
    learns_effects: ClassVar[bool] = False

    vectors: FloatArray
    """(num_train, dimension) unit vectors of the training prompts."""
    errors: FloatArray
    """(num_train, num_models) error of each answer, see `estimate_answer_errors`; NaN = it cannot
    be told."""
    answer_dimension: int
    """Length of the answers' embeddings."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the recorded answers make.

        Raises:
            NotApplicableError: The data has no answers, or no query that three models answered.
        """
        if data.answers is None:
            raise NotApplicableError(
                "smoothie needs the texts of answers; add a column answer to the outcomes."
            )
        errors = estimate_answer_errors(data.answers)
        if not np.isfinite(errors).any():
            raise NotApplicableError(
                "smoothie needs queries with recorded answers of at least three models; found none."
            )
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            data.questions.vectors,
            errors,
            data.answers.shape[2],
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Share of theta against the pool's median, (num_queries, num_models) inside (0, 1).

        No chance of success.
        """
        theta = self.theta(questions)
        middling = np.nanmedian(theta, axis=1, keepdims=True)
        return np.where(np.isfinite(theta), theta / (theta + middling), 0.5)

    def theta(self, questions: Questions) -> FloatArray:
        """Quality of each model near each query, (num_queries, num_models), > 0.

        NaN for a model without answers.

        An answer is the best one plus noise of variance `1 / (2 theta)` a dimension, so that theta
        = dimension / (2 error).
        """
        k = min(NUM_NEIGHBOURS, len(self.vectors))
        overall = _mean_known(self.errors, axis=0)
        local = [
            _mean_known(self.errors[np.stack([find_largest(row, k) for row in similarity])], axis=1)
            for similarity in measure_similarities(questions.vectors, self.vectors)
        ]
        error = np.where(np.isfinite(np.vstack(local)), np.vstack(local), overall)
        floor = _LEAST_SHARE * max(float(np.nanmedian(overall)), 1e-12)
        return np.asarray(self.answer_dimension / (2 * np.maximum(error, floor)))


def estimate_answer_errors(answers: FloatArray) -> FloatArray:
    """Estimated squared distance of each answer from the best one, (num_queries, num_models).

    May be below 0 by noise.

    The error of model i is the mean over pairs (j, k) of the others of `(d_ij + d_ik - d_jk) / 2`,
    with d the squared distance between two answers; errors are linear in d, so their mean over
    queries is the estimate from mean distances. With S_i the sum of i's distances, D the sum over
    all pairs and m answers that is `((m - 1) S_i - D) / ((m - 1) (m - 2))`.

    Args:
        answers: (num_queries, num_models, dimension) embeddings of the answers, NaN = not recorded.

    Returns:
        NaN for an answer that was not recorded, and where fewer than three were.

    Example:
        >>> estimate_answer_errors(np.array([[[0.0, 3.0], [0.0, 0.0], [4.0, 0.0]]])).tolist()
        [[9.0, 0.0, 16.0]]
    """
    there = np.asarray(np.isfinite(answers).all(axis=2))
    filled = np.where(there[:, :, None], answers, 0.0)
    squares = np.sum(filled**2, axis=2)
    both = there[:, :, None] & there[:, None, :]
    inner = np.matmul(filled, filled.transpose(0, 2, 1))
    distance = np.where(both, squares[:, :, None] + squares[:, None, :] - 2 * inner, 0.0)
    others = there.sum(axis=1, keepdims=True) - 1.0
    from_one = distance.sum(axis=2)
    total = from_one.sum(axis=1, keepdims=True) / 2
    enough = there & (others >= 2)
    return np.where(
        enough,
        (others * from_one - total) / np.where(others >= 2, others * (others - 1), 1.0),
        np.nan,
    )


def _mean_known(values: FloatArray, *, axis: int) -> FloatArray:
    """Mean along an axis over what is not NaN; NaN without any."""
    count = np.isfinite(values).sum(axis=axis)
    return np.asarray(
        np.where(count > 0, np.nansum(values, axis=axis) / np.maximum(count, 1), np.nan)
    )
