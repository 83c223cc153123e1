"""Who is tried, how often, and with which propensity."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.exploring import Exploration
from graphrouter.router.pool_strengths import find_newcomers


def make_decision(**changed: bool) -> Decision:
    def make(name: str, effect: float, doubt: float, why_not: str | None = None) -> Candidate:
        ends = {"effect_low": effect - doubt / 2, "effect_high": effect + doubt / 2}
        utility = None if why_not else effect
        return Candidate(name, effect, 0.01, None, None, utility, why_not, **ends)

    candidates = (
        make("best", 0.8, 0.02),
        make("doubtful", 0.75, 0.3),
        make("worse", 0.4, 0.02),
        make("out", 0.9, 0.5, "excluded"),
    )
    return Decision("best", 0.8, 0.01, candidates, **changed)


def test_uniform_gives_everyone_the_same() -> None:
    found = Exploration(0.3, "uniform", seed=0).try_one(make_decision())
    assert found.propensities == pytest.approx({"best": 0.8, "doubtful": 0.1, "worse": 0.1})


def test_thompson_tries_those_that_may_be_the_best() -> None:
    exploration = Exploration(0.5, seed=0)
    found = [exploration.try_one(make_decision()) for _ in range(300)]
    assert all(sum(each.propensities.values()) == pytest.approx(1.0) for each in found)
    assert all(each.model in each.propensities for each in found)
    assert {name for each in found for name in each.propensities} == {"best", "doubtful"}
    mean = sum(each.propensities["doubtful"] for each in found) / len(found)
    # doubtful beats best where a normal of mean -0.05 and spread 0.117 is above 0: 0.336 of draws
    assert mean == pytest.approx(0.5 * 0.336, abs=0.01)
    assert Counter(each.model for each in found)["doubtful"] / 300 == pytest.approx(mean, abs=0.06)


@pytest.mark.parametrize("changed", [{"used_fallback": True}, {"used_safe_model": True}])
def test_what_is_settled_is_not_explored(changed: dict[str, bool]) -> None:
    exploration = Exploration(1.0, "uniform", seed=0)
    assert exploration.try_one(make_decision(**changed)) == ("best", {"best": 1.0})
    assert Exploration(0.0).try_one(make_decision()) == ("best", {"best": 1.0})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"share": 1.5}, "A share of 1.5 is explored; expected"),
        ({"by_task": {"sums": -1}}, r"A share of -1 is explored \(sums\)"),
        ({"newcomers": float("nan")}, r"nan is explored \(newcomers\)"),
        ({"kind": "greedy"}, "kind is 'greedy'"),
        ({"most_loss": -0.1}, "most_loss is -0.1"),
        ({"usd_per_day": float("inf")}, "usd_per_day is inf"),
    ],
)
def test_what_is_out_of_range_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Exploration(**settings)


def test_a_task_may_have_a_share_of_its_own() -> None:
    exploration = Exploration(0.3, "uniform", by_task={"sums": 0.0, "poems": 0.6}, seed=0)
    decision = make_decision()
    found = [exploration.try_one(decision, task=task).propensities for task in ("sums", "poems")]
    assert found[0] == {"best": 1.0}
    assert found[1] == pytest.approx({"best": 0.6, "doubtful": 0.2, "worse": 0.2})
    assert exploration.try_one(decision).propensities["best"] == pytest.approx(0.8)


def test_the_expected_loss_of_a_decision_is_capped() -> None:
    # uniform: 0.1 of doubtful, which loses 0.05, and 0.1 of worse, which loses 0.4
    free, held = (Exploration(0.3, "uniform", most_loss=most, seed=0) for most in (0.1, 0.009))
    assert free.try_one(make_decision()).propensities["worse"] == pytest.approx(0.1)
    found = held.try_one(make_decision())
    assert found.propensities == pytest.approx({"best": 0.96, "doubtful": 0.02, "worse": 0.02})
    held.count(make_decision(), found)
    assert held.figures.expected_loss == pytest.approx(0.02 * 0.05 + 0.02 * 0.4)
    none = Exploration(1.0, "uniform", most_loss=0.0, seed=0).try_one(make_decision())
    assert none == ("best", {"best": 1.0})


def test_dollars_of_a_day_are_capped() -> None:
    """A tenth of a cent more for the one, a cent for the other; what costs no more is free."""
    costs = {"best": 0.01, "doubtful": 0.011, "worse": 0.02, "out": 0.01}
    made = make_decision()
    candidates = tuple(replace(each, cost_usd=costs[each.model]) for each in made.candidates)
    decision = replace(made, candidates=candidates)
    exploration = Exploration(1.0, "uniform", usd_per_day=0.005, seed=0)
    for _ in range(30):
        tried = exploration.try_one(decision)
        assert "worse" not in tried.propensities
        exploration.count(decision, tried)
    assert exploration.figures.tried == {"doubtful": 5}
    assert exploration.figures.extra_nanousd == 5_000_000
    assert exploration.try_one(decision) == ("best", {"best": 1.0})
    assert set(exploration.try_one(made).propensities) == {"best", "doubtful", "worse"}
    elsewhere = Exploration(1.0, "uniform", usd_per_day=0.005, seed=0)
    elsewhere.note_spent(time.time(), 4_500_000)
    assert elsewhere.try_one(decision).propensities == {"best": 1.0}
    unknown = replace(made, candidates=tuple(replace(each, cost_usd=None) for each in candidates))
    assert elsewhere.try_one(unknown).propensities == {"best": 1.0}


def test_newcomers_earn_their_share_and_lose_it() -> None:
    exploration = Exploration(newcomers=0.2, seed=0)

    def find(new: Mapping[str, int], decision: Decision | None = None) -> float:
        found = exploration.try_one(decision or make_decision(), newcomers=new)
        assert sum(found.propensities.values()) == pytest.approx(1.0)
        return found.propensities.get("doubtful", 0.0)

    assert find({}) == 0.0
    assert [find({"doubtful": n}) for n in (0, 15, 40, 900)] == pytest.approx([0.04, 0.1, 0.2, 0.2])
    assert find({"doubtful": 40, "worse": 0}) == pytest.approx(0.1)  # half for each
    assert find({"worse": 40}) == 0.0  # its interval is no wider than the others'
    made = make_decision()
    hopeless = replace(
        made,
        candidates=tuple(
            replace(each, utility=0.3, effect=0.3) if each.model == "doubtful" else each
            for each in made.candidates
        ),
    )
    assert find({"doubtful": 40}, hopeless) < 1e-4
    unlikely = replace(
        made,
        candidates=tuple(
            replace(each, utility=0.6) if each.model == "doubtful" else each
            for each in made.candidates
        ),
    )
    # 0.2 below the best, with 0.117 as the deviation of the difference: a chance of 0.044
    assert find({"doubtful": 40}, unlikely) == pytest.approx(0.2 * 0.44, abs=0.002)
    crowd = tuple(replace(made.candidates[0], model=f"other{n}", utility=0.79) for n in range(50))
    many = replace(made, candidates=(*made.candidates, *crowd))
    assert find({"doubtful": 40}, many) == pytest.approx(0.2)  # compared with the best alone
    tried = exploration.try_one(made, newcomers={"doubtful": 40})
    exploration.count(made, tried, {"doubtful": 40})
    assert exploration.figures.find_share("doubtful") == pytest.approx(0.2)
    assert exploration.figures.find_share("worse") is None


def test_who_has_few_outcomes_is_new(router: gr.GraphRouter) -> None:
    assert find_newcomers(router) == {}
    wider = router.add_model(gr.ModelCard(model="fresh"))
    assert find_newcomers(wider) == {"fresh": 0}
    lessons = [{"prompt": f"Tarn {i}?", "model": "fresh", "effect": 1.0} for i in range(3)]
    assert find_newcomers(wider.add_outcomes(pd.DataFrame(lessons))) == {"fresh": 3}


def test_a_real_decision_is_explored_within_its_policy(router: gr.GraphRouter) -> None:
    excluded = router.models[0]
    decision = router.route("Add 3 and 4.", policy=gr.Policy(excluded=(excluded,)))
    exploration = Exploration(1.0, "uniform", seed=0)
    tried = {exploration.try_one(decision).model for _ in range(60)}
    assert tried == set(router.models) - {excluded}
