"""Outcomes that come later with costs, tokens or latencies that training did not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import PolicyError
from graphrouter.router import BudgetStream

PROMPT = "Add 3 and 4."
FULL = {"cost_usd": 0.001, "output_tokens": 40.0, "latency_s": 2.0}


def make_outcomes(word: str, *columns: str, usd: tuple[float, float] = (0.0, 0.001)) -> Any:
    """Twelve prompts answered by a free model and one that is paid."""
    rows = []
    for i in range(12):
        for k, model in enumerate(("free", "paid")):
            amounts = {**FULL, "cost_usd": usd[k]}
            row = {"prompt": f"{word} {i}.", "model": model, "effect": (i + k) % 2}
            rows.append(row | {name: amounts[name] for name in columns})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def bare() -> gr.GraphRouter:
    """Of a router that was trained on effects alone."""
    return gr.GraphRouter.fit(make_outcomes("Add"), instant=True)


@pytest.mark.parametrize(
    "columns", [("cost_usd",), ("output_tokens",), ("latency_s",), tuple(FULL)], ids=" ".join
)
def test_what_training_did_not_have_is_left_out_with_one_warning(
    bare: gr.GraphRouter, columns: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    wider = bare.add_outcomes(make_outcomes("Say", *columns))
    [said] = caplog.messages
    assert said.startswith(f"outcomes: the router was trained without {' and '.join(columns)}, ")
    plain = bare.add_outcomes(make_outcomes("Say"))
    assert len(wider.support.outcomes) == 48
    mine, theirs = wider.predict([PROMPT]), plain.predict([PROMPT])
    np.testing.assert_array_equal(mine.effect, theirs.effect)
    for name in FULL:
        assert np.isnan(getattr(mine, name)).all(), name


def test_a_budget_and_limits_on_such_a_router_say_what_it_was_trained_without(
    bare: gr.GraphRouter,
) -> None:
    wider = bare.add_outcomes(make_outcomes("Say", *FULL))
    no_costs = "cannot predict any: it was trained on outcomes without cost_usd, and without"
    no_latencies = "cannot predict any: it was trained on outcomes without latency_s"
    with pytest.raises(PolicyError, match=f"budget_usd needs costs, but this router {no_costs}"):
        wider.route_batch([PROMPT] * 3, budget_usd=1)
    with pytest.raises(PolicyError, match=f"budget_s needs latencies.* {no_latencies}"):
        wider.route_batch([PROMPT] * 3, budget_s=100)
    with pytest.raises(PolicyError, match=no_costs):
        BudgetStream(budget_usd=1, num_prompts=3).route(wider, PROMPT)
    for policy in (gr.Policy(cost_weight=0.5), gr.Policy(max_cost_usd=1)):
        with pytest.raises(PolicyError, match=no_costs):
            wider.route(PROMPT, policy=policy)
    with pytest.raises(PolicyError, match=no_costs):
        wider.route_batch([PROMPT] * 3, max_calls={"free": 1}, policy=gr.Policy(max_cost_usd=1))
    slow = gr.Policy(cost_weight=0, max_latency_s=5)
    with pytest.raises(PolicyError, match=no_latencies):
        wider.route(PROMPT, policy=slow)
    with pytest.raises(PolicyError, match=no_latencies):
        wider.route_batch([PROMPT] * 3, max_calls={"free": 1}, policy=slow)


def test_newcomers_and_examples_of_a_task_are_read_alike(
    bare: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    late = make_outcomes("Say", "cost_usd").replace({"free": "fresh"})
    card = gr.ModelCard(model="fresh")
    wider = bare.add_model(card, outcomes=late[late["model"] == "fresh"])
    assert np.isnan(wider.predict([PROMPT]).cost_usd).all()
    tasks = gr.GraphRouter.fit(make_outcomes("Add").assign(task="sums"), instant=True)
    taught = tasks.add_task("talk", examples=make_outcomes("Say", "cost_usd"))
    assert np.isnan(taught.predict([PROMPT], tasks=["talk"]).cost_usd).all()
    first, second = caplog.messages
    assert first.startswith("outcomes: the router was trained without cost_usd, ")
    assert second.startswith("examples: the router was trained without cost_usd, ")


def test_after_free_calls_alone_a_paid_model_is_unknown_and_not_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = gr.GraphRouter.fit(make_outcomes("Add", "cost_usd", usd=(0.0, 0.0)), instant=True)
    assert router.predict([PROMPT]).cost_usd.tolist() == [[0.0, 0.0]]
    wider = router.add_outcomes(make_outcomes("Say", "cost_usd"))
    cost = wider.predict([PROMPT]).cost_usd[0]
    assert cost[0] == 0
    assert np.isnan(cost[1])
    [said] = caplog.messages
    assert "trained on costs of 0 alone, so what paid costs stays unknown" in said
    caplog.clear()
    router.add_outcomes(make_outcomes("Say", "cost_usd", usd=(0.0, 0.0)))
    assert caplog.messages == []


@pytest.mark.parametrize("column", ["cost_usd", "output_tokens", "latency_s"])
def test_what_training_had_is_taken_in(column: str, caplog: pytest.LogCaptureFixture) -> None:
    router = gr.GraphRouter.fit(make_outcomes("Add", column), instant=True)
    wider = router.add_outcomes(make_outcomes("Say", column))
    assert caplog.messages == []
    assert np.isfinite(getattr(wider.predict([PROMPT]), column)).all()


def test_tokens_after_costs_and_costs_after_tokens_are_of_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by_cost = gr.GraphRouter.fit(make_outcomes("Add", "cost_usd"), instant=True)
    told = by_cost.add_outcomes(make_outcomes("Say", "output_tokens"))
    assert np.isfinite(told.predict([PROMPT]).output_tokens).all()
    by_tokens = gr.GraphRouter.fit(make_outcomes("Add", "output_tokens"), instant=True)
    billed = by_tokens.add_outcomes(make_outcomes("Say", "cost_usd"))
    assert billed.predict([PROMPT]).cost_usd[0].tolist() == pytest.approx([0.0, 0.001], rel=0.5)
    assert caplog.messages == []


def test_a_latency_that_was_never_logged_of_a_model_is_said_to_be_a_guess(
    bare: gr.GraphRouter,
) -> None:
    timed = make_outcomes("Add", "latency_s")
    timed.loc[timed["model"] == "paid", "latency_s"] = np.nan
    router = gr.GraphRouter.fit(timed, instant=True).add_model(gr.ModelCard(model="fresh"))
    found = {c.model: c for c in router.route(PROMPT).candidates}
    assert {name: c.has_logged_latency for name, c in found.items()} == {
        "free": True,
        "paid": False,
        "fresh": False,
    }
    assert all(c.latency_s is not None for c in found.values())
    plain = router.route(PROMPT).to_dict()["candidates"]
    assert {c["model"]: c["has_logged_latency"] for c in plain}["paid"] is False
    more = make_outcomes("Say", "latency_s")
    wider = router.add_outcomes(more[more["model"] == "paid"])
    found = {c.model: c for c in wider.route(PROMPT).candidates}
    assert found["paid"].has_logged_latency is True
    assert {c.latency_s for c in bare.route(PROMPT).candidates} == {None}
    assert {c.has_logged_latency for c in bare.route(PROMPT).candidates} == {False}
