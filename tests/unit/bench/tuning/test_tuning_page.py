"""The page of a study: figures that plotly accepts, names that cannot be markup, everything that
was tried."""

from __future__ import annotations

import json
import re

import plotly.graph_objects as go
import pytest

from graphrouter.bench.tuning.objectives import find_objectives
from graphrouter.bench.tuning.search_space import Choice, FloatRange, IntRange, SearchSpace
from graphrouter.bench.tuning.trial_records import TrialRecord
from graphrouter.bench.tuning.tuning_figures import (
    draw_front,
    draw_history,
    draw_importances,
    draw_parallel,
)
from graphrouter.bench.tuning.tuning_page import (
    build_trial_grid,
    draw_tuning_figures,
    render_tuning_html,
)
from graphrouter.bench.tuning.tuning_result import TuningResult
from graphrouter.config import TrainConfig

SPACE = SearchSpace.of(
    {
        "encoder.path": Choice(choices=(None, "<b>x</b>", "y")),
        "network.width": IntRange(low=8, high=32, step=8),
        "training.learning_rate": FloatRange(low=1e-4, high=1e-2, log=True),
    }
)


def trial(number: int, log_loss: float, area: float) -> TrialRecord:
    params = {
        "encoder.path": (None, "<b>x</b>", "y")[number % 3],
        "network.width": 8 * (1 + number % 4),
        "training.learning_rate": (1e-4, 1e-3, 1e-2)[number % 3],
    }
    return TrialRecord(
        number,
        "complete",
        params,
        {"log_loss": log_loss, "area": area},
        seconds=1.5,
        is_start=number == 0,
    )


@pytest.fixture
def found() -> TuningResult:
    trials = [trial(0, 0.5, 0.6), trial(1, 0.4, 0.7), trial(2, 0.6, 0.8), trial(3, 0.7, 0.5)]
    trials.append(TrialRecord(4, "failed", {}, {}, message="Training </script> diverged."))
    importances = {"log_loss": {"network.width": 0.7, "encoder.path": 0.3}}
    return TuningResult(
        "a<b>",
        "mine",
        "",
        find_objectives(["log_loss", "area"]),
        SPACE,
        TrainConfig(),
        tuple(trials),
        importances=importances,
    )


def test_every_figure_is_one_that_plotly_knows(found: TuningResult) -> None:
    figures = draw_tuning_figures(found)
    assert list(figures) == [
        "front",
        "history-log_loss",
        "history-area",
        "importance-log_loss",
        "parallel-log_loss",
        "parallel-area",
    ]
    for _, figure in figures.values():
        go.Figure(figure)
        json.dumps(figure, allow_nan=False)


def test_history_shows_values_and_the_best_so_far(found: TuningResult) -> None:
    for objective, best in zip(
        found.objectives, ([0.5, 0.4, 0.4, 0.4], [0.6, 0.7, 0.8, 0.8]), strict=True
    ):
        line, points, start, chosen = draw_history(found, objective)["data"]
        assert line["y"] == best
        assert points["y"] == [each.values[objective.name] for each in found.completed]
        assert (start["x"], chosen["x"]) == ([0], [1])


def test_the_front_is_a_line_from_left_to_right(found: TuningResult) -> None:
    line, points, *_ = draw_front(found)["data"]
    assert (line["x"], line["y"]) == ([0.4, 0.6], [0.7, 0.8])
    assert len(points["x"]) == 4


def test_the_most_important_setting_stands_on_top() -> None:
    (bars,) = draw_importances({"network.width": 0.7, "encoder.path": 0.3})["data"]
    assert bars["y"][-1] == "network.width"  # plotly draws from below


def test_parallel_lines_run_from_end_to_end(found: TuningResult) -> None:
    figure = draw_parallel(found, found.objectives[0])
    worst, *_, best = figure["data"]
    assert worst["y"] == [
        0.0,
        1.0,
        0.0,
        0.0,
    ]  # trial 3: null, width 32, the lowest rate, the highest loss
    assert best["y"] == [
        0.5,
        pytest.approx(1 / 3, abs=1e-4),
        0.5,
        1.0,
    ]  # trial 1: the middle on a log scale, the lowest loss
    assert best["line"]["width"] > worst["line"]["width"]
    texts = {note["text"] for note in figure["layout"]["annotations"]}
    assert {"None", "8", "32", "0.0001", "0.01", "0.7000", "0.4000"} <= texts


def test_equal_values_make_figures_too() -> None:
    same = (trial(0, 0.5, 0.6), trial(1, 0.5, 0.6))
    result = TuningResult(
        "world", "mine", "", find_objectives(["log_loss"]), SPACE, TrainConfig(), same
    )
    figures = [go.Figure(figure) for _, figure in draw_tuning_figures(result).values()]
    assert figures
    assert all(len(figure.data) > 0 for figure in figures)


def test_all_trials_stand_in_the_table(found: TuningResult) -> None:
    grid = build_trial_grid(found)
    assert grid.columns == (
        "trial",
        "state",
        "log loss",
        "area under the frontier",
        "path",
        "width",
        "learning_rate",
        "seconds",
    )
    assert [[cell.value for cell in row.cells] for row in (grid.rows[0], grid.rows[4])] == [
        ["0 (the default settings)", "complete", "0.5000", "0.6000", "null", "8", "0.0001", "1.5"],
        ["4", "failed", "-", "-", "-", "-", "-", "0.0"],
    ]
    assert [row.is_evaluated for row in grid.rows] == [False, True, False, False, False]


def test_the_page_needs_nothing_else_and_escapes_names(found: TuningResult) -> None:
    page = render_tuning_html(found, command="graphrouter tune 'a<b>'")
    assert found.verdict in page
    head = page[: page.index("<script>")]
    assert "a<b>" not in head
    assert "<b>x</b>" not in head
    assert "Training </script>" not in page
    assert len(re.findall(r"data-figure=", head)) == 6
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', head)


def test_a_study_without_values_has_a_page_without_figures(found: TuningResult) -> None:
    empty = TuningResult(
        "world", "mine", "", found.objectives, SPACE, TrainConfig(), found.trials[4:]
    )
    page = render_tuning_html(empty, command="x")
    assert "No trial has a result." in page
    assert "data-figure=" not in page[: page.index("<script>")]
    assert len(page) < 100_000
