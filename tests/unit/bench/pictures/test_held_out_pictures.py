"""Frontier and calibration: the lines that are drawn are the figures that were measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.evaluation import collect_held_out
from graphrouter.bench.evaluation.prediction_errors import reliability_bins
from graphrouter.bench.pictures import draw_calibration, draw_frontier
from graphrouter.bench.pictures.picture_style import NARROW, WIDE
from graphrouter.exceptions import DataError, NotApplicableError


def test_the_frontier_is_drawn_as_it_was_measured(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    picture = draw_frontier(router, data)
    ours = [row[2:] for row in picture.rows if row[0] == "graphrouter"]
    models = {row[0]: row[2:] for row in picture.rows if row[1] == "model"}
    assert set(models) == set(router.models)
    axes = picture.figure().axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    drawn = np.column_stack(lines["this router"].get_data())
    assert drawn[:-1] == pytest.approx(np.array(ours))  # the last point carries it to the edge
    assert np.all(np.diff(drawn[:, 1]) >= 0)
    points = [lines[label].get_data() for label in lines if "one model" in str(label)]
    shown = {tuple(np.round(pair, 9)) for points in points for pair in zip(*points, strict=True)}
    assert shown == {tuple(np.round(pair, 9)) for pair in models.values()}
    assert axes.get_xscale() == "log"


def test_names_of_models_stand_in_the_frontier(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    picture = draw_frontier(router, data)
    names = {text.get_text() for text in picture.figure(WIDE).axes[0].texts}
    few = {text.get_text() for text in picture.figure(NARROW).axes[0].texts}
    assert names == set(router.models)
    assert 0 < len(few) < len(names)


def test_without_costs_there_is_no_frontier(data: gr.RoutingDataset) -> None:
    models = data.models.drop(columns=["input_usd_per_mtok", "output_usd_per_mtok"])
    free = gr.RoutingDataset.from_frames(
        queries=data.queries,
        models=models,
        outcomes=data.outcomes[["query_id", "model", "effect"]],
    )
    router = gr.GraphRouter.fit(free, instant=True)
    with pytest.raises(NotApplicableError, match="no frontier to draw: .*cost"):
        draw_frontier(router, free)


def test_calibration_is_drawn_as_it_was_measured(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    picture = draw_calibration(router, data, num_draws=50)
    run = collect_held_out(router, data, baselines=()).run
    bins = reliability_bins(
        run.outputs["task_known"]["graphrouter"].predictions.effect,
        run.evaluation_set.observed.effect,
        num_bins=10,
    )
    full = bins.num_pairs > 0
    rows = np.array(list(picture.rows), dtype=float)
    assert rows[:, 0] == pytest.approx(bins.expected[full])
    assert rows[:, 1] == pytest.approx(bins.observed[full])
    assert rows[:, 4] == pytest.approx(bins.num_pairs[full])
    known = np.isfinite(rows[:, 2])
    assert np.all(rows[known, 2] <= rows[known, 1])
    assert np.all(rows[known, 1] <= rows[known, 3])
    above, below = picture.figure().axes
    points = next(line for line in above.lines if len(line.get_xdata()) == len(rows))
    assert np.column_stack(points.get_data()) == pytest.approx(rows[:, :2])
    assert [bar.get_height() for bar in below.patches] == rows[:, 4].tolist()


def test_hidden_tasks_are_another_picture(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    known, hidden = (
        draw_calibration(router, data, task_known=told, num_draws=10) for told in (True, False)
    )
    assert [row[0] for row in known.rows] != [row[0] for row in hidden.rows]


def test_only_what_is_new_to_the_router_is_drawn(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    seen = data.select_queries(router.provenance.split.train)
    with pytest.raises(DataError, match="Nothing to evaluate on"):
        draw_frontier(router, replace(seen, name="seen"))
