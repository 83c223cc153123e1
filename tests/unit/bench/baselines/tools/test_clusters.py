"""Clusters of prompts, and means in them."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.baselines.tools.clusters import (
    average_by_group,
    find_centres,
    find_nearest_centre,
    measure_closeness,
)
from graphrouter.bench.baselines.tools.vectors import (
    find_largest,
    measure_similarities,
    scale_to_unit,
)


def test_finds_two_groups_of_prompts() -> None:
    rng = np.random.default_rng(0)
    blobs = np.vstack([rng.normal([5, 0], 0.1, (20, 2)), rng.normal([0, 5], 0.1, (30, 2))])
    vectors = scale_to_unit(blobs)
    centres = find_centres(vectors, 2, seed=0)
    group = find_nearest_centre(vectors, centres)
    assert len(set(group[:20])) == len(set(group[20:])) == 1
    assert group[0] != group[-1]


def test_the_nearest_centre_has_the_smallest_distance() -> None:
    rng = np.random.default_rng(1)
    vectors, centres = scale_to_unit(rng.normal(size=(300, 6))), rng.normal(size=(7, 6))
    distance = ((vectors[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(find_nearest_centre(vectors, centres), distance.argmin(axis=1))
    shifted = -0.5 * distance - measure_closeness(vectors, centres)
    np.testing.assert_allclose(
        shifted - shifted[:, :1], 0, atol=1e-9
    )  # equal up to a constant of the query
    assert find_nearest_centre(vectors[:0], centres).shape == (0,)


def test_repeated_prompts_leave_centres_empty_without_a_warning() -> None:
    assert find_centres(np.ones((5, 3)), 4, seed=0).shape == (4, 3)


def test_group_means_by_hand() -> None:
    values = np.array([[1.0, np.nan], [0.0, 1.0], [1.0, 0.0]])
    means = average_by_group(
        values, np.array([0, 0, -1]), np.array([0.6, 0.4]), num_groups=2, prior_outcomes=2.0
    )
    np.testing.assert_allclose(means, [[(1 + 1.2) / 4, (1 + 0.8) / 3], [0.6, 0.4]])


def test_similarities_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(2)
    vectors, others = (
        scale_to_unit(rng.normal(size=(600, 33))),
        scale_to_unit(rng.normal(size=(50, 33))),
    )
    together = np.vstack(list(measure_similarities(vectors, others)))
    for row in (0, 299, 599):
        np.testing.assert_array_equal(
            next(measure_similarities(vectors[row : row + 1], others))[0], together[row]
        )


def test_largest_serves_the_earlier_of_equals_first() -> None:
    assert find_largest(np.array([1.0, 3.0, 3.0, 2.0]), 3).tolist() == [1, 2, 3]
