"""Savings and pictures of real outcomes: a log made of them at random, whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_frontier, draw_graph, draw_heatmap
from graphrouter.bench.savings import find_savings, read_period, render_savings_html
from graphrouter.data import Split

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(shared_data: Callable[[str], Path]) -> gr.RoutingDataset:
    return gr.load_dataset(shared_data("bfcl_v1"))


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    return fit_on_half(data)


def fit_on_half(data: gr.RoutingDataset) -> gr.GraphRouter:
    """Has learned from every second query."""
    half = tuple(sorted(data.queries["query_id"])[::2])
    return gr.GraphRouter.fit(data.select_queries(half), split=Split(half, (), ()), instant=True)


def test_a_log_of_one_answer_a_prompt_tells_what_all_answers_do(data: gr.RoutingDataset) -> None:
    priced = data.outcomes.dropna(subset=["cost_usd"])["model"].value_counts()
    few = data.select_models(sorted(priced.index[:4]))
    router = fit_on_half(few)
    base = router.models[0]
    others = few.select_queries(sorted(data.queries["query_id"])[1::2])
    whole = find_savings(router, read_period(router, others), baseline=base)
    drawn = others.outcomes.sample(frac=1, random_state=0).drop_duplicates("query_id")
    log = gr.RoutingDataset.from_frames(
        queries=others.queries, models=others.models, outcomes=drawn, name="log"
    )
    found = find_savings(router, read_period(router, log), baseline=base)
    assert found.num_calls == whole.num_calls == len(others.queries)
    assert whole.baseline.effect.share_from_log == 1.0
    held = [
        ends.low <= getattr(truth, name).value <= ends.high
        for ours, truth in zip(
            (found.baseline, *found.policies), (whole.baseline, *whole.policies), strict=True
        )
        for name in ("effect", "cost_usd")
        for ends in (getattr(ours, name),)
    ]
    assert np.mean(held) >= 0.75  # eight ranges of 95 %, which rest on the same calls
    assert len(render_savings_html(found)) < 300_000


def test_pictures_of_a_large_pool_stay_light(
    data: gr.RoutingDataset, router: gr.GraphRouter
) -> None:
    for picture in (
        draw_frontier(router, data),
        draw_heatmap(router, data),
        draw_graph(router, data),
    ):
        assert len(picture.to_html()) < 300_000
        assert picture.rows
