"""Baselines take calls that nobody graded too: effects as of the graded, costs as of all."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import find_router
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.router.training_view import TrainingView

QUICK = ("best_single", "cheapest", "task_mean", "rasch", "linear", "uniroute_map", "embed_llm")
"""Those whose amounts do not depend on settings that validation effects choose."""


@cache
def views() -> tuple[TrainingView, TrainingView]:
    """A small world with all answers graded, and with a third of them."""
    data = gr.simulate(num_queries=150, num_models=3, seed=5).data
    drawn = np.random.default_rng(0).random(len(data.outcomes)) < 0.35
    outcomes = data.outcomes.assign(effect=data.outcomes["effect"].where(drawn))
    partly = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )
    part = TrainingView.of(partly, encoder=HashingEncoder(64))
    return TrainingView.of(data, encoder=HashingEncoder(64), split=part.split), part


@pytest.mark.parametrize("name", QUICK)
def test_costs_are_those_of_all_calls_and_effects_are_there(name: str) -> None:
    whole, part = (
        find_router(name).fit(view).predict(["Add 3 and 4.", "Write a poem."]) for view in views()
    )
    np.testing.assert_allclose(part.cost_usd, whole.cost_usd, rtol=1e-9)
    assert np.isfinite(part.effect).all()
    if name != "cheapest":
        assert not np.array_equal(part.effect, whole.effect)
