"""Calls that nobody graded: they teach costs and times, and nothing of effects."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError
from graphrouter.graph import project_on_tasks
from graphrouter.monitoring import check_drift

PROMPT = "Add 3 and 4."


def hide(data: gr.RoutingDataset, hidden: pd.Series, *, drop: bool = False) -> gr.RoutingDataset:
    """The dataset without these grades, or without their whole rows."""
    outcomes = data.outcomes.assign(effect=data.outcomes["effect"].mask(hidden))
    return gr.RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models,
        outcomes=outcomes[~hidden] if drop else outcomes,
        tasks=data.tasks,
    )


@pytest.fixture(scope="module")
def ungraded(data: gr.RoutingDataset) -> pd.Series:
    """Which calls nobody graded: all of one model, and half of the others."""
    drawn = np.random.default_rng(0).random(len(data.outcomes)) < 0.5
    return (data.outcomes["model"] == data.pool.names[0]) | drawn


@pytest.fixture(scope="module")
def partly(data: gr.RoutingDataset, ungraded: pd.Series) -> gr.GraphRouter:
    return gr.GraphRouter.fit(hide(data, ungraded), instant=True)


def test_costs_are_learned_from_all_calls_and_effects_from_the_graded(
    data: gr.RoutingDataset, ungraded: pd.Series, partly: gr.GraphRouter
) -> None:
    prompts = data.queries["prompt"].tolist()[:20]
    rows = {"whole": data, "alone": hide(data, ungraded, drop=True)}
    whole, alone = (
        gr.GraphRouter.fit(each, split=partly.provenance.split, instant=True).predict(prompts)
        for each in rows.values()
    )
    mine = partly.predict(prompts)
    for name in ("cost_usd", "latency_s", "output_tokens"):
        np.testing.assert_allclose(getattr(mine, name), getattr(whole, name), rtol=0.03)
    unseen = np.isnan(alone.latency_s).all(axis=0) | (
        np.abs(np.log(alone.cost_usd / whole.cost_usd)).mean(axis=0) > 0.03
    )
    assert unseen[0]  # of the model without grades the costs would not have been known
    assert np.abs(mine.effect - alone.effect).mean() < 0.02


def test_no_evidence_and_no_count_rests_on_an_ungraded_call(partly: gr.GraphRouter) -> None:
    known = partly.count_outcomes()
    assert known["num_outcomes"].iloc[0] == 0
    assert np.isnan(known["mean_effect"].iloc[0])
    assert (known["num_ungraded"] > 0).all()
    assert known[["num_outcomes", "num_ungraded"]].sum().sum() == len(partly.support.outcomes)
    decision = partly.route(PROMPT)
    assert decision.evidence
    for solved in decision.evidence:
        assert solved.effects
        assert np.isfinite(list(solved.effects.values())).all()


def test_probes_may_ask_what_was_answered_but_not_graded(partly: gr.GraphRouter) -> None:
    first = partly.models[0]
    assert len(partly.suggest_probes(n=20, model=first)) == 20
    prompts = partly.support.queries["prompt"].str.strip().nunique()
    assert len(partly.suggest_probes(n=prompts, model=first)) == prompts


def test_a_router_is_the_same_after_saving_and_loading(
    partly: gr.GraphRouter, tmp_path: object
) -> None:
    partly.save(f"{tmp_path}/artifact")
    loaded = gr.load_router(f"{tmp_path}/artifact")
    for name in ("effect", "effect_low", "cost_usd", "familiarity"):
        mine, theirs = (getattr(each.predict([PROMPT]), name) for each in (partly, loaded))
        np.testing.assert_array_equal(mine, theirs)


def test_ungraded_outcomes_that_come_later_move_times_and_no_effect(partly: gr.GraphRouter) -> None:
    model = partly.models[1]
    before = partly.predict([PROMPT])
    usual = before.latency_s[0, 1]
    slow = [
        {"model": model, "prompt": f"Add {i} and 4.", "effect": None, "latency": 20 * usual}
        for i in range(40)
    ]
    after = partly.add_outcomes(pd.DataFrame(slow)).predict([PROMPT])
    assert after.latency_s[0, 1] > 2 * usual
    np.testing.assert_allclose(after.effect, before.effect, atol=0.02)


def test_nothing_is_learned_where_nobody_graded(data: gr.RoutingDataset) -> None:
    everything = hide(data, data.outcomes["model"].notna())
    with pytest.raises(DataError, match=r"No training query of .* has a graded answer of a model"):
        gr.GraphRouter.fit(everything, instant=True)


def test_drift_looks_at_graded_outcomes_alone(
    partly: gr.GraphRouter, data: gr.RoutingDataset, caplog: pytest.LogCaptureFixture
) -> None:
    new = gr.simulate(num_queries=30, num_models=5, seed=9).data
    rows = new.outcomes.merge(new.queries, on="query_id")
    rows["model"] = rows["model"].map(dict(zip(new.pool.names, data.pool.names, strict=True)))
    rows = rows[["model", "prompt", "task", "effect", "cost_usd"]]
    mixed = rows.assign(effect=rows["effect"].mask(rows.index % 3 == 0))
    with caplog.at_level(logging.WARNING):
        found = check_drift(partly, mixed)
    assert "have no effect, and no part in this" in caplog.text
    graded = check_drift(partly, mixed.dropna(subset="effect"))
    assert [check.overall.num_outcomes for check in found.models] == [
        check.overall.num_outcomes for check in graded.models
    ]
    with pytest.raises(DataError, match="outcomes has no graded outcome"):
        check_drift(partly, rows.assign(effect=None))


def test_means_in_the_graph_are_of_graded_answers(
    data: gr.RoutingDataset, ungraded: pd.Series
) -> None:
    first = project_on_tasks(hide(data, ungraded)).nodes[f"model:{data.pool.names[0]}"]
    assert first["num_outcomes"] == 0
    assert "mean_effect" not in first


def test_a_newcomer_of_ungraded_calls_is_fast_or_slow_and_otherwise_as_its_card(
    partly: gr.GraphRouter,
) -> None:
    card = gr.ModelCard(model="fresh", description="A new model of middling size.")
    prompts = partly.support.queries["prompt"].tolist()[:30]
    calls = pd.DataFrame({"prompt": prompts, "effect": None, "latency": 50.0})
    mine = partly.add_model(card, outcomes=calls).predict([PROMPT])
    bare = partly.add_model(card).predict([PROMPT])
    assert mine.latency_s[0, -1] == pytest.approx(50, rel=0.2)
    assert abs(mine.latency_s[0, -1] - bare.latency_s[0, -1]) > 10
    np.testing.assert_allclose(mine.effect, bare.effect, atol=0.02)
