"""Levels and deviations by hand, then properties."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.bench.evaluation.deviations import (
    Levels,
    average_deviations,
    centred,
    explained_share,
    share_predicted,
    sum_deviations,
)
from graphrouter.config import SplitConfig
from graphrouter.data import load_dataset, split_dataset
from graphrouter.types import FloatArray, Queries

NAN = float("nan")


def r2_by_definition(effect: FloatArray, predicted: FloatArray, level: FloatArray) -> float:
    """The formula of docs/evaluation.md, query by query."""
    missed = total = 0.0
    for seen, told, usual in zip(effect, predicted, level, strict=True):
        known = np.isfinite(seen) & np.isfinite(told)
        if known.any():
            y, p, rest = seen[known], told[known], (seen - usual)[known]
            missed += float((((y - y.mean()) - (p - p.mean())) ** 2).sum())
            total += float(((rest - rest.mean()) ** 2).sum())
    return 1 - missed / total


def random_case(seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Outcomes, predictions and levels of twelve queries, a fifth of the first two unknown."""
    rng = np.random.default_rng(seed)
    effect, predicted, level = rng.random((3, 12, 4))
    for values in (effect, predicted):
        values[rng.random(values.shape) < 0.2] = NAN
    effect[0], predicted[0] = [1.0, 0.0, 1.0, 0.0], [0.5, 0.4, 0.3, 0.2]
    return effect, predicted, level


def test_levels_by_hand() -> None:
    """Two tasks of one ease, so the level of a task is the mean drawn to the mean of all."""
    effect = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    levels = Levels.fit(effect, ["sums"] * 5 + [None] * 5)
    np.testing.assert_allclose(levels.overall, [0.5, 0.5])
    np.testing.assert_allclose(levels.by_task["sums"], [0.75, 0.25])
    np.testing.assert_allclose(levels.by_task[None], [0.25, 0.75])
    np.testing.assert_array_equal(levels.of(["never seen"]), levels.overall[None])


def test_a_task_and_a_model_without_outcomes_have_the_levels_of_the_others() -> None:
    effect = np.array([[1.0, 0.0, NAN], [1.0, 0.5, NAN], [NAN, NAN, NAN]])
    levels = Levels.fit(effect, ["sums", "sums", "empty"])
    assert np.isfinite(levels.of(["sums", "empty"])).all()
    np.testing.assert_allclose(levels.by_task["empty"], levels.overall)
    assert levels.overall[2] == pytest.approx(np.nanmean(effect))


def test_the_order_of_rows_does_not_matter_to_levels() -> None:
    effect, tasks = random_case(3)[0], ["a", "b", None] * 4
    order = np.random.default_rng(0).permutation(12)
    first, second = Levels.fit(effect, tasks), Levels.fit(effect[order], [tasks[i] for i in order])
    for task in ("a", "b", None):
        np.testing.assert_allclose(first.by_task[task], second.by_task[task], rtol=1e-12)


def test_share_predicted_by_hand() -> None:
    """Deviations 0.5 and -0.5 on two queries; the prediction has 0.2 and -0.2 on the first."""
    level = np.full((2, 2), 0.5)
    effect = np.array([[1.0, 0.0], [0.0, 1.0]])
    predicted = np.array([[0.7, 0.3], [0.5, 0.5]])
    sums = sum_deviations(effect - level, predicted - level)
    np.testing.assert_allclose(sums, [[2 * 0.3**2, 0.5], [0.5, 0.5]])
    assert share_predicted(effect - level, predicted - level) == pytest.approx(1 - 0.68)


def test_levels_alone_predict_exactly_nothing_and_the_outcomes_everything() -> None:
    effect, _, level = random_case(0)
    assert share_predicted(effect - level, np.zeros_like(level)) == 0.0
    assert share_predicted(effect - level, level - level + 0.25) == 0.0
    assert share_predicted(effect - level, effect - level) == 1.0
    assert share_predicted(effect - level, effect - level + 0.3) == pytest.approx(1)


def test_the_wrong_way_round_does_harm() -> None:
    effect, _, level = random_case(1)
    assert share_predicted(effect - level, level - effect) == pytest.approx(-3)


