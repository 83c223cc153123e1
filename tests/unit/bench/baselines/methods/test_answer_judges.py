"""Judges whose scores were recorded, and that they stand in the place of simulated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.answer_judges import (
    FEWEST_ANSWERS,
    NEUTRAL,
    AnswerJudge,
    PairTable,
    RecordedJudge,
    SimulatedJudge,
)
from graphrouter.bench.baselines.methods.cascade_methods import (
    AutoMix,
    FrugalGPT,
    RouterBenchCascade,
)
from graphrouter.bench.baselines.methods.cascade_routing import CascadeRouting
from graphrouter.bench.baselines.methods.cascades import Cascade
from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import DataError
from graphrouter.types import FloatArray

CASCADES = (FrugalGPT, AutoMix, RouterBenchCascade, CascadeRouting)


@pytest.fixture(scope="module")
def learning() -> LearningData:
    data = gr.simulate(num_queries=2000, num_models=5, seed=4, missing=0.2).data
    ids = data.queries["query_id"].tolist()
    return LearningData.of(data, ids[:1500], encoder=HashingEncoder(64), validation_ids=ids[1500:])


@pytest.fixture(scope="module")
def recorded(learning: LearningData) -> Recorded:
    return Recorded.of(learning.pool, learning.train.prompts, learning.outcomes)


def simulate(learning: LearningData, auc: float) -> FloatArray:
    """Scores of a simulated judge for training and validation answers."""
    rows = (learning.train, learning.validation)
    everybody = np.arange(len(learning.pool))
    return np.concatenate(
        [
            SimulatedJudge(0, auc).score(
                Recorded.of(learning.pool, each.prompts, each.outcomes),
                learning.pool.names,
                everybody,
            )
            for each in rows
            if each is not None
        ]
    )


def record(learning: LearningData, said: FloatArray) -> RecordedJudge:
    rows = (learning.train, learning.validation)
    prompts = [prompt for each in rows if each is not None for prompt in each.prompts]
    return RecordedJudge.fit(PairTable.of(prompts, learning.pool.names, said), learning.train)


def score(judge: AnswerJudge, learning: LearningData, recorded: Recorded) -> FloatArray:
    return judge.score(recorded, learning.pool.names, np.arange(len(learning.pool)))


def test_a_recorded_score_is_brought_on_the_scale_of_simulated_ones(
    learning: LearningData, recorded: Recorded
) -> None:
    said = simulate(learning, 0.8)
    judge = record(learning, 0.5 + said / 20)  # in other units
    found, expected = score(judge, learning, recorded), said[: len(recorded.prompts)]
    there = np.isfinite(expected)
    assert np.array_equal(np.isfinite(found), there)
    assert found[there] == pytest.approx(expected[there], abs=0.25)
    assert np.corrcoef(found[there], expected[there])[0, 1] > 1 - 1e-9
    right, wrong = recorded.effect[there] == 1, recorded.effect[there] == 0
    assert found[there][right].mean() - found[there][wrong].mean() == pytest.approx(1, abs=0.15)
    simulated = SimulatedJudge(0, 0.8)
    chance = np.full_like(found, 0.3)
    for mine, theirs in (
        (
            judge.weigh(chance, found, recorded.effect),
            simulated.weigh(chance, expected, recorded.effect),
        ),
    ):
        assert mine[there] == pytest.approx(theirs[there], abs=0.05)
    assert judge.reliability.hit_rate == pytest.approx(simulated.reliability.hit_rate, abs=0.1)


def test_grades_are_those_of_the_fitted_judge(learning: LearningData, recorded: Recorded) -> None:
    said = np.clip(0.5 + simulate(learning, 0.8) / 20, 0, 1)
    judge = record(learning, said)
    found = score(judge, learning, recorded)
    rows, columns = (at[:50] for at in np.nonzero(np.isfinite(found)))
    grades = np.array(judge.grade(found[rows, columns])).T
    for grade, value in zip(grades, said[rows, columns], strict=True):
        read = judge.fitted.read(float(value))
        assert grade == pytest.approx([read.effect, read.hit_rate, read.false_alarm_rate])


def test_a_judge_that_passes_or_fails_is_read_by_its_rates(
    learning: LearningData, recorded: Recorded
) -> None:
    said = np.where(np.isfinite(simulate(learning, 1)), simulate(learning, 0.85) > 0.5, np.nan)
    judge = record(learning, said)
    assert judge.fitted.slope is None
    found = score(judge, learning, recorded)
    there = np.isfinite(found)
    assert len(np.unique(found[there])) == 2
    chance = judge.weigh(np.full_like(found, 0.3), found, recorded.effect)
    for value in (0.0, 1.0):
        which = there & (said[: len(found)] == value)
        assert chance[which] == pytest.approx(judge.fitted.read(value).believe(0.3))
        assert ((found[which] > NEUTRAL) == bool(value)).all()


def test_an_answer_without_a_score_tells_nothing(
    learning: LearningData, recorded: Recorded
) -> None:
    said = simulate(learning, 0.8)
    said[::2, 0] = np.nan
    judge = record(learning, said)
    found = score(judge, learning, recorded)
    silent = np.isnan(said[: len(found), 0]) & np.isfinite(recorded.effect[:, 0])
    assert silent.any()
    assert (found[silent, 0] == NEUTRAL).all()  # the model can be called all the same
    assert np.isnan(found[np.isnan(recorded.effect)]).all()
    chance = judge.weigh(np.full_like(found, 0.3), found, recorded.effect)
    assert chance[silent, 0] == pytest.approx(0.3)
    assert [each.tolist() for each in judge.grade(np.array([NEUTRAL]))] == [[1.0], [1.0], [1.0]]


def test_a_judge_that_scores_right_answers_lower_is_turned_round(
    learning: LearningData, recorded: Recorded
) -> None:
    said = simulate(learning, 0.8)
    straight, turned = (record(learning, sign * said / 20 + 0.5) for sign in (1, -1))
    found = score(straight, learning, recorded)
    assert score(turned, learning, recorded) == pytest.approx(found, nan_ok=True)


def test_what_tells_nothing_of_any_answer_leaves_what_was_expected(
    learning: LearningData, recorded: Recorded
) -> None:
    known = np.isfinite(simulate(learning, 1))
    said = np.where(known, (np.arange(known.size).reshape(known.shape) * 37 % 101) / 101, np.nan)
    judge = record(learning, said)
    found = score(judge, learning, recorded)
    chance = judge.weigh(np.full_like(found, 0.3), found, recorded.effect)
    assert np.nanmax(np.abs(chance - 0.3)) < 0.1
    assert abs(judge.reliability.hit_rate - judge.reliability.false_alarm_rate) < 0.1


@pytest.mark.parametrize("kind", CASCADES)
@pytest.mark.parametrize("trade_off", [0.0, 30.0])
def test_cascades_do_with_recorded_scores_what_they_do_with_simulated_ones(
    learning: LearningData, recorded: Recorded, kind: type[Cascade], trade_off: float
) -> None:
    judge = record(learning, 0.5 + simulate(learning, 0.8) / 20)
    mine = kind.learn_with(learning, judge).call(recorded, trade_off)
    theirs = kind.learn_with(learning, SimulatedJudge(0, 0.8)).call(recorded, trade_off)
    assert np.array_equal(mine.answered, theirs.answered)
    worth, other = (run.effect - trade_off * run.cost_usd for run in (mine, theirs))
    error = (worth - other).std() / np.sqrt(len(worth))
    assert abs(worth.mean() - other.mean()) < 2.5 * error + 0.005


@pytest.mark.parametrize("kind", CASCADES)
def test_a_cascade_with_recorded_scores_is_saved_with_them(
    learning: LearningData, recorded: Recorded, kind: type[Cascade], tmp_path: Path
) -> None:
    cascade = kind.learn_with(learning, record(learning, simulate(learning, 0.9)))
    cascade.save(tmp_path / "kept")
    again = kind.load(tmp_path / "kept", encoder=learning.encoder)
    for before, after in zip(cascade.call(recorded, 5.0), again.call(recorded, 5.0), strict=True):
        np.testing.assert_array_equal(after, before)
    text = b"".join(file.read_bytes() for file in (tmp_path / "kept").rglob("*") if file.is_file())
    assert learning.train.prompts[0].encode() not in text


def test_a_table_gives_every_pair_its_own_number() -> None:
    table = PairTable.of(["b", "a", "b"], ("m", "n"), np.array([[0.0, np.nan], [1, 0.5], [0.5, 1]]))
    assert table.look_up(["a", "b"], ["n", "m"]).tolist() == [[0.5, 1.0], [1.0, 0.25]]
    assert np.isnan(table.look_up(["c", "a"], ["m", "other"])[[0, 0, 1], [0, 1, 1]]).all()
    assert table.look_up([], ["m"]).shape == (0, 1)


def test_what_does_not_tell_a_judge_s_worth_is_refused(learning: LearningData) -> None:
    known = np.flatnonzero(np.isfinite(learning.outcomes.effect[:, 0]))
    few = np.full((2000, 5), np.nan)
    few[known[: FEWEST_ANSWERS - 1], 0] = 0.5
    with pytest.raises(DataError, match=r"graded 19 training answers.*at least 20"):
        record(learning, few)
    with pytest.raises(DataError, match=r"says 0\.7 of all 6,011 training answers.*tells nothing"):
        record(learning, np.full((2000, 5), 0.7))
    right = np.full((2000, 5), np.nan)
    right[:1500][learning.outcomes.effect == 1] = 0.9
    with pytest.raises(DataError, match=r"training answers .* are right; expected right and wrong"):
        record(learning, right)


def test_evidence_of_a_simulated_judge_is_that_of_its_noise() -> None:
    judge = SimulatedJudge(0, 0.8)
    noise = 1 / (np.sqrt(2) * 0.8416212335729143)
    weighed = judge.weigh(np.array([0.3]), np.array([1.2]), np.array([1.0]))
    assert logit(weighed) == pytest.approx(logit(0.3) + 0.7 / noise**2)
    assert SimulatedJudge(0, 1.0).weigh(weighed, weighed, np.array([0.25])).tolist() == [0.25]
