from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, measure_learnable, read_answers, suggest_grades
from graphrouter.exceptions import DataError


def table(**models: list[float | None]) -> RoutingDataset:
    """Grades of answers to the prompts 0, 1, 2, ..., by model; each call cost something."""
    rows: list[dict[str, Any]] = [
        {"prompt": f"Question {i}?", "model": model, "effect": effect, "cost": 0.1}
        for model, effects in models.items()
        for i, effect in enumerate(effects)
    ]
    return read_answers(pd.DataFrame(rows))


def test_a_log_without_grades_teaches_costs_alone() -> None:
    found = measure_learnable(table(nano=[None] * 3, grand=[None] * 3))
    assert (found.num_graded, found.num_compared, found.leaders) == (0, 0, None)
    assert found.num_missing == {"nano": 8, "grand": 8}
    assert found.amounts == {"cost": 1.0, "output tokens": 0.0, "latency": 0.0}
    assert found.describe() == [
        "Effects cannot be learned: no answer is graded. Costs and times can.",
        "Choices cannot be compared: no query has graded answers of two models. Grade answers of "
        "a second model on some of the same queries.",
        "Output tokens cannot be learned: no call says it.",
        "Latency cannot be learned: no call says it.",
    ]


def test_queries_count_as_compared_where_two_answers_are_graded() -> None:
    found = measure_learnable(table(a=[1, 1, None, 0], b=[0, None, 1, 1], c=[1, None, 1, None]))
    assert found.num_compared == 3
    assert found.num_graded == 8
    assert "Choices can be compared on 3 queries with" in found.describe()[1]


def test_how_many_grades_tell_the_two_best_apart() -> None:
    """By hand: (1.96 + .84)^2 (.25 + .2222) / (.5 - .25)^2, variances with n - 1."""
    data = table(a=[1, 0] * 4, b=[1, 0, 0, 0] * 2, c=[0.0] * 8)
    found = measure_learnable(data)
    assert found.leaders == ("a", "b")
    variances = np.var([1, 0] * 4, ddof=1) + np.var([1, 0, 0, 0] * 2, ddof=1)
    assert found.num_to_decide == int(np.ceil(2.8016**2 * variances / 0.25**2))
    assert found.num_of_leaders == 8
    assert found.describe()[-1] == (
        f"Whether a or b is better on average takes about {found.num_to_decide} graded answers of "
        "each; there are 8."
    )
    alike = measure_learnable(table(a=[1, 0] * 4, b=[1, 0] * 4))
    assert alike.num_to_decide is None
    assert "will hardly show" in alike.describe()[-1]
    clear = measure_learnable(table(a=[1.0] * 8, b=[0.0] * 8))
    assert clear.num_to_decide == 2
    assert not [line for line in clear.describe() if "better on average" in line]


def test_pairs_to_grade_are_those_without_a_grade() -> None:
    data = table(a=[1, None, None], b=[0, 1, None])
    pairs = suggest_grades(data, 100)
    assert {(row.prompt, row.model) for row in pairs.itertuples()} == {
        ("Question 1?", "a"),
        ("Question 2?", "a"),
        ("Question 2?", "b"),
    }
    assert pairs["is_answered"].all()
    assert suggest_grades(data, 1).iloc[0]["prompt"] == "Question 2?"  # nothing of it is graded
    with pytest.raises(DataError, match="whole number above 0"):
        suggest_grades(data, 0)
