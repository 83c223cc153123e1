"""Models that join each baseline: alone by their cards, and with all outcomes almost as if fitted
with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES, LearningData
from graphrouter.bench.baselines.methods.avengers import Avengers
from graphrouter.bench.baselines.methods.constants import Cheapest, LargestPrice
from graphrouter.bench.baselines.methods.means import BestSingle, RaschRouter
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.bench.baselines.methods.uniroute import UniRouteKMeans
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import NotApplicableError

ENCODER = HashingEncoder(64)
CLOSE = {
    **{
        "best_single": 0.01,
        "task_mean": 0.03,
        "modem": 0.03,
        "composition_of_experts": 0.03,
        "rasch": 0.04,
    },
    **{
        "uniroute_kmeans": 0.05,
        "uniroute_map": 0.05,
        "avengers_pro": 0.06,
        "linear": 0.06,
        "carrot_linear": 0.06,
        "gbt": 0.07,
    },
    **{
        "knn": 0.1,
        "carrot_knn": 0.1,
        "irt_2pl": 0.1,
        "mirt": 0.1,
        "llm_bandit": 0.13,
        "model_sat": 0.1,
        "tag_router": 0.1,
    },
    "mix_llm": 0.13,
}
"""Largest mean difference between joining with all training outcomes and being fitted with them. In
the last two lines the shared part of the method, such as a network or the settings chosen, comes
out different when it is fitted on more models."""


@dataclass(frozen=True)
class World:
    """Eight models, two of which are still to come."""

    without: LearningData
    whole: LearningData
    cards: tuple[gr.ModelCard, ...]
    outcomes: pd.DataFrame
    """All training outcomes of the two, with prompts and tasks."""
    prompts: list[str]
    tasks: list[str | None]


@pytest.fixture(scope="module")
def world() -> World:
    data = gr.simulate(num_queries=300, num_models=8, seed=1, missing=0.3).data
    ids = data.queries["query_id"].tolist()
    queries = data.queries.set_index("query_id")
    train, held, test = ids[:240], ids[240:270], queries.loc[ids[270:]]
    newcomers = data.pool.names[-2:]
    rows = data.outcomes["model"].isin(newcomers) & data.outcomes["query_id"].isin(train)
    outcomes = data.outcomes[rows].merge(
        queries[["prompt", "task"]], left_on="query_id", right_index=True
    )
    few = data.select_models(data.pool.names[:-2])
    return World(
        LearningData.of(few, train, encoder=ENCODER, validation_ids=held),
        LearningData.of(data, train, encoder=ENCODER, validation_ids=held),
        tuple(data.pool[name] for name in newcomers),
        outcomes.drop(columns="query_id"),
        test["prompt"].tolist(),
        test["task"].tolist(),
    )


@pytest.mark.parametrize("name", CLOSE)
def test_joining_with_all_outcomes_is_almost_being_fitted_with_them(
    name: str, world: World
) -> None:
    router = BASELINES[name].learn(world.without)
    blind, informed = (
        router.add_models(world.cards),
        router.add_models(world.cards, outcomes=world.outcomes),
    )
    refitted = BASELINES[name].learn(world.whole)
    known, guess, truth = (
        each.predict(world.prompts, tasks=world.tasks) for each in (informed, blind, refitted)
    )
    gap, blind_gap = (np.abs(each.effect - truth.effect)[:, -2:].mean() for each in (known, guess))
    assert gap < CLOSE[name]
    assert gap < 0.6 * blind_gap
    cost_gap, blind_cost_gap = (
        np.abs(np.log(each.cost_usd / truth.cost_usd))[:, -2:].mean() for each in (known, guess)
    )
    assert cost_gap < 0.35
    assert blind_cost_gap < 1.0, "by list price within a factor of three"


def test_the_list_is_complete() -> None:
    able = {name for name, kind in BASELINES.items() if kind.can_extend}
    places = {"random", "cheapest", "largest_price"}
    # Trained to name one best model of a pool, they come out differently with a larger one. What
    # joins them is held against the very network that it joins: see methods/test_paper.py.
    published = {"graphrouter_paper", "graphrouter_paper_ties"}
    assert able == {*CLOSE, *places, *published}


def test_best_single_by_hand(world: World) -> None:
    router = BestSingle.learn(world.without)
    wider = router.add_model(
        gr.ModelCard(model="new"),
        outcomes=pd.DataFrame({"prompt": ["x", "y"], "effect": [1.0, 1.0]}),
    )
    assert wider.table.effect[0, -1] == pytest.approx((2 + 5 * router.table.effect.mean()) / 7)


def test_rasch_by_hand(world: World) -> None:
    """The pull of the prior equals what outcomes leave beyond expectation; a task of no name counts
    as the average."""
    router = RaschRouter.learn(world.without)
    task = router.tasks[0]
    outcomes = pd.DataFrame(
        {"prompt": ["x", "y", "z"], "task": [task, task, "never seen"], "effect": [1.0, 1.0, 0.0]}
    )
    wider = router.add_model(gr.ModelCard(model="new"), outcomes=outcomes)
    first, no_task = wider.table.effect[0, -1], 1 / (1 + np.exp(-router.easiness[-1]))
    ability = np.log(first / (1 - first)) - router.easiness[0]
    beyond = 2 * (1 - first) - 1 / (1 + np.exp(-np.log(no_task / (1 - no_task)) - ability))
    assert beyond == pytest.approx(ability, abs=1e-9)


def test_neighbours_of_its_own_tell_a_newcomers_strengths(world: World) -> None:
    """It solves sums and fails at poems; nearby outcomes say so on unseen prompts, and twins of
    both sides agree."""
    sums, poems = (
        [f"add the numbers {i} and {i + 1}" for i in range(40)],
        [f"a rhyming verse about sea {i}" for i in range(40)],
    )
    outcomes = pd.DataFrame({"prompt": [*sums, *poems], "effect": [1.0] * 40 + [0.0] * 40})
    router = NearestNeighbours.learn(world.without)
    wider = router.add_model(gr.ModelCard(model="new"), outcomes=outcomes)
    good, bad = wider.predict(["add the numbers 77 and 78", "a rhyming verse about sea 99"]).effect[
        :, -1
    ]
    assert good > bad + 0.4
    one_more = wider.add_model(gr.ModelCard(model="twin"), outcomes=outcomes)
    effect = one_more.predict(world.prompts).effect
    np.testing.assert_allclose(effect[:, -1], effect[:, -2])


def test_a_newcomer_with_fewer_outcomes_than_neighbours_has_a_level_alone(world: World) -> None:
    router = NearestNeighbours.learn(world.without)
    few = world.outcomes[world.outcomes["model"] == world.cards[0].model].head(3)
    assert router.k >= 3
    wider = router.add_model(world.cards[0], outcomes=few)
    blind = router.add_model(world.cards[0])
    logit = [
        np.log(p / (1 - p))
        for p in (each.predict(world.prompts).effect[:, -1] for each in (wider, blind))
    ]
    np.testing.assert_allclose(np.ptp(logit[0] - logit[1]), 0.0, atol=1e-9)
    assert abs((logit[0] - logit[1])[0]) > 0.01


def test_clusters_keep_what_the_pool_knows_of_them(world: World) -> None:
    """One outcome in one cluster says little: the other clusters stay as hard as they are for the
    pool."""
    router = UniRouteKMeans.learn(world.without)
    wider = router.add_model(
        world.cards[0],
        outcomes=world.outcomes[world.outcomes["model"] == world.cards[0].model].head(1),
    )
    assert np.corrcoef(wider.errors[:, -1], router.errors.mean(axis=1))[0, 1] > 0.9


@pytest.mark.parametrize("kind", [Cheapest, LargestPrice])
def test_a_price_finds_its_place(kind: type[Cheapest], world: World) -> None:
    router = kind.learn(world.without)
    cheap, dear = (
        gr.ModelCard(model=n, input_usd_per_mtok=p, output_usd_per_mtok=p)
        for n, p in (("x", 1e-4), ("y", 1e4))
    )
    wider = router.add_models([cheap, dear, gr.ModelCard(model="z")])
    top = wider.route("anything", policy=gr.Policy.preset("performance_first")).model
    assert top == ("x" if kind is Cheapest else "y")
    assert wider.order[-1] == 0, "nobody knows what it costs"
    paid = pd.DataFrame({"prompt": [f"p{i}" for i in range(200)], "effect": 1.0, "cost_usd": 1e9})
    assert router.add_model(cheap, outcomes=paid).order[-1] == (
        0 if kind is Cheapest else len(router.pool)
    )


def test_a_method_without_a_rule_says_so(world: World) -> None:
    with pytest.raises(
        NotApplicableError, match="avengers cannot take in a model without being fitted again"
    ):
        Avengers.learn(world.without).add_models(world.cards)
