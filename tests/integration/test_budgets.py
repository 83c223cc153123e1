"""Budgets on real prompts: what a router expects goes through batch, stream and command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import graphrouter as gr
from graphrouter.cli.app import run
from graphrouter.data.table_files import read_table
from graphrouter.router import BudgetStream


def test_a_real_batch_keeps_its_budget_in_python_and_on_the_command_line(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data = gr.load_dataset(shared_data("zeroeval"))
    drawn = np.random.default_rng(0).permutation(data.queries["query_id"])
    router = gr.GraphRouter.fit(data.select_queries(sorted(drawn[:800])), instant=True)
    asked = data.select_queries(sorted(drawn[800:1100])).queries
    prompts = asked["prompt"].tolist()
    expected = router.predict(prompts)
    cost = expected.cost_usd
    cheapest, dearest = np.nanmin(cost, axis=1).sum(), np.nanmax(cost, axis=1).sum()
    budget = float(cheapest + 0.05 * (dearest - cheapest))

    chosen = router.route_batch(prompts, budget_usd=budget)
    assert chosen.total_cost_usd <= budget * (1 + 1e-9)
    assert chosen.total_effect >= chosen.bound * 0.999
    fits = np.nansum(cost, axis=0) <= budget
    assert chosen.total_effect > expected.effect.sum(axis=0)[fits].max()

    controller = BudgetStream(budget_usd=budget, num_prompts=len(prompts))
    effect = sum(controller.route(router, prompt).effect for prompt in prompts)
    assert 0.95 * budget <= controller.spent_usd <= budget
    assert effect >= 0.95 * chosen.total_effect

    router.save(tmp_path / "artifact")
    asked[["query_id", "prompt"]].to_parquet(tmp_path / "prompts.parquet")
    words = ["--budget-usd", str(budget), "--out", str(tmp_path / "out.csv")]
    assert (
        run(["assign", str(tmp_path / "artifact"), str(tmp_path / "prompts.parquet"), *words]) == 0
    )
    table = read_table(tmp_path / "out.csv")
    assert table["query_id"].tolist() == asked["query_id"].tolist()
    assert table["model"].tolist() == list(chosen.model)
