"""Settings of a policy from words: requirements, penalties and pairs."""

from __future__ import annotations

from typing import Any

import pytest

from graphrouter.exceptions import PolicyError
from graphrouter.policy import Policy, parse_policy
from graphrouter.policy_words import read_pairs


def test_a_list_of_capabilities_stays_one() -> None:
    assert Policy(requires=["tools", "json"]).requires == ("tools", "json")  # type: ignore[arg-type]
    assert Policy(requires=("tools",)).requirements == {"tools": True}


def test_words_and_mappings_say_the_same() -> None:
    words = parse_policy({"requires": ["tools", "region=eu"], "penalties": ["energy_wh=0.02"]})
    mapped = Policy(requires={"tools": True, "region": "eu"}, penalties={"energy_wh": 0.02})
    assert words == mapped
    assert hash(words) == hash(mapped)
    assert parse_policy(mapped.settings) == Policy(
        effect_weight=0.5,
        cost_weight=0.5,
        requires={"tools": True, "region": "eu"},
        penalties={"energy_wh": 0.02},
    )


def test_equal_policies_hash_alike_in_whatever_order_and_type_of_number() -> None:
    one = Policy(penalties={"a": 0.1, "b": 0.2}, requires={"tools": True, "tier": 2})
    other = Policy(penalties={"b": 0.2, "a": 0.1}, requires={"tier": 2.0, "tools": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert hash(one) != hash(Policy(penalties={"a": 0.1, "b": 0.3}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"requires": ["taste"]}, "requires.0 = 'taste' is not accepted: expected tools, vision,"),
        ({"requires": "tools"}, "requires = 'tools' is not accepted: expected a mapping"),
        ({"requires": ["=eu"]}, "requires received '=eu'; expected NAME=VALUE, such as region=eu"),
        ({"requires": ["region="]}, "requires received 'region='"),
        ({"requires": ["a=1", "a=2"]}, "requires names 'a' twice; expected each once"),
        ({"requires": ["tools", "tools=no"]}, "requires names 'tools' twice"),
        ({"requires": {"region": ["eu"]}}, "requires.region = ['eu'] is not accepted: expected on"),
        ({"requires": {"region": None}}, "requires.region = None is not accepted"),
        ({"requires": {"": "eu"}}, "requires names ''; expected the name of a field"),
        ({"penalties": {"energy_wh": -1}}, "penalties.energy_wh = -1 is not accepted"),
        ({"penalties": ["energy_wh=-1"]}, "penalties.energy_wh = '-1' is not accepted"),
        ({"penalties": {"energy_wh": float("inf")}}, "penalties.energy_wh = inf is not accepted"),
        ({"penalties": {"energy_wh": True}}, "penalties.energy_wh = True is not accepted"),
        ({"penalties": ["energy_wh"]}, "penalties received 'energy_wh'; expected NAME=VALUE"),
        ({"penalties": 0.1}, "penalties = 0.1 is not accepted: expected a mapping"),
        ({"usd_per_second": -1}, "usd_per_second = -1 is not accepted"),
        ({"usd_per_second": 1, "cost_weight": 0}, "cost_weight = 0 lets no dollar count"),
        ({"penalties": {"a": 1}, "min_effect": 0.5}, "penalties take off effect, and min_effect"),
        ({"penalties": {"a": 1}, "effect_weight": 0}, "effect_weight = 0 lets none count"),
    ],
)
def test_bad_words_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_may_hold_an_equals_sign_where_the_last_divides() -> None:
    assert read_pairs(["a=b=3"], expected="MODEL=S", of_last=True) == {"a=b": "3"}
    assert read_pairs(["a=b=3"], expected="NAME=VALUE") == {"a": "b=3"}
