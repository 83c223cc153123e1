"""Categories of prompts, and the classifier that tells them from the text."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.learning import LearningData, Questions, find_positions
from graphrouter.bench.baselines.tools.vectors import measure_similarities
from graphrouter.extras import require_extra
from graphrouter.types import FloatArray, IntArray

NUM_CLUSTERS = 16
"""Categories where the data has fewer than two tasks."""
INVERSE_PENALTY = 10.0
"""scikit-learn's C of the classifier, on vectors of unit length."""


class Categories(NamedTuple):
    """Linear scores of the categories of prompts: tasks, else clusters.

    Tasks by multinomial logistic regression, clusters by k-means.
    """

    tasks: tuple[str, ...]
    """The task that each category is; empty where the categories are clusters."""
    weights: FloatArray
    """(num_categories, dimension)."""
    intercepts: FloatArray
    """(num_categories,)."""

    @classmethod
    def fit(cls, data: LearningData) -> Self:
        """The categories of the training rows: their tasks, or clusters.

        Clusters where fewer than two tasks are known.
        """
        tasks, index = data.tasks
        if len(tasks) < 2:
            centres = data.find_centres(NUM_CLUSTERS)
            return cls(
                (), centres, -0.5 * np.sum(centres**2, axis=1)
            )  # the scores are `measure_closeness` to the centres
        weights, intercepts = fit_logistic(data.questions.vectors[index >= 0], index[index >= 0])
        return cls(tasks, weights, intercepts)

    @property
    def num_categories(self) -> int:
        """Number of categories."""
        return len(self.intercepts)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each category."""
        return self.tasks or tuple(f"cluster {i}" for i in range(self.num_categories))

    def scores(self, vectors: FloatArray) -> FloatArray:
        """Log odds (tasks) or closeness (clusters), (num_queries, num_categories).

        Up to a constant of the query.
        """
        if len(vectors) == 0:
            return np.empty((0, self.num_categories))
        return np.vstack(list(measure_similarities(vectors, self.weights))) + self.intercepts

    def of(self, questions: Questions) -> IntArray:
        """Category of each query, (num_queries,): its task, else the most probable one."""
        known = find_positions(self.tasks, questions.tasks)
        return np.where(
            known >= 0, known, np.argmax(self.scores(questions.vectors), axis=1)
        ).astype(np.int64)

    def confidence(self, questions: Questions) -> FloatArray:
        """Probability of the category that `of` gives, (num_queries,).

        1 for a known task, and for clusters.
        """
        if not self.tasks:
            return np.ones(len(questions))
        scores = self.scores(questions.vectors)
        top = 1.0 / np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
        return np.where(find_positions(self.tasks, questions.tasks) >= 0, 1.0, np.round(top, 9))


def fit_logistic(vectors: FloatArray, label: IntArray) -> tuple[FloatArray, FloatArray]:
    """Weights (num_labels, dimension) and intercepts (num_labels,) of a logistic regression.

    It is multinomial.
    """
    require_extra("bench", "sklearn", purpose="A logistic regression")
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Only the most probable category is used, and that settles long before the last digit of
        # the weights.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=200, tol=1e-3).fit(vectors, label)
    weights, intercepts = (
        np.asarray(fitted.coef_, dtype=np.float64),
        np.asarray(fitted.intercept_, dtype=np.float64),
    )
    if len(weights) == 1:  # two labels: scikit-learn keeps the log odds of the second one alone
        return np.vstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], intercepts])
    return weights, intercepts
