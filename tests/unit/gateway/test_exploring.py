"""Who is tried, how often, and with which propensity."""

from __future__ import annotations

from collections import Counter

import pytest

import graphrouter as gr
from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.exploring import Exploration


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


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="A share of 1.5 is explored"):
        Exploration(1.5)


def test_a_real_decision_is_explored_within_its_policy(router: gr.GraphRouter) -> None:
    excluded = router.models[0]
    decision = router.route("Add 3 and 4.", policy=gr.Policy(excluded=(excluded,)))
    exploration = Exploration(1.0, "uniform", seed=0)
    tried = {exploration.try_one(decision).model for _ in range(60)}
    assert tried == set(router.models) - {excluded}
