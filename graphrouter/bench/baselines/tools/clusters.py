"""Clusters of prompts: k-means centres, who lies where, and what happened in each cluster."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.baselines.tools.shrinkage import sum_by_task
from graphrouter.bench.baselines.tools.vectors import measure_similarities
from graphrouter.extras import require_extra
from graphrouter.router.shrunk_means import PRIOR_OUTCOMES, shrink_mean
from graphrouter.types import FloatArray, IntArray

_MAX_ROUNDS = 50


def find_centres(vectors: FloatArray, num_clusters: int, *, seed: int) -> FloatArray:
    """Centres (num_clusters, dimension) of k-means clusters of unit vectors.

    The vectors are (num_texts, dimension).
    """
    require_extra("bench", "sklearn", purpose="Clustering prompts")
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # it comes with scikit-learn

    # On one thread: several add up in the order in which they end.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Fewer distinct prompts than clusters: the empty ones attract nobody.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(num_clusters, n_init=3, max_iter=_MAX_ROUNDS, random_state=seed).fit(
            vectors
        )
    return np.asarray(fitted.cluster_centers_, dtype=np.float64)


def measure_closeness(vectors: FloatArray, centres: FloatArray) -> FloatArray:
    """Minus half the squared distance of each query to each centre, (num_queries, num_centres).

    Plus a constant of the query.
    """
    if len(vectors) == 0:
        return np.empty((0, len(centres)))
    return np.asarray(
        np.vstack(list(measure_similarities(vectors, centres))) - 0.5 * np.sum(centres**2, axis=1)
    )


def find_nearest_centre(vectors: FloatArray, centres: FloatArray) -> IntArray:
    """Number of the nearest centre, (num_queries,); the earlier of equals."""
    return np.asarray(np.argmax(measure_closeness(vectors, centres), axis=1), dtype=np.int64)


def average_by_group(
    values: FloatArray,
    group: IntArray,
    prior: FloatArray,
    *,
    num_groups: int,
    prior_outcomes: float = PRIOR_OUTCOMES,
) -> FloatArray:
    """Mean of each (group, model), shrunk towards the model's mean: (num_groups, num_models).

    Args:
        values: (num_queries, num_models), NaN = not observed.
        group: (num_queries,) number of each query's group, -1 = none.
        prior: (num_models,) what to expect without outcomes.
        num_groups: Number of groups.
        prior_outcomes: How many outcomes the prior counts for.
    """
    total, count = sum_by_task(values, group, num_tasks=num_groups)
    return shrink_mean(total, count, prior, prior_outcomes=prior_outcomes)
