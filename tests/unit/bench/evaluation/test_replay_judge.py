"""Judges by words: simulated ones, and columns of outcomes that hold what a real one said."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.catalogue import CASCADES, find_baselines
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.answer_judges import RecordedJudge, SimulatedJudge
from graphrouter.bench.baselines.methods.cascades import SEQUENTIAL, Cascade, Replayable
from graphrouter.bench.baselines.methods.replays import Recorded, Replay
from graphrouter.bench.evaluation.replay_judge import choose_judge, read_judge
from graphrouter.bench.evaluation.sequential_replay import SequentialReplay
from graphrouter.bench.observations import Observations
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.router.training_view import TrainingView
from graphrouter.types import FloatArray


@pytest.fixture(scope="module")
def world() -> gr.RoutingDataset:
    return gr.simulate(num_queries=1200, num_models=5, seed=2, missing=0.1).data


@pytest.fixture(scope="module")
def router(world: gr.RoutingDataset) -> gr.GraphRouter:
    config = gr.load_config(
        overrides=["encoder.name=hashing", "encoder.dimension=64", "split.test=0.5"]
    )
    return gr.GraphRouter.fit(world, config, instant=True)


def judged(world: gr.RoutingDataset, score: FloatArray | list[float]) -> gr.RoutingDataset:
    """The world with what a judge said of its outcomes."""
    frames = {name: getattr(world, name) for name in ("queries", "models", "tasks")}
    outcomes = world.outcomes.assign(judge_score=score)
    return gr.RoutingDataset.from_frames(**frames, outcomes=outcomes, name="judged")


def grade(world: gr.RoutingDataset, auc: float, seed: int) -> FloatArray:
    """Scores in [0, 1] of a simulated judge, in another unit and order than its own."""
    ids = world.queries["query_id"].tolist()
    everything = Observations.of(world, ids).outcomes
    recorded = Recorded(
        tuple(world.queries["prompt"]), everything.effect, np.ones_like(everything.effect)
    )
    score = SimulatedJudge(seed, auc).score(recorded, world.pool.names, np.arange(5))
    return np.clip(0.5 + score[world.pair_positions] / 20, 0, 1)


def train_side(world: gr.RoutingDataset, router: gr.GraphRouter) -> Observations:
    return Observations.of(world, list(router.provenance.split.train))


def replay(
    router: gr.GraphRouter, data: gr.RoutingDataset, judge: str, trade_off: float = 0.0
) -> dict[str, Replay]:
    """What plans and all cascades reach on the test queries."""
    split = router.provenance.split
    view = TrainingView.of(data, gr.TrainConfig(seed=0), split=split, encoder=router.encoder)
    looks = choose_judge(judge, data, view.derive(LearningData.of_view).train, seed=0)
    everybody: dict[str, Replayable] = {SEQUENTIAL: SequentialReplay(router, looks)}
    for kind in find_baselines(CASCADES):
        assert issubclass(kind, Cascade)
        everybody[kind.name] = kind.fit_with(view, looks)
    seen = Observations.of(data, list(split.test))
    return {
        name: each.replay(seen.queries, seen.outcomes, trade_off=trade_off)
        for name, each in everybody.items()
    }


@pytest.mark.parametrize("trade_off", [0.0, 20.0])
def test_a_recorded_judge_brings_what_a_simulated_one_as_good_does(
    world: gr.RoutingDataset, router: gr.GraphRouter, trade_off: float
) -> None:
    simulated = replay(router, world, "auc:0.8", trade_off)
    for seed in (0, 7):
        score = grade(world, 0.8, seed)
        recorded = replay(router, judged(world, score), "column:judge_score", trade_off)
        assert {*recorded} == {SEQUENTIAL, *CASCADES}
        for name, theirs in simulated.items():
            mine, other = (
                run.effect - trade_off * run.cost_usd for run in (recorded[name], theirs)
            )
            error = (mine - other).std() / np.sqrt(len(mine))
            assert abs((mine - other).mean()) < 3 * error + 0.005, (seed, name)
            if not seed:  # the very scores in another unit: what differs was fitted
                assert (mine == other).mean() > 0.75, name


def test_it_is_fitted_on_training_answers_alone(
    world: gr.RoutingDataset, router: gr.GraphRouter
) -> None:
    score, seen = grade(world, 0.9, seed=1), train_side(world, router)
    is_train = world.outcomes["query_id"].isin(router.provenance.split.train).to_numpy(dtype=bool)
    others = np.where(is_train, score, 1 - score)  # it misleads on all other rows
    fitted = [
        choose_judge("column:judge_score", judged(world, each), seen) for each in (score, others)
    ]
    assert all(isinstance(each, RecordedJudge) for each in fitted)
    assert fitted[0].reliability == fitted[1].reliability
    known = score[is_train], world.outcomes["effect"].to_numpy()[is_train]
    assert fitted[0].reliability.hit_rate == pytest.approx(gr.Judge.fit(*known).hit_rate)
    runs = [
        replay(router, judged(world, each), "column:judge_score", 20.0) for each in (score, others)
    ]
    for name, right in runs[0].items():
        worth, misled = ((run.effect - 20 * run.cost_usd).mean() for run in (right, runs[1][name]))
        assert misled < worth - 0.01, name


def test_answers_without_a_score_are_called_and_tell_nothing(
    world: gr.RoutingDataset, router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    score = grade(world, 0.9, seed=1)
    is_test = world.outcomes["query_id"].isin(router.provenance.split.test).to_numpy(dtype=bool)
    silent = replay(router, judged(world, np.where(is_test, np.nan, score)), "column:judge_score")
    num = f"{int(is_test.sum())} of {len(score):,} outcomes"
    assert f"Without judge_score: {num}. Such an answer counts as one whose score" in caplog.text
    # Nothing is ever seen of the answers: the best that was called is the best that was expected.
    full = replay(router, judged(world, score), "column:judge_score")
    alone = replay(router, world, "auc:0.5")
    for name in (SEQUENTIAL, "cascade_routing"):
        mine, theirs, best = (each[name].effect for each in (silent, alone, full))
        assert mine.mean() == pytest.approx(theirs.mean(), abs=0.02)
        assert best.mean() > mine.mean() + 0.03
    assert all(each.answered.all() for each in silent.values())


def test_no_artifact_carries_the_scores_along(world: gr.RoutingDataset) -> None:
    world = world.select_queries(world.queries["query_id"].tolist()[:200])
    data = judged(world, grade(world, 0.8, seed=0))
    assert data.fingerprint == world.fingerprint  # so it is the data that the router learned from
    config = gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
    again = gr.GraphRouter.fit(data, config, instant=True)
    plain = gr.GraphRouter.fit(world, config, instant=True)
    assert "judge_score" not in again.support.outcomes.columns
    prompts = world.queries["prompt"].tolist()[:20]
    assert np.array_equal(again.predict(prompts).effect, plain.predict(prompts).effect)


def test_other_data_have_no_training_answers_to_learn_from(
    world: gr.RoutingDataset, router: gr.GraphRouter
) -> None:
    fresh = world.select_queries(router.provenance.split.test)
    score = grade(world, 0.8, seed=0)
    test = world.outcomes["query_id"].isin(router.provenance.split.test).to_numpy(dtype=bool)
    with pytest.raises(DataError, match=r"graded 0 training answers .* at least 20"):
        router.evaluate(judged(fresh, score[test]), judge="column:judge_score", num_draws=20)
    # Data that have the training queries too will do, though they are not those of the training.
    kept = [*router.provenance.split.train, *router.provenance.split.test[:60]]
    wider = world.select_queries(kept)
    joined = wider.outcomes.merge(
        world.outcomes.assign(judge_score=score)[["query_id", "model", "judge_score"]]
    )
    data = judged(wider, joined["judge_score"].to_numpy())
    found = router.evaluate(data, baselines=[], judge="column:judge_score", num_draws=20)
    assert SEQUENTIAL in found.settings["task_known"].routers


def test_copies_of_a_prompt_that_were_graded_otherwise_are_told(
    world: gr.RoutingDataset, router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    queries = world.queries.copy()
    queries.loc[1, "prompt"] = queries.loc[0, "prompt"]
    frames = {"queries": queries, "models": world.models, "tasks": world.tasks}
    outcomes = world.outcomes.assign(judge_score=grade(world, 0.8, seed=0))
    data = gr.RoutingDataset.from_frames(**frames, outcomes=outcomes)
    choose_judge("column:judge_score", data, train_side(world, router))
    assert "1 prompt stands in several queries, with different values of judge_score" in caplog.text


def test_words_name_judges() -> None:
    assert read_judge("column: judge_score ").column == "judge_score"
    assert read_judge("column:a:b").column == "a:b"
    assert (read_judge("auc:0.5").auc, read_judge("exact").auc) == (0.5, 1.0)


@pytest.mark.parametrize(
    "text", ["auc:0.2", "auc:", "good", "auc:1.5", "0.8", "column:", "column", "exact:1", 0.8, None]
)
def test_what_is_no_judge_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected exact, auc:X .* or column:NAME"):
        read_judge(text)


def test_a_column_that_is_none_is_refused(world: gr.RoutingDataset, router: gr.GraphRouter) -> None:
    score, seen = grade(world, 0.8, seed=0), train_side(world, router)
    data = judged(world, score)
    for name, said in (
        ("judge_scor", "not among them; .* Did you mean 'judge_score'"),
        ("nothing", "There is judge_score"),
        ("effect", "which is no judge"),
    ):
        with pytest.raises(DataError, match=said):
            choose_judge(f"column:{name}", data, seen)
    with pytest.raises(DataError, match="not among them; .* There is none"):
        choose_judge("column:judge_score", world, seen)
    for value in (1.2, -0.1, np.inf):
        wrong = np.where(np.arange(len(score)) == 3, value, score)
        with pytest.raises(DataError, match=r"out of range in 1 outcome; expected .* from 0"):
            choose_judge("column:judge_score", judged(world, wrong), seen)
