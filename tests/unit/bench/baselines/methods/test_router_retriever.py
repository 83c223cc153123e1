"""Pilots by hand, ties, tasks, and candidates that are the best nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.bench.baselines.methods.router_retriever import RouterRetriever, find_pilots
from tests.unit.bench.baselines.worlds import learning, two_kinds

NAN = float("nan")


def test_takes_the_expert_of_similar_prompts() -> None:
    prompts = two_kinds(60)
    sums = np.arange(60) % 2 == 1
    effect = np.column_stack([sums, ~sums, np.zeros(60)]).astype(float)
    router = RouterRetriever.learn(learning(prompts, effect, num_held=10))
    found = router.predict(["integral derivative 7", "poem sonnet 8"]).effect
    assert np.argmax(found, axis=1).tolist() == [0, 1]
    assert (found[:, 2] < found[:, :2].min(axis=1)).all()  # the best on no query


def test_pilots_by_hand() -> None:
    """A query that two answer best counts half for each; one that all answer alike, for nobody."""
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    effect = np.array([[0.6, 0.6, 0.1], [0.9, NAN, 0.2], [0.4, 0.4, 0.4]])
    pilots, experts = find_pilots(vectors, effect, np.array([0, 0, 0]))
    assert experts.tolist() == [0, 1]
    np.testing.assert_allclose(pilots[0], np.array([0.5, 1.0]) / np.hypot(0.5, 1.0))
    np.testing.assert_allclose(pilots[1], [1.0, 0.0])


def test_every_task_has_pilots_of_its_own() -> None:
    effect = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    pilots, experts = find_pilots(np.eye(3), effect, np.array([-1, 0, 0]))
    assert experts.tolist() == [0, 0, 1]
    np.testing.assert_allclose(pilots, np.eye(3))


@pytest.mark.parametrize("effect", [np.full((20, 2), 1.0), np.full((20, 2), NAN)])
def test_where_nobody_is_better_all_are_alike(effect: np.ndarray) -> None:
    if np.isnan(effect).all():
        effect = np.column_stack([np.ones(20), np.full(20, NAN)])
    found = RouterRetriever.learn(learning(two_kinds(20), effect)).predict(["poem"]).effect
    assert found[0, 0] == found[0, 1]
