"""Promises on real outcomes, and the study that measures how often they are broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import graphrouter as gr
from experiments.promises.run import main
from graphrouter.exceptions import DataError


def test_real_outcomes_support_a_promise_that_saves(
    shared_data: Callable[[str], Path],
) -> None:
    data = gr.load_dataset(shared_data("routerbench_subset"))
    router = gr.GraphRouter.fit(data, instant=True)
    promise = router.calibrate_policy(data, keep=0.95)
    assert promise.reference == "gpt-4-1106-preview"
    assert promise.share_low is not None
    assert promise.share > promise.share_low >= 0.95
    assert promise.saving > 0.5
    prompts = data.queries.set_index("query_id")["prompt"].loc[list(router.provenance.split.test)]
    decisions = router.route_batch(prompts.tolist()[:20], policy=promise.policy)
    assert {decision.model for decision in decisions} <= set(router.models)


def test_real_outcomes_without_costs_are_refused(shared_data: Callable[[str], Path]) -> None:
    data = gr.load_dataset(shared_data("llmrouter_default"))
    some = data.select_queries(data.queries["query_id"].tolist()[:300])
    router = gr.GraphRouter.fit(some, instant=True)
    with pytest.raises(DataError, match="outcomes without costs"):
        router.calibrate_policy(some)


def test_the_study_prints_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gr.simulate(num_queries=300, num_models=3, missing=0).data.save(tmp_path / "world")
    main([str(tmp_path / "world"), "--splits", "5", "--queries", "100"])
    shown = capsys.readouterr().out
    assert shown.count("| world | 99% |") == shown.count("| world | 95% |") == 2
    assert "## Coverage over 5 splits of 100 queries" in shown
