"""Where a router loses, computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphrouter.bench.evaluation.report.lost_queries import find_examples, find_losses, shorten
from graphrouter.bench.evaluation.report.preset_choices import collect_choices
from tests.unit.bench.evaluation.report.conftest import predictions, tiny_run

NAN = float("nan")
ALWAYS_A, ALWAYS_B = (
    predictions([[1.0, 0.0]] * 4, [[0.1, 0.5]] * 4),
    predictions([[0.0, 1.0]] * 4, [[0.1, 0.5]] * 4),
)
COSTS = [[0.1, 0.5]] * 4


def test_losses_by_task_and_by_model_largest_total_first() -> None:
    observed = predictions([[0, 1], [0, 1], [0, 1], [1, 0]], COSTS)
    run = tiny_run(
        observed,
        {"graphrouter": ALWAYS_A, "best_single": ALWAYS_B},
        tasks=["code", "code", "math", "facts"],
    )
    made = collect_choices(
        [run], "task_hidden", "performance_first", names=["graphrouter", "best_single"]
    )
    found = find_losses(made, router="graphrouter", rivals=["best_single"])
    assert [
        (each.by, each.group, each.loss.value, each.num_queries, each.share) for each in found
    ] == [
        ("model chosen", "a", 0.5, 4, 1.0),
        ("task", "code", 1.0, 2, 0.5),
        ("task", "math", 1.0, 1, 0.25),
    ]
    assert all(math.isnan(each.loss.low) for each in found)  # too few queries for an interval


def test_the_interval_counts_queries_not_choices() -> None:
    rng = np.random.default_rng(0)
    solved = rng.integers(0, 2, size=(50, 2)).astype(float)
    solved[:, 1] = np.maximum(solved[:, 1], solved[:, 0])  # b is never worse
    observed = predictions(solved.tolist(), [[0.1, 0.5]] * 50)
    a, b = predictions([[1.0, 0.0]] * 50), predictions([[0.0, 1.0]] * 50)
    run = tiny_run(observed, {"graphrouter": a, "best_single": b})
    losses = []
    for runs in ([run], [run] * 4):
        made = collect_choices(
            runs, "task_hidden", "performance_first", names=["graphrouter", "best_single"]
        )
        (loss, _) = find_losses(made, router="graphrouter", rivals=["best_single"])
        losses.append(loss.loss)
    difference = solved[:, 1] - solved[:, 0]
    error = 1.96 * difference.std(ddof=1) / np.sqrt(50)
    assert losses[0] == pytest.approx(
        (difference.mean(), difference.mean() - error, difference.mean() + error)
    )
    assert losses[1] == pytest.approx(losses[0])  # the same queries four times tell no more


def test_a_router_does_not_lose_to_its_equal() -> None:
    observed = predictions([[0, 1], [1, 0]], COSTS[:2])
    same = predictions([[1.0, 0.0]] * 2, COSTS[:2])
    made = collect_choices(
        [tiny_run(observed, {"graphrouter": same, "knn": same})],
        "task_hidden",
        "balanced",
        names=["graphrouter", "knn"],
    )
    assert find_losses(made, router="graphrouter", rivals=["knn"]) == ()


def test_examples_are_the_worst_misses_the_easy_ones_first() -> None:
    observed = predictions(
        [[1, 0, 0], [0, 1, 1], [0, 1, 0], [0.5, 1, NAN], [0, 0, 0]],
        [[0.1, 0.5, 0.2], [0.1, 0.5, 0.2], [0.1, 0.5, 0.2], [0.1, 0.5, NAN], [0.1, 0.5, 0.2]],
    )
    always_a = predictions([[1.0, 0.0, 0.0]] * 5, [[0.1, 0.5, 0.2]] * 5)
    run = tiny_run(observed, {"graphrouter": always_a}, tasks=["t", "t", None, "t", "t"])
    found = find_examples([run, run], "task_hidden", "performance_first", router="graphrouter")
    assert [each.query_id for each in found] == ["q1", "q2", "q3"]
    easy, lonely, half = found
    assert (easy.model, easy.effect, easy.solver, easy.solver_effect) == (
        "a",
        0.0,
        "c",
        1.0,
    )  # c costs less than b
    assert (easy.num_solvers, easy.num_run) == (2, 3)
    assert (lonely.task, lonely.solver, half.effect, half.num_run) == (None, "b", 0.5, 2)
    assert (
        find_examples([run], "task_hidden", "performance_first", router="graphrouter", limit=1)
        == found[:1]
    )


def test_without_costs_the_first_of_the_best_models_is_named() -> None:
    run = tiny_run(predictions([[0, 1, 1]]), {"graphrouter": predictions([[1.0, 0.0, 0.0]])})
    (example,) = find_examples([run], "task_hidden", "performance_first", router="graphrouter")
    assert example.solver == "b"


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("", ""),
        ("  a\n\tb  ", "a b"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 120 + "…"),
        ("left\u202eright\x00end", "left right end"),
        (" " * 1000 + "late", "…"),
    ],
)
def test_prompts_are_shortened_to_one_line(prompt: str, shown: str) -> None:
    assert shorten(prompt) == shown
