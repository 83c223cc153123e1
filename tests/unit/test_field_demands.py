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
        (
            {"penalties": {"latency_s": 1}},
            "is predicted for every call: usd_per_second counts seconds. Drop it from penalties.",
        ),
        (
            {"penalties": {"ttft_s": 1}},
            "It is known of a call and not of a model. Drop it from penalties.",
        ),
        ({"penalties": {"watts": 1}}, "Add it with update_card (graphrouter pool add), or drop it"),
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


@pytest.mark.parametrize(
    "values",
    [
        {"excluded": ("odd",)},
        {"allowed": ("fine",)},
        {"requires": {"region": "us"}},
        {"excluded": ("odd",), "fallback": "fine"},
    ],
)
@pytest.mark.parametrize("field", ["energy_wh", "drift"])
def test_what_the_card_of_a_model_states_that_is_out_blocks_nothing(
    field: str, values: dict[str, Any]
) -> None:
    odd = {"model": "odd", "region": "eu", "energy_wh": "lots", "drift": -1}
    fine = {"model": "fine", "region": "us", "energy_wh": 2, "drift": 1}
    pool = ModelPool.of(map(parse_card, (odd, fine)))
    check_demands(Policy(penalties={field: 0.1}, **values), pool)
    with pytest.raises(PolicyError, match="the card of 'odd' states"):
        check_demands(Policy(penalties={field: 0.1}), pool)


def test_what_the_card_of_a_model_states_that_cannot_be_called_blocks_nothing() -> None:
    check_demands(Policy(penalties={"drift": 0.1}), POOL, {"a"})


def test_the_card_of_a_fallback_is_looked_at_since_it_may_be_taken() -> None:
    policy = Policy(penalties={"drift": 0.1}, allowed=("b",), fallback="a")
    with pytest.raises(PolicyError, match="the card of 'a' states -1"):
        check_demands(policy, POOL)


def test_amounts() -> None:
    assert read_amounts(Policy(), POOL) is None
    policy = Policy(penalties={"energy_wh": 0.1, "num_params": 1e-11})
    amounts = read_amounts(policy, POOL)
    assert amounts is not None
    assert np.array_equal(amounts["energy_wh"], [0.5, np.nan], equal_nan=True)
    assert np.isnan(count_penalties(policy, POOL)).all()
    only = Policy(penalties={"energy_wh": 0.1})
    assert np.array_equal(count_penalties(only, POOL), [0.05, np.nan], equal_nan=True)
