"""Credit by the grade of the end: Bayes' rule by enumeration, what it tells, and bad tables."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.grades import Judge
from graphrouter.steps import StepPlan, credit_steps, thin_credit
from graphrouter.steps.step_worth import PlanWorth
from graphrouter.types import FloatArray, Predictions, Queries

NAN = float("nan")
MODELS = ("nano", "mid", "grand")
CHANCES = np.array([0.3, 0.6, 0.8])


def expect(queries: Queries) -> Predictions:
    """Each model has one chance, whatever is asked."""
    return Predictions.from_arrays(MODELS, np.tile(CHANCES, (len(queries), 1)))


def make_run(end: float, **columns: Any) -> pd.DataFrame:
    """Two steps that a third builds upon."""
    return pd.DataFrame(
        {
            "trajectory": ["run"] * 3,
            "step": ["left", "right", "end"],
            "after": ["", "", "left, right"],
            "prompt": ["a", "b", "c"],
            "model": MODELS,
            "end_effect": [end] * 3,
            **columns,
        }
    )


def enumerate_beliefs(end: float, tolerance: float, judge: Judge) -> FloatArray:
    """Chance that each step went right given the end, by all that may have happened."""
    sums, total = np.zeros(3), 0.0
    for right in itertools.product((0, 1), repeat=3):
        for mended in itertools.product((0, 1), repeat=2):
            chance = np.prod(np.where(right, CHANCES, 1 - CHANCES))
            chance *= np.prod(np.where(mended, tolerance, 1 - tolerance))
            good = right[2] and all(r or m for r, m in zip(right[:2], mended, strict=True))
            passes = judge.hit_rate if good else judge.false_alarm_rate
            weight = chance * (end * passes + (1 - end) * (1 - passes))
            sums, total = sums + weight * np.array(right), total + weight
    return np.asarray(sums / total)


@pytest.mark.parametrize("tolerance", [0.0, 0.3])
@pytest.mark.parametrize("judge", [Judge(), Judge(0.9, 0.2)])
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_it_is_the_chance_given_the_end(end: float, tolerance: float, judge: Judge) -> None:
    told = credit_steps(
        make_run(end), expect, tolerance=tolerance, judge=judge, moves_expectation=False
    )
    assert told["effect"].to_numpy() == pytest.approx(enumerate_beliefs(end, tolerance, judge))
    assert told["expected"].to_numpy() == pytest.approx(CHANCES)
    assert told["information"].between(0, 1).all()


def test_an_end_that_went_right_says_all_of_a_strict_chain() -> None:
    told = credit_steps(make_run(1.0), expect)
    assert told["effect"].tolist() == [1, 1, 1]
    alone = make_run(0.0).iloc[:1].assign(after="")
    told = credit_steps(alone, expect, moves_expectation=False)
    assert (told["effect"].tolist(), told["information"].tolist()) == ([0], [1])


def test_a_grade_of_a_step_stands_and_takes_blame_off_the_others() -> None:
    blamed = credit_steps(make_run(0.0), expect, moves_expectation=False)["effect"]
    told = credit_steps(make_run(0.0, effect=[0.0, NAN, NAN]), expect, moves_expectation=False)
    assert told["effect"].tolist() == pytest.approx([0, *CHANCES[1:]]), "nothing is left to blame"
    assert told["information"].tolist() == [1, 0, 0]
    told = credit_steps(make_run(0.0, effect=[1.0, NAN, NAN]), expect, moves_expectation=False)
    assert (told["effect"][1:] < blamed[1:]).all()


def test_ends_move_what_is_expected_of_a_model_to_the_truth() -> None:
    """The router believes of all models what it believes of `mid`; one is far better than that."""
    random = np.random.default_rng(0)
    chance = {"nano": 0.55, "mid": 0.6, "grand": 0.95}
    models = random.choice(MODELS, (1500, 2))
    right = random.random((1500, 2)) < np.vectorize(chance.get)(models)
    runs = pd.DataFrame(
        {
            "trajectory": np.repeat(np.arange(1500), 2),
            "prompt": "x",
            "model": models.ravel(),
            "end_effect": np.repeat(right.all(axis=1), 2).astype(float),
        }
    )

    def level(queries: Queries) -> Predictions:
        return Predictions.from_arrays(MODELS, np.full((len(queries), 3), 0.6))

    told = credit_steps(runs, level)
    found = told.groupby("model")["expected"].mean()
    assert found.to_dict() == pytest.approx(chance, abs=0.05)
    assert told.groupby("model")["effect"].mean().to_dict() == pytest.approx(chance, abs=0.05)
    still = credit_steps(runs, level, moves_expectation=False)
    assert still["expected"].eq(0.6).all()


def test_runs_do_not_influence_one_another_but_through_expectations() -> None:
    two = pd.concat([make_run(0.0), make_run(1.0).assign(trajectory="other")])
    told = credit_steps(two, expect, moves_expectation=False)
    alone = credit_steps(make_run(0.0), expect, moves_expectation=False)
    pd.testing.assert_frame_equal(told.iloc[:3], alone)


def test_without_links_each_step_builds_upon_the_row_before() -> None:
    run = make_run(0.0).drop(columns=["step", "after"])
    told = credit_steps(run, expect, tolerance=0.5, moves_expectation=False)
    assert told["step"].tolist() == ["step 1", "step 2", "step 3"]
    plan = StepPlan.of(
        [{"prompt": "", "name": str(i), "after": [str(i - 1)] * (i > 0)} for i in range(3)]
    )
    worth = PlanWorth(plan.before, plan.weight, 0.5)
    passed = worth.total(np.array([1, *CHANCES[1:]])), worth.total(np.array([0, *CHANCES[1:]]))
    assert told["effect"][0] == pytest.approx(gr.Grade(0.0, *passed).believe(float(CHANCES[0])))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"end_effect": [0.0, 1.0, 0.0]}, "several values of end_effect"),
        ({"end_effect": [NAN] * 3}, "row 1: end_effect is nan"),
        ({"end_effect": ["good"] * 3}, "row 1: end_effect is 'good'"),
        ({"effect": [0.0, 2.0, NAN]}, "row 2: effect is 2.0"),
        ({"after": ["", "", "start"]}, "trajectory 'run': The step 'end' comes after 'start'"),
        ({"after": ["end", "", "left"]}, "in a ring"),
        ({"step": ["a", "a", "b"], "after": ""}, "2 steps are called 'a'"),
        ({"model": ["nano", None, "mid"]}, "row 2: model is empty"),
        ({"prompt": ["a", " ", "c"]}, "runs, row 2: neither query_id nor prompt"),
        ({"cost_usd": [0.1, 0.1, -1.0]}, "runs, row 3: cost_usd is -1"),
        ({"user": "ann", "team": ["a", "b", "a"]}, "runs, row 2: user 'ann' is in team 'b'"),
    ],
)
def test_what_is_no_table_of_runs_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        credit_steps(make_run(0.0).assign(**change), expect)


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(DataError, match=r"column 'end_effect' is missing \(found: trajectory"):
        credit_steps(make_run(0.0).drop(columns="end_effect"), expect)
    with pytest.raises(DataError, match="runs has no rows"):
        credit_steps(make_run(0.0).iloc[:0], expect)
    with pytest.raises(DataError, match="runs is a list"):
        credit_steps([], expect)  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError, match="'nobody'"):
        credit_steps(make_run(0.0).assign(model="nobody"), expect)
    with pytest.raises(DataError, match="tolerance is 2"):
        credit_steps(make_run(0.0), expect, tolerance=2)
    with pytest.raises(DataError, match="judge is 'x'; expected a Judge"):
        credit_steps(make_run(0.0), expect, judge="x")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'role' and 'task' are the same"):
        credit_steps(make_run(0.0, role="a", task="a"), expect)


def test_as_many_steps_count_as_their_information_adds_up_to() -> None:
    """Whatever the ends were; what has no amounts and does not count is left out."""
    run = pd.DataFrame(
        {
            "trajectory": np.repeat(np.arange(100), 3),
            "prompt": [str(i) for i in range(300)],
            "model": list(MODELS) * 100,
            "end_effect": np.repeat(np.arange(100) % 2, 3).astype(float),
            "cost_usd": [0.1, NAN, 0.1] * 100,
        }
    )
    told = credit_steps(run, expect, moves_expectation=False)
    thin = thin_credit(told)
    kept = thin[thin["effect"].notna()].groupby("model").size()
    whole = told.groupby("model")["information"].sum()
    assert (kept - whole).abs().max() < 1
    assert thin.groupby("model").size().to_dict() == {
        "nano": 100,
        "mid": int(kept["mid"]),
        "grand": 100,
    }
    assert thin["effect"].dropna().between(0, 1).all()
    moving = credit_steps(run, expect)
    moved, arrived = (
        (part["effect"] - part["expected"]).groupby(part["model"]).sum()
        for part in (moving, thin_credit(moving).dropna(subset="effect"))
    )
    assert (arrived - moved).abs().max() < 1, "what all ends say arrives, but for the last rest"
    graded = thin_credit(credit_steps(run.assign(effect=1.0), expect))
    assert graded["effect"].tolist() == [1.0] * 300, "own grades count whole"


def test_steps_that_count_stand_for_the_others_and_leave_what_is_too_much_to_the_next() -> None:
    told = pd.DataFrame(
        {
            "model": ["nano"] * 5 + ["mid"],
            "task": "talk",
            "expected": [0.5, 0.5, 0.6, 0.6, 0.5, 0.5],
            "effect": [0.9, 0.8, 0.7, 0.5, 0.0, 0.3],
            "information": [0.5, 0.5, 0.5, 0.5, 1.0, 0.9],
            "cost_usd": 0.1,
        }
    )
    # .5 + .4 + .3 is .2 more than 1, which goes to the fourth: .6 + .2 + .1 - .1.
    expected = [NAN, 1.0, NAN, 0.8, 0.0, NAN]
    assert thin_credit(told)["effect"].tolist() == pytest.approx(expected, nan_ok=True)


def test_a_router_learns_from_runs() -> None:
    """A model that fails whole runs falls, one that is never blamed does not."""
    config = gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
    data = gr.simulate(num_queries=150, num_models=4, seed=1).data
    router = gr.GraphRouter.fit(data, config, instant=True)
    task = str(data.queries["task"].iloc[0])
    prompts = [f"A new prompt, number {i}." for i in range(60)]
    bad, good = router.models[:2]
    runs = pd.DataFrame(
        {
            "trajectory": np.repeat(np.arange(30), 2),
            "prompt": prompts,
            "role": task,
            "model": [bad, good] * 30,
            "end_effect": 0.0,
            "effect": [NAN, 1.0] * 30,
        }
    )
    learned = router.add_trajectories(runs)
    before, after = (
        each.predict(["Another prompt."], tasks=[task]).effect[0] for each in (router, learned)
    )
    assert after[0] < before[0] - 0.1
    assert after[1] > before[1]
    assert len(learned.support.outcomes) > len(router.support.outcomes) + 30


def test_expectations_are_of_who_asked_and_of_what_goes_with_it() -> None:
    asked: list[Queries] = []

    def note(queries: Queries) -> Predictions:
        asked.append(queries)
        return expect(queries)

    told = credit_steps(
        make_run(
            0.0, user="ann", team=["a", None, None], context=["One.", None, '["Two.", "More."]']
        ),
        note,
    )
    (queries,) = asked
    assert (queries.users, queries.teams) == (("ann",) * 3, ("a",) * 3)
    assert queries.contexts == (("One.",), None, ("Two.", "More."))
    assert told["user"].tolist() == ["ann"] * 3
    assert told["context"].tolist() == [["One."], None, ["Two.", "More."]]
    credit_steps(make_run(0.0, embedding=[[0.0, 1.0]] * 3, prompt=["", "b", "c"]), note)
    assert asked[1].prompts == ("", "b", "c")
    assert [len(each.vector) for each in asked[1].embeddings if each] == [2, 2, 2]


def test_what_calls_took_is_read_as_of_outcomes(caplog: pytest.LogCaptureFixture) -> None:
    run = make_run(0.0, cost="$0.10", tokens=[5, 6, 7], latency=1.5, mood="good")
    told = credit_steps(run, expect)
    amounts = told[["cost_usd", "output_tokens", "latency_s"]]
    assert amounts.values.tolist() == [[0.1, n, 1.5] for n in (5, 6, 7)]
    assert "runs: not used: column 'mood'" in caplog.text
    assert "mood" not in told.columns


def test_the_same_run_twice_under_one_name_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    run = make_run(0.0).drop(columns=["step", "after"])
    credit_steps(run, expect)
    assert caplog.text == ""
    told = credit_steps(pd.concat([run, run]), expect)
    assert len(told) == 6
    assert "1 trajectory has the same steps more than once ('run')" in caplog.text
    caplog.clear()
    other = run.assign(context="Another one.")
    credit_steps(pd.concat([run, other]), expect)
    assert caplog.text == "", "other documents are other steps"


@pytest.mark.parametrize(
    ("end", "own", "tolerance", "is_told"),
    [
        (1.0, [0.0, 0.0, 0.0], 0.0, True),
        (1.0, [0.0, NAN, NAN], 0.0, True),
        (1.0, [0.0, NAN, NAN], 0.5, False),
        (1.0, [NAN, NAN, 0.0], 0.5, True),
        (0.0, [1.0, 1.0, 1.0], 0.5, True),
        (0.0, [1.0, 1.0, NAN], 0.0, False),
        (0.5, [0.0, 0.0, 0.0], 0.0, False),
    ],
)
def test_grades_that_cannot_both_be_right_are_told_of(
    end: float,
    own: list[float],
    tolerance: float,
    is_told: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    credit_steps(make_run(end, effect=own), expect, tolerance=tolerance)
    assert ("in 1 run the grades of the steps and of the end cannot both be" in caplog.text) == (
        is_told
    )
    caplog.clear()
    credit_steps(make_run(end, effect=own), expect, tolerance=tolerance, judge=Judge(0.9, 0.1))
    assert caplog.text == "", "the grade of the end may be wrong"


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    config = gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
    data = gr.simulate(num_queries=100, num_models=3, seed=1).data
    return gr.GraphRouter.fit(data, config, instant=True)


def make_weak_run(router: gr.GraphRouter) -> pd.DataFrame:
    """Two steps of one run, of which its end says less than a grade."""
    prompts = ["A new prompt.", "Another new one."]
    run = {"trajectory": "a", "prompt": prompts, "model": list(router.models[:2])}
    return pd.DataFrame({**run, "end_effect": 0.0})


def test_a_run_that_tells_too_little_changes_no_effect(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_weak_run(router)
    same = router.add_trajectories(run)
    assert "2 steps together tell less of any model in a role than one grade" in caplog.text
    before, after = (each.predict(["What now?"]) for each in (router, same))
    assert (after.effect == before.effect).all()
    paid_for = router.add_trajectories(run.assign(cost=5.0))
    learned = paid_for.support.outcomes.tail(2)
    assert learned["cost_usd"].tolist() == [5.0, 5.0]
    assert learned["effect"].isna().all()


def test_steps_of_users_and_contexts_become_queries_of_their_own(router: gr.GraphRouter) -> None:
    run = make_weak_run(router).assign(
        prompt="The same.", model=router.models[0], effect=[1.0, 0.0], user="ann"
    )
    learned = router.add_trajectories(run.assign(context=["This.", "That."]))
    added = learned.support.queries.iloc[len(router.support.queries) :]
    assert added["user"].tolist() == ["ann", "ann"]
    assert added["view_key"].nunique() == 2
    assert learned.support.outcomes.tail(2)["effect"].tolist() == [1.0, 0.0]
