"""What a policy maximises in its parts: by hand, and as sums that hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.policy import Policy
from graphrouter.utility import Charges, CostScale

SCALE = CostScale(0.0, 0.1)
EFFECT = np.array([[0.9, 0.6]])
COST = np.array([[0.05, 0.01]])
CHARGES = Charges(np.array([[8.0, 2.0]]), {"energy_wh": np.array([2.0, 0.5])})


def test_dollars_seconds_and_penalties_by_hand() -> None:
    policy = Policy(usd_per_effect=0.1, usd_per_second=0.001, penalties={"energy_wh": 0.1})
    parts = policy.split_utility(EFFECT, COST, SCALE, CHARGES)
    assert parts.effect.tolist() == EFFECT.tolist()
    assert parts.dollars == pytest.approx(np.array([[0.5, 0.1]]))
    assert parts.seconds == pytest.approx(np.array([[0.08, 0.02]]))
    assert parts.penalties["energy_wh"] == pytest.approx(np.array([[0.2, 0.05]]))
    assert parts.total == pytest.approx(np.array([[0.12, 0.43]]))


def test_under_weights_a_second_has_the_price_of_its_dollars() -> None:
    policy = Policy(
        effect_weight=0.5, cost_weight=0.4, usd_per_second=0.02, penalties={"energy_wh": 0.1}
    )
    parts = policy.split_utility(EFFECT, COST, SCALE, CHARGES)
    assert parts.dollars == pytest.approx(np.array([[0.2, 0.04]]))
    # 0.16 dollars are more than the scale is wide, and count in full.
    assert parts.seconds == pytest.approx(np.array([[0.4 * 0.16 / 0.1, 0.4 * 0.04 / 0.1]]))
    assert parts.penalties["energy_wh"] == pytest.approx(np.array([[0.1, 0.025]]))


def test_the_cheapest_by_dollars_and_seconds() -> None:
    parts = Policy(min_effect=0.5, usd_per_second=0.001).split_utility(EFFECT, COST, SCALE, CHARGES)
    assert parts.total == pytest.approx(-np.array([[0.058, 0.012]]))


@given(
    effect=st.lists(st.floats(0, 1), min_size=2, max_size=2),
    cost=st.lists(st.floats(0, 1), min_size=2, max_size=2),
    weight=st.floats(0.001, 1),
)
def test_without_them_utilities_keep_their_bits(
    effect: list[float], cost: list[float], weight: float
) -> None:
    given_effect, given_cost = np.array([effect]), np.array([cost])
    weighed = Policy(effect_weight=1 - weight, cost_weight=weight)
    expected = (1 - weight) * given_effect - weight * SCALE.scale(given_cost)
    assert weighed.utility(given_effect, given_cost, SCALE).tolist() == expected.tolist()
    priced = Policy(usd_per_effect=weight).utility(given_effect, given_cost, SCALE)
    assert priced.tolist() == (given_effect - given_cost / weight).tolist()


@given(
    seconds=st.floats(0, 1e4),
    amount=st.floats(0, 1e4),
    usd=st.floats(0, 10),
    penalty=st.floats(0, 10),
)
def test_more_to_pay_is_never_worth_more(
    seconds: float, amount: float, usd: float, penalty: float
) -> None:
    policy = Policy(usd_per_effect=0.1, usd_per_second=usd, penalties={"energy_wh": penalty})
    twice = Charges(np.array([[seconds, 2 * seconds]]), {"energy_wh": np.array([amount] * 2)})
    less, more = policy.utility(np.full((1, 2), 0.5), np.zeros((1, 2)), SCALE, twice)[0]
    assert more <= less
    more_amount = Charges(np.full((1, 2), seconds), {"energy_wh": np.array([amount, 2 * amount])})
    less, more = policy.utility(np.full((1, 2), 0.5), np.zeros((1, 2)), SCALE, more_amount)[0]
    assert more <= less


def test_what_is_unknown_is_never_nothing() -> None:
    policy = Policy(usd_per_effect=0.1, usd_per_second=0.001, penalties={"energy_wh": 0.1})
    assert np.isnan(policy.utility(EFFECT, COST, SCALE)).all()
    charges = Charges(np.array([[np.nan, 2.0]]), {"energy_wh": np.array([2.0, 0.5])})
    assert np.isnan(policy.utility(EFFECT, COST, SCALE, charges)).tolist() == [[True, False]]
