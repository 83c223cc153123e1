"""The heatmap: cells are means, the best model on top, unknown cells empty."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_heatmap
from graphrouter.bench.pictures.picture_style import INK, NARROW
from graphrouter.exceptions import DataError, NotApplicableError


def test_observed_cells_are_the_means_of_the_data(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    picture = draw_heatmap(router, data)
    drawn = np.ma.filled(picture.figure().axes[0].images[0].get_array(), np.nan)
    merged = data.outcomes.merge(data.queries[["query_id", "task"]], on="query_id")
    means = merged.groupby(["model", "task"])["effect"].mean()
    for i, row in enumerate(picture.rows):
        for j, task in enumerate(picture.columns[1:]):
            assert drawn[i, j] == pytest.approx(means[row[0], task])
    averages = np.nanmean(drawn, axis=1)
    assert np.all(np.diff(averages) <= 1e-12)


def test_expected_cells_have_their_numbers_written_in_them(router: gr.GraphRouter) -> None:
    picture = draw_heatmap(router)
    axes = picture.figure().axes[0]
    assert {row[0] for row in picture.rows} == set(router.models)
    written = [text.get_text().rstrip("?") for text in axes.texts]
    assert written == [f"{100 * value:.0f}" for row in picture.rows for value in row[1:]]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        row[0] for row in picture.rows
    ]


def test_a_telephone_shows_all_tasks_in_grids_below_each_other(router: gr.GraphRouter) -> None:
    picture = draw_heatmap(router)
    tasks = picture.columns[1:]
    grids = picture.figure(NARROW).axes
    assert [grid.images[0].get_array().shape for grid in grids] == [(6, 6), (6, len(tasks) - 6)]
    named = [label.get_text() for grid in grids for label in grid.get_xticklabels()]
    assert named == list(tasks)
    written = [text.get_text().rstrip("?") for grid in grids for text in grid.texts]
    assert sorted(written) == sorted(f"{100 * v:.0f}" for row in picture.rows for v in row[1:])


def test_numbers_are_read_on_their_shade(router: gr.GraphRouter) -> None:
    inks = {
        text.get_text().rstrip("?"): text.get_color()
        for text in draw_heatmap(router).figure().axes[0].texts
    }
    assert all(
        ink == ("white" if int(number) >= 74 else INK)
        for number, ink in inks.items()
        if not 68 <= int(number) < 74
    )


def test_a_cell_without_an_outcome_is_no_zero(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    task, model = data.queries["task"].iloc[0], data.models["model"].iloc[0]
    ids = data.queries.loc[data.queries["task"] == task, "query_id"]
    gone = data.outcomes["query_id"].isin(ids) & (data.outcomes["model"] == model)
    fewer = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes[~gone]
    )
    picture = draw_heatmap(router, fewer)
    row = next(row for row in picture.rows if row[0] == model)
    assert row[picture.columns.index(task)] is None
    assert "·" in {text.get_text() for text in picture.figure().axes[0].texts}


def test_without_tasks_there_is_no_heatmap(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    bare = gr.RoutingDataset.from_frames(
        queries=data.queries.assign(task=None), models=data.models, outcomes=data.outcomes
    )
    with pytest.raises(DataError, match="no graded query of 'dataset' has a task"):
        draw_heatmap(router, bare)
    with pytest.raises(NotApplicableError, match="Train it on queries with tasks"):
        draw_heatmap(gr.GraphRouter.fit(bare, instant=True))
