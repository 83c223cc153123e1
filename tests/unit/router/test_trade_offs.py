"""The trade-offs that are tested: those that are swept, as policies, within given limits."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.exceptions import PolicyError
from graphrouter.policy import CostScale, Policy
from graphrouter.router.trade_offs import NUM_SWEPT, build_trade_off_grid, list_trade_offs

SCALE = CostScale(0.0002, 0.03)


def test_the_policies_are_the_trade_offs_of_the_grid() -> None:
    policies = list_trade_offs(SCALE)
    assert len(policies) == NUM_SWEPT
    worth = [policy.usd_per_effect for policy in policies[1:-1]]
    assert worth == sorted(worth, reverse=True)  # type: ignore[type-var]
    np.testing.assert_allclose(
        1 / np.array(worth, dtype=float), build_trade_off_grid(SCALE)[1:-1], rtol=1e-5
    )
    assert policies[0] == Policy(cost_weight=0)
    assert policies[-1] == Policy(cost_weight=1)


def test_all_of_them_respect_the_limits() -> None:
    limits = {"excluded": ("nano",), "max_latency_s": 3.0, "fallback": "grand"}
    for policy in list_trade_offs(SCALE, Policy(**limits)):
        assert {name: getattr(policy, name) for name in limits} == limits


@pytest.mark.parametrize(
    ("goal", "named"),
    [
        (Policy(cost_weight=0.2), r"the weights \(effect_weight, cost_weight\)"),
        (Policy(usd_per_effect=0.1), "usd_per_effect"),
        (Policy(min_effect=0.9), "min_effect"),
    ],
)
def test_limits_that_name_a_trade_off_are_refused(goal: Policy, named: str) -> None:
    with pytest.raises(PolicyError, match=f"sets {named}, .* expected limits alone"):
        list_trade_offs(SCALE, goal)


def test_limits_that_are_no_policy_are_refused() -> None:
    with pytest.raises(PolicyError, match="within is a dict; expected a Policy"):
        list_trade_offs(SCALE, {"excluded": ("nano",)})  # type: ignore[arg-type]
