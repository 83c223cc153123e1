"""Effect, cost and traffic by task and by model, computed by hand."""

from __future__ import annotations

import math

from graphrouter.bench.evaluation.report.breakdown import break_down
from graphrouter.bench.evaluation.report.preset_choices import collect_choices
from tests.unit.bench.evaluation.report.conftest import predictions, tiny_run

NAN = float("nan")
OBSERVED = predictions(
    [[1, 0], [0, 1], [1, 1], [NAN, NAN]], [[0.1, 0.5], [0.1, 0.5], [NAN, 0.5], [NAN, NAN]]
)
ALWAYS_A, ALWAYS_B = (
    predictions([[1.0, 0.0]] * 4, [[0.1, 0.5]] * 4),
    predictions([[0.0, 1.0]] * 4, [[0.1, 0.5]] * 4),
)
ROUND = tiny_run(
    OBSERVED,
    {"graphrouter": ALWAYS_A, "best_single": ALWAYS_B},
    tasks=["math", "math", None, "math"],
)


def test_by_task_and_by_model() -> None:
    made = collect_choices(
        [ROUND], "task_hidden", "performance_first", names=["graphrouter", "best_single", "oracle"]
    )
    found = break_down(made, router="graphrouter")
    math_row, unknown = found.tasks
    assert (math_row.task, math_row.num_queries, unknown.task, unknown.num_queries) == (
        "math",
        2,
        "(unknown)",
        1,
    )
    assert (math_row.router.effect, math_row.router.cost_usd) == (0.5, 0.1)
    assert math_row.best_single is not None
    assert (math_row.best_single.effect, math_row.best_single.cost_usd) == (0.5, 0.5)
    assert math_row.oracle.effect == 1.0
    assert math.isnan(unknown.router.cost_usd)  # solved, at a cost that nobody recorded
    a, b = found.models
    assert (a.model, a.share, a.best_single_share) == ("a", 1.0, 0.0)
    assert a.reached is not None
    assert a.reached.effect == 2 / 3
    assert (b.model, b.share, b.reached, b.best_single_share) == ("b", 0.0, None, 1.0)
    assert a.oracle_share + b.oracle_share == 1.0


def test_where_cost_weighs_only_costed_pairs_are_chosen() -> None:
    made = collect_choices([ROUND], "task_hidden", "balanced", names=["graphrouter", "oracle"])
    assert made.choices["graphrouter"].model.tolist() == [
        "a",
        "a",
        "b",
    ]  # a has no cost on the third query
    found = break_down(made, router="graphrouter")
    assert found.tasks[0].best_single is None
    assert all(math.isnan(row.best_single_share) for row in found.models)


def test_runs_count_together() -> None:
    made = collect_choices(
        [ROUND, ROUND], "task_hidden", "performance_first", names=["graphrouter", "oracle"]
    )
    assert [row.num_queries for row in break_down(made, router="graphrouter").tasks] == [4, 2]
