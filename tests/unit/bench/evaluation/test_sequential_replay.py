"""Plans replayed on recorded outcomes, beside cascades with the same judge."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.methods.answer_judges import SimulatedJudge
from graphrouter.bench.baselines.methods.judges import SCORE_NOISE, find_noise, simulate_score
from graphrouter.bench.evaluation.sequential_replay import SequentialReplay
from graphrouter.bench.observations import Observations
from graphrouter.exceptions import ConfigError

NAME = "graphrouter_sequential"


@pytest.fixture(scope="module")
def world() -> gr.RoutingDataset:
    return gr.simulate(num_queries=800, num_models=5, seed=2, missing=0).data


@pytest.fixture(scope="module")
def router(world: gr.RoutingDataset) -> gr.GraphRouter:
    config = gr.load_config(
        overrides=["encoder.name=hashing", "encoder.dimension=64", "split.test=0.5"]
    )
    return gr.GraphRouter.fit(world, config, instant=True)


@pytest.fixture(scope="module")
def seen(world: gr.RoutingDataset, router: gr.GraphRouter) -> Observations:
    return Observations.of(world, list(router.provenance.split.test))


def test_a_judge_that_tells_nothing_leaves_the_single_choice(
    router: gr.GraphRouter, seen: Observations
) -> None:
    replay = SequentialReplay(router, SimulatedJudge(0, 0.5))
    expected = router.predict(seen.queries)
    for trade_off in (0.0, 50.0):
        ran = replay.replay(seen.queries, seen.outcomes, trade_off=trade_off)
        chosen = np.argmax(expected.effect - trade_off * expected.cost_usd, axis=1)
        rows = np.arange(len(chosen))
        columns = [seen.outcomes.models.index(model) for model in router.models]
        effect = seen.outcomes.effect[:, columns]
        assert np.array_equal(ran.effect, effect[rows, chosen])
        assert (ran.num_calls == 1).all()


def test_a_better_judge_brings_more(router: gr.GraphRouter, seen: Observations) -> None:
    runs = [
        SequentialReplay(router, SimulatedJudge(0, auc)).replay(
            seen.queries, seen.outcomes, trade_off=0.0
        )
        for auc in (0.5, 0.8, 1.0)
    ]
    reached = [ran.effect.mean() for ran in runs]
    assert reached[0] < reached[1] < reached[2]
    assert all(1 <= ran.num_calls.min() <= ran.num_calls.max() <= 5 for ran in runs)
    assert runs[1].num_calls.mean() > 1.2
    best = np.nanmax(seen.outcomes.effect, axis=1).mean()
    assert reached[2] == pytest.approx(best, abs=0.02)  # an exact judge and all may be asked


def test_only_cost_takes_the_cheapest(router: gr.GraphRouter, seen: Observations) -> None:
    ran = SequentialReplay(router, SimulatedJudge(0, 0.8)).replay(
        seen.queries, seen.outcomes, trade_off=np.inf
    )
    cheapest = np.argmin(router.predict(seen.queries).cost_usd, axis=1)
    columns = [seen.outcomes.models.index(model) for model in router.models]
    cost = seen.outcomes.cost_usd[:, columns][np.arange(len(cheapest)), cheapest]
    assert ran.cost_usd == pytest.approx(cost)


def test_what_was_not_recorded_is_not_called(router: gr.GraphRouter, seen: Observations) -> None:
    effect = seen.outcomes.effect.copy()
    effect[:, 1:] = np.nan
    effect[0] = np.nan
    from dataclasses import replace

    sparse = replace(seen.outcomes, effect=effect)
    ran = SequentialReplay(router, SimulatedJudge(0, 1.0)).replay(
        seen.queries, sparse, trade_off=0.0
    )
    assert not ran.answered[0]
    assert ran.answered[1:].all()
    assert np.array_equal(ran.effect[1:], effect[1:, 0])
    assert ran.cost_usd[0] == 0
    assert ran.num_calls.tolist() == [0, *[1] * (len(effect) - 1)]


def test_evaluations_put_it_beside_cascades_with_the_same_judge(
    world: gr.RoutingDataset, router: gr.GraphRouter
) -> None:
    found = router.evaluate(world, baselines=["frugal_gpt"], judge="exact", num_draws=20)
    figures = found.settings["task_known"].routers
    assert {NAME, "frugal_gpt", "auto_mix", "routerbench_cascade", "cascade_routing"} <= set(
        figures
    )
    reward = {name: each["reward_performance_first"].value for name, each in figures.items()}
    assert reward[NAME] > reward["graphrouter"]
    assert reward[NAME] <= reward["oracle"] + 1e-9
    without = router.evaluate(world, baselines=["rasch"], num_draws=20)
    assert NAME not in without.settings["task_known"].routers


def test_scores_have_the_area_that_was_asked_for() -> None:
    from graphrouter.bench.baselines.methods.replays import Recorded

    effect = np.repeat([[1.0], [0.0]], 3000, axis=0)
    prompts = tuple(f"prompt {i}" for i in range(6000))
    for auc in (0.6, 0.8, 0.95):
        score = simulate_score(
            Recorded(prompts, effect, np.ones_like(effect)), ("m",), np.array([0]), seed=0, auc=auc
        )[:, 0]
        right, wrong = score[:3000], score[3000:]
        measured = (right[:, None] > wrong[None, ::10]).mean()
        assert measured == pytest.approx(auc, abs=0.02)
    assert find_noise(0.5) == np.inf
    assert find_noise(None) == SCORE_NOISE
    with pytest.raises(ConfigError, match="AUC of a judge is 0"):
        find_noise(0)
