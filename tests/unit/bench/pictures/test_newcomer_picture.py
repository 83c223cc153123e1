"""The newcomer: its steps are those of a router to which it is added, and who may be drawn."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_newcomer
from graphrouter.bench.pictures.newcomer_picture import FEWEST_OUTCOMES
from graphrouter.exceptions import DataError, UnknownModelError


def test_steps_are_what_a_pool_expects_that_it_joins(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    name = router.models[2]
    picture = draw_newcomer(router, data, model=name, shots=(0, 10))
    tests = data.outcomes[
        data.outcomes["query_id"].isin(router.provenance.split.test)
        & (data.outcomes["model"] == name)
    ]
    asked = data.queries.set_index("query_id").loc[tests["query_id"]]
    joined = router.remove_model(name).add_model(router.pool[name])
    expected = joined.predict(asked["prompt"].tolist(), tasks=asked["task"].tolist())
    first, last = picture.rows
    assert first[0] == 0
    assert last[0] == 10
    assert first[1] == pytest.approx(expected.effect[:, joined.models.index(name)].mean())
    assert first[5] == pytest.approx(tests["effect"].mean())
    assert first[1] != last[1]
    level, loss = picture.figure().axes
    assert level.lines[0].get_ydata().tolist() == [row[1] for row in picture.rows]
    assert loss.lines[0].get_ydata().tolist() == [row[4] for row in picture.rows]
    assert level.lines[1].get_ydata()[0] == first[5]
    low, high = (np.array([row[place] for row in picture.rows]) for place in (2, 3))
    assert np.all(low < high)


def test_shots_beyond_what_there_is_are_left_out(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    picture = draw_newcomer(router, data, shots=(0, 10_000))
    assert [row[0] for row in picture.rows] == [0]


def test_who_is_not_there_or_hardly_tested_is_refused(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    with pytest.raises(UnknownModelError, match="no model 'nobody' with outcomes"):
        draw_newcomer(router, data, model="nobody")
    name, few = router.models[0], router.provenance.split.test[: FEWEST_OUTCOMES - 1]
    there = data.outcomes["query_id"].isin(few) | data.outcomes["query_id"].isin(
        router.provenance.split.train
    )
    fewer = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes[there]
    )
    with pytest.raises(DataError, match="expected at least 20"):
        draw_newcomer(router, fewer, model=name)
