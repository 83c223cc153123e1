"""FrugalGPT, AutoMix and RouterBench's cascade with their judges, each against a plain loop over
single queries."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.cascade_methods import (
    QUALITY_THRESHOLDS,
    AutoMix,
    FrugalGPT,
    RouterBenchCascade,
)
from graphrouter.bench.baselines.methods.cascades import find_best_point
from graphrouter.bench.baselines.methods.judges import (
    NUM_VOTES,
    simulate_errors,
    simulate_score,
    simulate_votes,
)
from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.router.shrunk_means import shrink_mean

NAMES = ("small", "large")
MANY = tuple(f"prompt {i}" for i in range(20_000))


@pytest.fixture(scope="module")
def learning() -> LearningData:
    data = gr.simulate(num_queries=300, num_models=6, seed=4, missing=0.3).data
    return LearningData.of(
        data, data.queries["query_id"].tolist(), encoder=HashingEncoder(64), seed=5
    )


@pytest.fixture(scope="module")
def recorded(learning: LearningData) -> Recorded:
    return Recorded.of(learning.pool, learning.train.prompts, learning.outcomes)


def right_and_wrong() -> Recorded:
    """`small` always right, `large` always wrong."""
    effect = np.tile([1.0, 0.0], (len(MANY), 1))
    return Recorded(MANY, effect, np.ones_like(effect))


def test_the_judges_are_as_good_as_stated() -> None:
    recorded, both = right_and_wrong(), np.array([0, 1])
    score = simulate_score(recorded, NAMES, both, seed=0)
    np.testing.assert_allclose(score.mean(axis=0), [1, 0], atol=0.03)
    np.testing.assert_allclose(score.std(axis=0), 0.85, atol=0.02)
    assert (score[:, 0] > score[:, 1]).mean() == pytest.approx(0.80, abs=0.01)

    votes = simulate_votes(recorded, NAMES, seed=0)
    shares = np.bincount(votes[:, 0], minlength=NUM_VOTES + 1) / len(MANY)
    np.testing.assert_allclose(shares, np.arange(1, 10) / 45, atol=0.012)
    assert votes[:, 0].mean() / NUM_VOTES == pytest.approx(2 / 3, abs=0.01)
    assert votes[:, 1].mean() / NUM_VOTES == pytest.approx(1 / 3, abs=0.01)
    ahead = (votes[:, 0] > votes[:, 1]).mean() + (votes[:, 0] == votes[:, 1]).mean() / 2
    assert ahead == pytest.approx(0.80, abs=0.01)

    wrong = simulate_errors(recorded, NAMES, both, error_rate=0.2, seed=0)
    np.testing.assert_allclose(wrong.mean(axis=0), 0.2, atol=0.012)


def test_the_judges_see_one_pair_at_a_time() -> None:
    recorded = Recorded(("x", "y"), np.array([[0.0, np.nan], [0.3, 1.0]]), np.ones((2, 2)))
    alone = Recorded(("y",), recorded.effect[1:], recorded.cost_usd[1:])
    score = simulate_score(recorded, NAMES, np.array([1]), seed=3)
    assert np.isnan(score[:, 0]).all()
    assert np.isnan(score[0, 1])
    assert simulate_score(alone, NAMES, np.array([1]), seed=3)[0, 1] == score[1, 1]
    votes = simulate_votes(recorded, NAMES, seed=3)
    assert votes[0, 1] == 0
    np.testing.assert_array_equal(
        simulate_votes(alone, NAMES, seed=3, columns=[1])[0], [0, votes[1, 1]]
    )


def test_a_soft_effect_is_the_chance_of_being_right() -> None:
    effect = np.full((len(MANY), 2), 0.25)
    votes = simulate_votes(Recorded(MANY, effect, np.ones_like(effect)), NAMES, seed=0)
    assert votes.mean() / NUM_VOTES == pytest.approx(0.25 * 2 / 3 + 0.75 / 3, abs=0.01)


@pytest.mark.parametrize("trade_off", [0.0, 5.0, 60.0, np.inf])
def test_frugal_gpt_query_by_query(
    learning: LearningData, recorded: Recorded, trade_off: float
) -> None:
    router = FrugalGPT.learn(learning)
    run = router.call(recorded, trade_off)
    point = find_best_point(router.effect, router.cost_usd, trade_off)
    score = simulate_score(recorded, router.models, np.arange(len(router.models)), seed=router.seed)
    for i in range(len(recorded.prompts)):
        cost, effect, num_calls = 0.0, 0.0, 0
        for model, limit in zip(
            router.chains[point], [*router.thresholds[point], np.nan], strict=True
        ):
            if model < 0 or np.isnan(recorded.effect[i, model]):
                continue
            cost, effect = cost + recorded.cost_usd[i, model], recorded.effect[i, model]
            num_calls += 1
            if score[i, model] >= limit:
                break
        assert (run.cost_usd[i], run.effect[i]) == (pytest.approx(cost), effect)
        assert run.num_calls[i] == num_calls
    rows = np.isfinite(recorded.effect[:, router.chains[point][router.chains[point] >= 0]]).all(
        axis=1
    )
    assert router.cost_usd[point] == pytest.approx(run.cost_usd[rows].mean())
    shrunk = shrink_mean(run.effect[rows].sum(), rows.sum(), learning.means.effect.mean())
    assert router.effect[point] == pytest.approx(float(shrunk))


def test_frugal_gpt_chains_go_from_cheap_to_dear(learning: LearningData) -> None:
    router = FrugalGPT.learn(learning)
    cost = learning.means.cost_usd[0]
    lengths = (router.chains >= 0).sum(axis=1)
    assert set(lengths.tolist()) == {1, 2, 3}
    for chain, limits, length in zip(router.chains, router.thresholds, lengths, strict=True):
        assert (np.diff(cost[chain[:length]]) >= 0).all()
        assert np.isfinite(limits).sum() == length - 1


def test_auto_mix_weighs_each_number_of_votes(learning: LearningData) -> None:
    """Kept answers are worth v / 8 with v votes, asking is worth 0.6 - 0.1 * trade-off."""
    pair = dataclasses.replace(
        AutoMix.learn(learning),
        small=np.array([0]),
        large=np.array([1]),
        share=np.full((1, 9), 1 / 9),
        kept_effect=np.arange(9)[None] / 8,
        asked_effect=np.full((1, 9), 0.6),
        asked_usd=np.full((1, 9), 0.1),
        small_usd=np.array([0.02]),
    )
    effect = np.full((500, len(learning.pool)), np.nan)
    effect[:, 0], effect[:, 1] = np.arange(500) % 2, 0.7
    recorded = Recorded(
        MANY[:500], effect, np.where(np.isnan(effect), np.nan, [0.01, 0.1, 9, 9, 9, 9])
    )
    votes = simulate_votes(recorded, pair.models, seed=pair.seed)[:, 0]
    for trade_off, most_votes in ((0.0, 4), (2.0, 3), (5.0, 0), (np.inf, -1)):
        run = pair.call(recorded, trade_off)
        asked = votes <= most_votes
        np.testing.assert_allclose(run.cost_usd, 0.02 + 0.1 * asked)
        np.testing.assert_allclose(run.effect, np.where(asked, 0.7, effect[:, 0]))
        np.testing.assert_array_equal(run.num_calls, 2 + asked)  # the answer is verified
        judged = dataclasses.replace(pair, judge_auc=0.8).call(recorded, trade_off)
        assert set(judged.num_calls.tolist()) <= {1, 2}


def test_auto_mix_counts_votes_in_training(learning: LearningData, recorded: Recorded) -> None:
    router = AutoMix.learn(learning)
    lone = router.large < 0
    assert lone.any()
    assert (~lone).any()
    np.testing.assert_allclose(router.share.sum(axis=1), 1)
    votes = simulate_votes(recorded, router.models, seed=router.seed)
    i = int(np.flatnonzero(~lone)[0])
    small, large = router.small[i], router.large[i]
    rows = np.isfinite(recorded.effect[:, [small, large]]).all(axis=1)
    in_bin = rows & (votes[:, small] == 8)
    assert router.share[i, 8] == pytest.approx(in_bin.sum() / rows.sum())
    prior = learning.means.effect[0, large]
    assert router.asked_effect[i, 8] == pytest.approx(
        (recorded.effect[in_bin, large].sum() + 5 * prior) / (in_bin.sum() + 5)
    )
    assert router.small_usd[i] == pytest.approx(
        2 * recorded.cost_usd[rows, small].mean()
    )  # answer and verification


def test_auto_mix_keeps_more_of_a_surer_verifier(learning: LearningData) -> None:
    router = AutoMix.learn(learning)
    pairs = router.large >= 0
    assert (router.kept_effect[pairs, 8] > router.kept_effect[pairs, 0]).mean() > 0.9


@pytest.mark.parametrize("trade_off", [0.0, 20.0, 300.0, np.inf])
def test_routerbench_cascade_query_by_query(
    learning: LearningData, recorded: Recorded, trade_off: float
) -> None:
    router = RouterBenchCascade.learn(learning)
    assert router.chain.tolist() == np.argsort(learning.means.cost_usd[0]).tolist()
    run = router.call(recorded, trade_off)
    point = find_best_point(router.effect.ravel(), router.cost_usd.ravel(), trade_off)
    threshold, last = divmod(point, router.effect.shape[1])
    chain = router.chain[: last + 1]
    wrong = simulate_errors(recorded, router.models, chain, error_rate=0.2, seed=router.seed)
    for i in range(len(recorded.prompts)):
        cost, effect = 0.0, 0.0
        for position, model in enumerate(chain):
            if np.isnan(recorded.effect[i, model]):
                continue
            cost, effect = cost + recorded.cost_usd[i, model], recorded.effect[i, model]
            if (effect >= QUALITY_THRESHOLDS[threshold]) != wrong[i, position]:
                break
        assert (run.cost_usd[i], run.effect[i]) == (pytest.approx(cost), effect)
    assert router.cost_usd[threshold, last] == pytest.approx(run.cost_usd[run.answered].mean())


def test_routerbench_cascade_with_a_perfect_judge_misses_no_right_answer(
    learning: LearningData, recorded: Recorded
) -> None:
    router = dataclasses.replace(RouterBenchCascade.learn(learning), error_rate=0.0)
    longest = np.zeros_like(router.effect)
    longest[0, -1] = 1.0
    run = dataclasses.replace(router, effect=longest).call(recorded, 0.0)
    best = np.where(
        np.isfinite(recorded.effect).any(axis=1), np.nan_to_num(recorded.effect).max(axis=1), 0.0
    )
    np.testing.assert_array_equal(run.effect, best)
