"""Numbers as people read them."""

from __future__ import annotations

import pytest

from graphrouter.bench.evaluation.additions import Addition
from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.report.curves import FrontierCurve, Frontiers
from graphrouter.bench.evaluation.report.grids import (
    build_addition_grid,
    build_frontier_grid,
    format_usd,
)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0"),
        (1.0, "$1"),
        (0.000123456, "$0.000123"),
        (1234.5, "$1230"),
        (2.5e-7, "$0.00000025"),
    ],
)
def test_dollars_have_three_digits_that_count(amount: float, text: str) -> None:
    assert format_usd(amount) == text


def test_the_frontier_is_read_at_levels_evenly_spaced_over_log_cost() -> None:
    curve = FrontierCurve("graphrouter", (0.001, 1.0), (0.2, 0.8))
    grid = build_frontier_grid(
        Frontiers((curve,), (), 0.001, 1.0), router="graphrouter", sees_outcomes=()
    )
    assert grid.columns == (
        "router",
        "$0.001",
        "$0.00316",
        "$0.01",
        "$0.0316",
        "$0.1",
        "$0.316",
        "$1",
    )
    assert [cell.value for cell in grid.rows[0].cells] == [
        "graphrouter",
        "0.200",
        "0.201",
        "0.205",
        "0.218",
        "0.259",
        "0.389",
        "0.800",
    ]
    assert grid.rows[0].is_evaluated


def test_a_router_dearer_than_the_level_reaches_nothing_there() -> None:
    curve = FrontierCurve("cascade", (0.5,), (0.8,))
    grid = build_frontier_grid(
        Frontiers((curve,), (), 0.001, 1.0), router="graphrouter", sees_outcomes=("cascade",)
    )
    assert [cell.value for cell in grid.rows[0].cells] == [
        "cascade †",
        "-",
        "-",
        "-",
        "-",
        "-",
        "-",
        "0.800",
    ]


def test_what_a_baseline_adds_has_its_interval_its_share_and_a_mark_where_it_is_left() -> None:
    own, much = Interval(0.01, 0.0, 0.02), Interval(0.004, 0.003, 0.005)
    explained, nothing = Interval(0.02, 0.01, 0.03), Interval(-0.02, -0.03, -0.01)
    additions = (
        Addition("knn", own, much, UNDEFINED, explained),
        Addition("svm", own, Interval(0.001, -0.1, 0.1), UNDEFINED, nothing),
    )
    grid = build_addition_grid(additions, router="graphrouter")
    evaluated, first, second = (row.cells for row in grid.rows)
    assert [row.is_evaluated for row in grid.rows] == [True, False, False]
    assert [cell.value for cell in evaluated] == ["graphrouter", "0.0200", "-", "-", "-"]
    assert [cell.value for cell in first] == ["knn", "0.0100", "0.0040", "+20%", "-"]
    assert (first[2].interval, first[2].mark) == ("[0.0030, 0.0050]", "worse")
    assert [cell.value for cell in second] == ["svm", "0.0100", "0.0010", "-", "-"]
    assert second[2].mark == ""
