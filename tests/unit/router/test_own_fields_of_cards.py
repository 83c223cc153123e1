"""Own fields in a graph router: they say who is alike, go through the artifact, change no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.router.graph_router import GraphRouter

PROMPTS = ["Translate 'tree' into German.", "Add 3 and 4.", ""]


@pytest.fixture(scope="module")
def stated(data: gr.RoutingDataset, router: GraphRouter) -> GraphRouter:
    """The router of the fixture, and what its cards state besides."""
    changed = router
    for i, card in enumerate(router.pool):
        more = {"mmlu": 50.0 + 5 * i, "region": "eu" if i % 2 else "us", "energy_wh": 0.1 * (i + 1)}
        changed = changed.update_card(card.model_copy(update=more))
    return changed


def test_words_change_nothing_and_numbers_say_who_is_alike(
    router: GraphRouter, stated: GraphRouter
) -> None:
    before = router.predict(PROMPTS).effect
    worded = router
    for card in router.pool:
        worded = worded.update_card(card.model_copy(update={"region": "eu"}))
    assert np.array_equal(worded.predict(PROMPTS).effect, before)
    assert not np.array_equal(stated.predict(PROMPTS).effect, before)


def test_a_newcomer_changes_nothing_for_others_whatever_it_states(stated: GraphRouter) -> None:
    card = gr.ModelCard(model="fresh", mmlu=1e6, only_mine=3)
    before, after = stated.predict(PROMPTS).effect, stated.add_model(card).predict(PROMPTS).effect
    np.testing.assert_allclose(after[:, :-1], before, atol=1e-12)


def test_a_newcomer_is_like_those_of_its_score(router: GraphRouter) -> None:
    """With a score that tells good from bad, a bare newcomer is placed by its own."""
    level = router.count_outcomes().set_index("model")["mean_effect"]
    scored = router
    for card in router.pool:
        scored = scored.update_card(
            gr.ModelCard(model=card.model, bench=float(level[card.model]) * 100)
        )
    cards = [gr.ModelCard(model="high", bench=float(level.max()) * 100)]
    cards.append(gr.ModelCard(model="low", bench=float(level.min()) * 100))
    effect = pd.Series(
        scored.add_models(cards).predict(PROMPTS).effect[:, -2:].mean(axis=0), ["high", "low"]
    )
    assert effect["high"] > effect["low"]


def test_they_go_through_the_artifact(stated: GraphRouter, tmp_path: Path) -> None:
    stated.save(tmp_path / "mine")
    again = gr.load_router(tmp_path / "mine")
    assert [card.own_fields for card in again.pool] == [card.own_fields for card in stated.pool]
    assert again.pool == stated.pool
    assert np.array_equal(again.predict(PROMPTS).effect, stated.predict(PROMPTS).effect)
    policy = gr.Policy(requires={"region": "eu"}, penalties={"energy_wh": 0.01})
    decision = again.route(PROMPTS[0], policy=policy)
    assert again.pool[decision.model].own_fields["region"] == "eu"
    dearer = again.set_price(decision.model, input_usd_per_mtok=1, output_usd_per_mtok=2)
    assert dearer.pool[decision.model].own_fields == again.pool[decision.model].own_fields


def test_training_reads_them(data: gr.RoutingDataset, quick_config: gr.TrainConfig) -> None:
    models = data.models.assign(mmlu=np.arange(5.0), region="eu")
    frames = {"queries": data.queries, "outcomes": data.outcomes, "tasks": data.tasks}
    router = gr.GraphRouter.fit(
        gr.RoutingDataset.from_frames(models=models, **frames), quick_config
    )
    plain = gr.GraphRouter.fit(data, quick_config)
    assert router.learned.net.sizes == plain.learned.net.sizes
    assert [card.own_fields["mmlu"] for card in router.pool] == [0, 1, 2, 3, 4]
    assert not np.array_equal(router.predict(PROMPTS).effect, plain.predict(PROMPTS).effect)
    assert len(router.add_outcomes(router.support.outcomes.head(3)).pool) == 5


def test_a_plan_pays_for_seconds_and_penalties_of_every_call(stated: GraphRouter) -> None:
    prompt, weights = PROMPTS[1], {"usd_per_effect": 0.05}
    usual = stated.plan(prompt, policy=gr.Policy(**weights))
    dear = stated.plan(prompt, policy=gr.Policy(**weights, penalties={"energy_wh": 0.2}))
    assert usual.value > dear.value
    assert len(dear.options) <= len(usual.options)
    waiting = gr.Policy(**weights, usd_per_second=0.0001)
    assert usual.value > stated.plan(prompt, policy=waiting).value > 0
    assert usual.first is not None
    slow = stated.plan(prompt, policy=waiting, extra_latency_s={usual.first: 1e6})
    assert slow.first != usual.first
    out = stated.plan(prompt, policy=gr.Policy(**weights), unavailable={usual.first})
    assert usual.first not in [option.model for option in out.options]
    none = stated.plan(prompt, policy=gr.Policy(**weights, penalties={"energy_wh": 0.0}))
    assert none.value == pytest.approx(usual.value)