def test_queries_with_one_known_model_add_nothing() -> None:
    rest = np.array([[0.4, NAN, NAN], [0.3, -0.2, NAN], [NAN, NAN, NAN], [0.1, 0.2, 0.3]])
    told = np.array([[0.1, 0.2, 0.3], [0.1, 0.0, 0.5], [0.1, 0.2, 0.3], [NAN, 0.9, NAN]])
    sums = sum_deviations(rest, told)
    np.testing.assert_array_equal(sums[[0, 2, 3]], 0)
    np.testing.assert_allclose(sums[1], [2 * (0.25 - 0.05) ** 2, 2 * 0.25**2])


def test_without_deviations_there_is_no_share() -> None:
    assert math.isnan(share_predicted(np.array([[0.4, NAN]]), np.array([[0.1, 0.2]])))
    rest = np.array([[0.1 + 0.2, 0.3], [0.7, 0.7]])  # 0.1 + 0.2 is not quite 0.3
    assert math.isnan(share_predicted(rest, np.array([[0.2, 0.1], [0.0, 0.3]])))


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_share_is_that_of_the_definition(seed: int) -> None:
    effect, predicted, level = random_case(seed)
    found = share_predicted(effect - level, predicted - level)
    assert found == pytest.approx(r2_by_definition(effect, predicted, level))
    assert found <= 1
    easier = np.random.default_rng(seed).normal(size=(12, 1))
    assert share_predicted(effect - level, predicted - level + easier) == pytest.approx(found)


def test_averages_by_hand() -> None:
    own, other = np.array([[0.9, 0.5, 0.1]]), np.array([[0.2, 0.4, NAN]])
    usable = np.isfinite(own) & np.isfinite(other)
    # Deviations 0.2 and -0.2, and -0.1 and 0.1: on average 0.05 and -0.05, around 0.7.
    found = average_deviations(own, other, usable)
    np.testing.assert_allclose(found, [[0.75, 0.65, NAN]])
    extreme = average_deviations(np.array([[1.0, 0.9]]), np.array([[1.0, 0.0]]), usable[:, :2])
    np.testing.assert_allclose(extreme, [[1.0, 0.675]])


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_averaging_keeps_the_mean_of_a_query_and_with_an_equal_router_everything(seed: int) -> None:
    effect, own, _ = random_case(seed)
    usable = np.isfinite(effect) & np.isfinite(own)
    known = np.where(usable, own, NAN)
    np.testing.assert_array_equal(average_deviations(own, own, usable), known)
    np.testing.assert_array_equal(average_deviations(own, own, usable)[~usable], NAN)
    near = 0.4 + 0.2 * np.random.default_rng(seed).random(own.shape)
    mixed = average_deviations(0.4 + 0.2 * own, near, usable)
    counted = usable.sum(axis=1) > 0
    np.testing.assert_allclose(
        np.nanmean(mixed[counted], axis=1), np.nanmean((0.4 + 0.2 * known)[counted], axis=1)
    )
    single = usable.sum(axis=1) == 1
    np.testing.assert_allclose(mixed[single], (0.4 + 0.2 * known)[single])


def test_the_share_of_sums_is_undefined_where_there_is_nothing_to_explain() -> None:
    found = explained_share(np.array([[1.0, 4.0], [0.0, 0.0], [5.0, 4.0]]))
    np.testing.assert_allclose(found, [0.75, NAN, -0.25])


@pytest.mark.parametrize("name", ["reasoning_gym", "helm_mmlu"])
def test_levels_of_real_tasks_leave_deviations(
    shared_data: Callable[[str], Path], name: str
) -> None:
    """Levels of training rows know of the test rows what belongs to model and task."""
    data = load_dataset(shared_data(name))
    split = split_dataset(data, SplitConfig())
    effect, tasks = {}, {}
    for side, ids in (("train", split.train), ("test", split.test)):
        effect[side] = data.outcome_matrix("effect", query_ids=ids)
        rows = data.queries.set_index("query_id").loc[list(ids)]
        tasks[side] = Queries.of_frame(rows).tasks
    level = Levels.fit(effect["train"], tasks["train"]).of(tasks["test"])
    assert np.isfinite(level).all()
    rest = effect["test"] - level
    overall = Levels.fit(effect["train"], tasks["train"]).overall
    deviation = np.nansum(centred(rest) ** 2)
    assert deviation < np.nansum(centred(effect["test"] - overall) ** 2)
    assert deviation < np.nansum(centred(effect["test"]) ** 2)
    assert share_predicted(rest, np.zeros_like(level)) == 0.0
    assert share_predicted(rest, overall - level) < 0
