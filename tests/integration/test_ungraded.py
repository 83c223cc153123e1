"""What calls that nobody graded teach, on real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from experiments.ungraded.run import AMOUNTS, hide_grades, measure
from graphrouter.data import split_dataset
from graphrouter.types import Queries


@pytest.mark.parametrize("kind", ["calls", "queries"])
def test_costs_and_latencies_are_as_well_predicted_with_a_third_graded(
    kind: str, shared_data: Callable[[str], Path]
) -> None:
    data = gr.load_dataset(shared_data("bfcl_v1"))
    drawn = np.random.default_rng(0).permutation(data.queries["query_id"])[:300]
    data = data.select_queries(sorted(drawn)).select_models(data.pool.names[:12])
    split = split_dataset(data, gr.TrainConfig().split)
    asked = Queries.of_frame(data.queries.set_index("query_id").loc[list(split.test)])
    found = {}
    for name, drop in (("some", False), ("alone", True)):
        learned = hide_grades(data, split, 0.35, kind=kind, seed=0, drop=drop)
        router = gr.GraphRouter.fit(learned, split=split, instant=True)
        found[name] = measure(data, router.predict(asked.prompts, tasks=asked.tasks), split)
    router = gr.GraphRouter.fit(data, split=split, instant=True)
    whole = measure(data, router.predict(asked.prompts, tasks=asked.tasks), split)
    for amount in AMOUNTS:
        assert found["some"][amount] <= 1.03 * whole[amount], amount
    # Effects are learned from the graded alone, and no worse for the others beside them.
    assert found["some"]["effect"] <= found["alone"]["effect"] + 0.01
