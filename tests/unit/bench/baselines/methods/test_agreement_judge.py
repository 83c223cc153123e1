"""Agreement of answers that were called, by hand and on a world whose answers are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.methods.agreement_judge import (
    AgreementJudge,
    agree_with_earlier,
    number_answers,
)
from graphrouter.bench.baselines.methods.answer_judges import PairTable
from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.bench.evaluation.replay_judge import choose_judge, read_judge
from graphrouter.bench.observations import Observations
from graphrouter.exceptions import ConfigError, DataError, NotApplicableError
from graphrouter.grades import Judge

NAN = float("nan")
MODELS = ("cheap", "middle", "dear")


def make(num_queries: int = 240, *, answers: bool = True, seed: int = 0) -> gr.RoutingDataset:
    """A right answer is the number of the query; wrong ones are drawn from many."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(num_queries):
        for place, model in enumerate(MODELS):
            right = rng.random() < 0.6 + 0.1 * place
            said = f"It is {i if right else 1000 + rng.integers(50)}."
            rows.append((f"q{i}", model, float(right), 0.01 * 4**place, said))
    columns = ["query_id", "model", "effect", "cost_usd", "answer"]
    outcomes = pd.DataFrame(rows, columns=columns)
    return gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": [f"q{i}" for i in range(num_queries)],
                "task": None,
                "prompt": [f"Which number is {i}?" for i in range(num_queries)],
            }
        ),
        models=pd.DataFrame({"model": MODELS}),
        outcomes=outcomes if answers else outcomes.drop(columns="answer"),
    )


def test_an_answer_is_held_against_those_called_before_it() -> None:
    """Nothing is told of the first; what was not called is not looked at."""
    codes = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, NAN]])
    judge = AgreementJudge(Judge(0.8, 0.2), PairTable.of(["a", "b"], MODELS, codes))
    recorded = Recorded(("a", "b"), np.ones((2, 3)), np.ones((2, 3)))
    look = judge.start(recorded, MODELS)
    effect, hit, false = look(np.array([0, 1]), np.array([2, 0]))
    np.testing.assert_allclose(hit, false)  # of the first answers nothing is told
    effect, hit, false = look(np.array([0, 1]), np.array([0, 1]))
    assert effect.tolist() == [1.0, 1.0]
    assert (hit > false).all()
    effect, hit, false = look(np.array([0, 1]), np.array([1, 2]))
    assert (effect[0], hit[1]) == (0.0, false[1])  # differs from both; says nothing
    again = judge.start(recorded, MODELS)(np.array([0]), np.array([1]))
    np.testing.assert_allclose(again[1], again[2])  # a replay forgets the one before


def test_shares_by_hand() -> None:
    codes = number_answers([["4", "four", "4", None, "4"]], lambda text: text)
    assert codes[0, :3].tolist() == [0.0, 1.0, 0.0]
    found = agree_with_earlier(codes)[0]
    np.testing.assert_allclose(found, [NAN, 0.0, 0.5, NAN, 2 / 3])


def test_agreement_is_believed_as_far_as_training_answers_show() -> None:
    data = make()
    ids = data.queries["query_id"].tolist()
    judge = choose_judge("agreement:number", data, Observations.of(data, ids[:150]))
    assert judge.reliability.read(1.0).believe(0.5) > 0.9  # wrong answers seldom agree
    assert judge.reliability.read(0.0).believe(0.5) < 0.5


@pytest.mark.slow
def test_plans_gain_by_agreement_and_cascades_are_left_out() -> None:
    data = make(300)
    router = gr.GraphRouter.fit(data, instant=True)
    collected = collect_held_out(router, data, baselines=[], judge="agreement:number")
    assert "agreement" in collected.failed["frugal_gpt"]
    figures = collected.score(num_draws=100, seed=0).settings["task_hidden"].routers
    one, several = (figures[name] for name in ("graphrouter", "graphrouter_sequential"))
    # Three answers compared are right more often where cost does not count; two cost as much as
    # they bring, so the area is hardly larger.
    gain = {name: several[name].value - one[name].value for name in one}
    assert gain["reward_performance_first"] > 0.02
    assert gain["area_log"] > -0.005
    assert figures["graphrouter_sequential"]["mean_calls"].value > 1.5


@pytest.mark.parametrize("words", ["agreement:cosine", "agreement:", "Agreement"])
def test_another_reader_is_refused(words: str) -> None:
    if words == "agreement:":
        assert read_judge(words).agreement == "text"
        return
    with pytest.raises(ConfigError, match="agreement \\(agreement:number"):
        read_judge(words)


def test_without_answers_there_is_nothing_to_compare() -> None:
    data = make(60, answers=False)
    seen = Observations.of(data, data.queries["query_id"].tolist())
    with pytest.raises(DataError, match="have no answers.*--answers"):
        choose_judge("agreement", data, seen)
    named = make(60)
    with pytest.raises(DataError, match="expected at least 20"):
        choose_judge("agreement", named, Observations.of(named, ["q1", "q2"]))
    judge = choose_judge("agreement", named, Observations.of(named, seen.query_ids))
    with pytest.raises(NotApplicableError, match="between answers that were called"):
        judge.weigh(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(DataError, match="made a list of an answer"):
        number_answers([["4", "5"]], lambda text: [text])
