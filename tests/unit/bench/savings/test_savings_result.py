"""Savings on a log whose truth is known, and on logs that cannot tell."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.savings import Savings, find_savings, read_period
from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.exceptions import (
    DataError,
    NotApplicableError,
    PolicyError,
    UnknownModelError,
)


@pytest.fixture(scope="module")
def found(router: gr.GraphRouter, log: gr.RoutingDataset) -> Savings:
    period = read_period(router, log)
    return find_savings(router, period, baseline=router.models[-1])


def test_a_log_at_random_tells_the_truth(
    found: Savings, router: gr.GraphRouter, log: gr.RoutingDataset, truth: dict[str, np.ndarray]
) -> None:
    choices = router.route_batch(log.queries["prompt"].tolist(), tasks=log.queries["task"].tolist())
    columns = [router.models.index(decision.model) for decision in choices]
    rows = np.arange(len(columns))
    balanced = next(each for each in found.policies if each.name == "Balanced")
    assert balanced.effect.share_from_log > 0.9
    ends = balanced.effect
    assert ends.low <= truth["effect"][rows, columns].mean() <= ends.high
    cost = truth["cost_usd"]
    assert found.baseline.cost_usd.low <= cost[:, -1].sum() <= found.baseline.cost_usd.high
    saved = cost[:, -1].sum() - cost[rows, columns].sum()
    assert balanced.saved_usd.low <= saved <= balanced.saved_usd.high
    assert balanced.shares == pytest.approx(
        {model: columns.count(place) / 600 for place, model in enumerate(router.models)
         if place in columns}
    )  # fmt: skip


def test_as_it_was_is_exact(found: Savings, log: gr.RoutingDataset) -> None:
    assert found.logged.paid_usd == pytest.approx(log.outcomes["cost_usd"].sum())
    assert found.logged.effect == pytest.approx(log.outcomes["effect"].mean())
    assert (found.num_calls, found.num_judged, found.logged.num_graded) == (600, 600, 600)


def test_the_baseline_is_one_model_for_all(found: Savings, router: gr.GraphRouter) -> None:
    assert found.baseline.shares == {router.models[-1]: 1.0}
    assert found.baseline.saved_usd is None
    assert found.baseline.saved_share is None


def test_calls_without_a_grade_still_cost(router: gr.GraphRouter, log: gr.RoutingDataset) -> None:
    graded = np.random.default_rng(1).random(len(log.outcomes)) < 0.5
    some = gr.RoutingDataset.from_frames(
        queries=log.queries,
        models=log.models,
        outcomes=log.outcomes.assign(effect=log.outcomes["effect"].where(graded)),
    )
    found = find_savings(router, read_period(router, some), baseline=router.models[-1])
    assert found.logged.num_graded == graded.sum()
    assert found.logged.paid_usd == pytest.approx(log.outcomes["cost_usd"].sum())
    assert found.baseline.cost_usd.share_from_log > 0.9
    assert found.num_calls == 600


def test_a_log_in_which_the_prompt_decided_is_not_believed(
    router: gr.GraphRouter, world: Simulation, log: gr.RoutingDataset
) -> None:
    """The dearest model was asked for the tasks where it is best: its mean says nothing."""
    data = world.data.select_queries(log.queries["query_id"].tolist())
    tasks = sorted(data.queries["task"].unique())
    of = dict(zip(data.queries["query_id"], data.queries["task"], strict=True))
    wanted = {task: router.models[place % 2 * -1] for place, task in enumerate(tasks)}
    asked = data.outcomes["query_id"].map(of).map(wanted)
    chosen = gr.RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models,
        outcomes=data.outcomes[data.outcomes["model"] == asked],
    )
    period = read_period(router, chosen)
    assert "depends on the prompt" in period.why_unknown
    found = find_savings(router, period, baseline=router.models[-1])
    assert found.why_unknown == period.why_unknown
    assert found.baseline.effect.share_from_log < 0.9


def test_what_the_router_has_learned_from_is_not_judged_on(
    router: gr.GraphRouter, world: Simulation
) -> None:
    whole = read_period(router, world.data)
    assert whole.num_calls == 900
    assert len(whole.predictions) == 600
    assert whole.logged is None  # most prompts were answered by several models
    seen = world.data.select_queries(router.provenance.split.train)
    with pytest.raises(DataError, match="Nothing to evaluate on: the router has learned from all"):
        read_period(router, replace(seen, name="other"))


def test_policies_of_ones_own(router: gr.GraphRouter, log: gr.RoutingDataset) -> None:
    cheap = router.models[0]
    policies = {"cheap": gr.Policy(allowed=(cheap,))}
    period = read_period(router, log)
    found = find_savings(router, period, baseline=cheap, policies=policies)
    (only,) = found.policies
    assert only.shares == {cheap: 1.0}
    assert only.saved_usd.value == only.saved_usd.high == 0.0
    with pytest.raises(PolicyError):
        find_savings(
            router, period, baseline=cheap, policies={"none": gr.Policy(max_cost_usd=1e-12)}
        )


def test_what_cannot_be_measured_is_refused(router: gr.GraphRouter, log: gr.RoutingDataset) -> None:
    period = read_period(router, log)
    with pytest.raises(UnknownModelError, match="nobody"):
        find_savings(router, period, baseline="nobody")
    few = period.take(np.arange(29))
    with pytest.raises(NotApplicableError, match=r"There are 29 calls .* at least 30"):
        find_savings(router, few, baseline=router.models[0])
    unpriced = replace(
        period.predictions, cost_usd=np.full(period.predictions.cost_usd.shape, np.nan)
    )
    with pytest.raises(NotApplicableError, match="Savings need costs"):
        find_savings(router, replace(period, predictions=unpriced), baseline=router.models[0])


def test_a_model_whose_cost_nobody_knows_is_named(
    router: gr.GraphRouter, log: gr.RoutingDataset
) -> None:
    period = read_period(router, log)
    cost = period.predictions.cost_usd.copy()
    cost[:, 2] = np.nan
    nothing = period.chance["cost_usd"].copy()
    nothing[:, 2] = 0.0
    period = replace(
        period,
        predictions=replace(period.predictions, cost_usd=cost),
        chance={**period.chance, "cost_usd": nothing},
    )
    with pytest.raises(NotApplicableError, match=f"what a call of {router.models[2]} costs"):
        find_savings(router, period, baseline=router.models[2])
    period = replace(period, choose=lambda _: [router.models[2]] * len(period.predictions))
    with pytest.raises(NotApplicableError, match="graphrouter pool set-price"):
        find_savings(router, period, baseline=router.models[0])


def test_json_is_plain_and_a_notebook_has_a_table(found: Savings) -> None:
    told = json.loads(json.dumps(found.to_json()))
    assert [each["name"] for each in told["policies"]] == [
        "Quality first",
        "Balanced",
        "Cost first",
    ]
    assert told["policies"][1]["saved_share"] == pytest.approx(found.policies[1].saved_share)
    assert found._repr_html_().count("<tr>") == 5
