"""What a policy asks of cards: refused where no card states it, or states no amount."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphrouter.exceptions import PolicyError
from graphrouter.field_demands import check_demands, count_penalties, read_amounts
from graphrouter.policy import Policy
from graphrouter.pool import ModelPool, parse_card

POOL = ModelPool.of(
    [
        parse_card({"model": "a", "region": "eu", "energy_wh": 0.5, "drift": -1}),
        parse_card({"model": "b", "region": "us", "num_params": 7e9}),
    ]
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"requires": {"regoin": "eu"}}, "requires names the field 'regoin', which no card of"),
        ({"requires": {"regoin": "eu"}}, "Did you mean 'region'?"),
        ({"requires": {"licence": "mit"}}, "The cards state: num_params, region, energy_wh, dri"),
        ({"penalties": {"watts": 1}}, "penalties names the field 'watts', which no card of the"),
        ({"penalties": {"latency_s": 1}}, "It is predicted for every call: usd_per_second counts"),
        ({"penalties": {"region": 1}}, "the card of 'a' states the text 'eu' there; expected a nu"),
        ({"penalties": {"drift": 1}}, "states -1, which would be a reward; expected a number of"),
    ],
)
def test_one_clear_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check_demands(Policy(**values), POOL)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cards_state_is_accepted() -> None:
    check_demands(Policy(requires={"region": "eu"}, penalties={"energy_wh": 1}), POOL)
    check_demands(Policy(requires=("tools",)), POOL)  # nobody has it: nobody satisfies the policy


def test_amounts() -> None:
    assert read_amounts(Policy(), POOL) is None
    policy = Policy(penalties={"energy_wh": 0.1, "num_params": 1e-11})
    amounts = read_amounts(policy, POOL)
    assert amounts is not None
    assert np.array_equal(amounts["energy_wh"], [0.5, np.nan], equal_nan=True)
    assert np.isnan(count_penalties(policy, POOL)).all()
    only = Policy(penalties={"energy_wh": 0.1})
    assert np.array_equal(count_penalties(only, POOL), [0.05, np.nan], equal_nan=True)
