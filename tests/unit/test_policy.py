"""Settings of a policy: what is accepted, presets, plain values, words; the scale of costs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import PolicyError
from graphrouter.policy import CostScale, Policy, parse_policy

NAN = float("nan")
SCALE = CostScale(0.0, 0.1)


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    with pytest.raises(
        PolicyError,
        match="Unknown preset 'cheap'. Presets: performance_first, balanced, cost_first.",
    ):
        Policy.preset("cheap")  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match="Unknown preset None. Presets: performance_first"):
        Policy.preset(None)  # type: ignore[arg-type]


def test_a_preset_takes_further_settings() -> None:
    policy = Policy.preset("cost_first", max_cost_usd=0.01, requires=["tools"])
    assert policy == parse_policy(
        {"preset": "cost_first", "max_cost_usd": 0.01, "requires": ["tools"]}
    )
    assert (policy.effect_weight, policy.cost_weight, policy.max_cost_usd) == (0.2, 0.8, 0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cost_weight": 1}, "the preset 'balanced' and cost_weight both say what is maximised"),
        ({"usd_per_effect": 1}, "the preset 'balanced' and usd_per_effect both say what is max"),
        (
            {"min_effect": 1},
            "the preset 'balanced' and min_effect both say what is maximised; give",
        ),
        ({"max_cost": 1}, "Policy: unknown setting 'max_cost'. Did you mean 'max_cost_usd'?"),
        ({"max_cost_usd": "x"}, "Policy: max_cost_usd = 'x' is not accepted: "),
    ],
)
def test_what_a_preset_does_not_take_is_told_in_one_line(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.preset("balanced", **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_preset_is_no_field() -> None:
    with pytest.raises(
        PolicyError, match=r"preset = 'balanced' is no field; expected Policy.prese"
    ):
        Policy(preset="balanced")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ({}, (0.5, 0.5)),
        ({"cost_weight": 0.3}, (0.7, 0.3)),
        ({"effect_weight": 0.9}, (0.9, 0.1)),
        ({"cost_weight": 0}, (1.0, 0.0)),
        ({"effect_weight": 0}, (0.0, 1.0)),
        ({"cost_weight": "0.3"}, (0.7, 0.3)),
        ({"cost_weight": 0.3, "effect_weight": 0.3}, (0.3, 0.3)),
        ({"cost_weight": 3, "effect_weight": 1}, (1.0, 3.0)),
    ],
)
def test_one_weight_completes_the_other(
    given: dict[str, Any], weights: tuple[float, float]
) -> None:
    policy = parse_policy(given)
    assert (policy.effect_weight, policy.cost_weight) == weights


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"cost_wieght": 1},
            "Policy: unknown setting 'cost_wieght'. Did you mean 'cost_weight'?",
        ),
        (
            {"cost_weight": -1},
            "cost_weight = -1 is not accepted: Input should be greater",
        ),
        ({"cost_weight": "much"}, "cost_weight = 'much'"),
        ({"cost_weight": float("inf")}, "cost_weight = inf"),
        ({"effect_weight": NAN}, "effect_weight = nan"),
        ({"max_cost_usd": float("inf")}, "max_cost_usd = inf"),
        ({"usd_per_effect": 0}, "usd_per_effect = 0"),
        ({"min_effect": 1.5}, "min_effect = 1.5"),
        ({"max_latency_s": 0}, "max_latency_s = 0"),
        ({"requires": ["taste"]}, "requires.0 = 'taste'"),
        (
            {"effect_weight": 0, "cost_weight": 0},
            "effect_weight and cost_weight are both 0; one of them must count",
        ),
        (
            {"allowed": ["a", "b"], "excluded": ["b"]},
            "'b' is both allowed and excluded; drop one of the two",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(PolicyError, match="frozen"):
        Policy().cost_weight = 1.0  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Policy.model_fields.values())


def test_cost_scale_has_the_percentiles_as_bounds() -> None:
    cost = np.arange(101, dtype=np.float64)
    scale = CostScale.fit(cost.reshape(1, -1))
    assert scale == (1.0, 99.0)
    assert scale.is_known
    assert scale.scale(np.array([1.0, 50.0, 99.0])) == pytest.approx([0.0, 0.5, 1.0])
    assert scale.scale(np.array([0.0, 1e9])).tolist() == [0.0, 1.0]  # clipped


def test_cost_scale_skips_what_was_not_observed_and_keeps_it_unknown() -> None:
    scale = CostScale.fit(np.array([NAN, 2.0, NAN, 4.0]))
    assert scale == pytest.approx((2.02, 3.98))
    assert np.isnan(scale.scale(np.array([NAN, 3.0]))).tolist() == [True, False]


def test_cost_scale_of_equal_costs_makes_no_difference() -> None:
    scale = CostScale.fit(np.array([0.3, 0.3]))
    assert scale.is_known
    received = scale.scale(np.array([0.1, 0.3, 9.0, NAN]))
    assert received[:3].tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(received[3])


@pytest.mark.parametrize("cost", [[], [NAN, NAN]])
def test_cost_scale_of_nothing_is_unknown(cost: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale = CostScale.fit(np.array(cost))
        assert not scale.is_known
        assert np.isnan(scale.scale(np.array([NAN]))).all()


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.lists(st.floats(0, 1e7), min_size=2, max_size=20),
)
def test_scaled_costs_lie_in_the_unit_interval_and_keep_their_order(
    seen: list[float], asked: list[float]
) -> None:
    scaled = CostScale.fit(np.array(seen)).scale(np.sort(np.array(asked)))
    assert ((scaled >= 0) & (scaled <= 1)).all()
    assert (np.diff(scaled) >= 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cost_weight": 3}, "leaves no weight for effect_weight"),
        ({"fallback": "a", "excluded": ("a",)}, "is excluded"),
        ({"min_effect": 0.5, "usd_per_effect": 1.0}, "set one of the two"),
        ({"min_effect": 0.5, "cost_weight": 1.0}, "min_effect and the weights .* both say what"),
        ({"usd_per_effect": 1, "effect_weight": 1}, "usd_per_effect and the weights .* both say"),
        (
            {"risk": "high"},
            "risk = 'high' is not accepted: Input should be 'lower'",
        ),
        ({"max_doubt": 0.2}, "max_doubt says when a safe model is taken, and there is none"),
        ({"safe_model": "a", "max_doubt": 1.2}, "max_doubt = 1.2"),
        ({"safe_model": "a", "excluded": ("a",)}, "the safe model 'a' is excluded"),
        ({"safe_model": "a", "allowed": ("b",)}, "not among the allowed"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        parse_policy(settings)


def test_plain_values_make_the_policy() -> None:
    settings = {
        "max_cost_usd": 0.1,
        "min_effect": None,
        "allowed": ["a", "b"],
        "excluded": [],
        "requires": ["tools"],
        "fallback": "c",
    }
    assert parse_policy(settings) == Policy(
        max_cost_usd=0.1, allowed=("a", "b"), requires=("tools",), fallback="c"
    )
    assert parse_policy({"preset": "cost_first", "max_latency_s": 2.0}) == Policy(
        effect_weight=0.2, cost_weight=0.8, max_latency_s=2
    )
    assert parse_policy({"cost_weight": 0.3}) == Policy(effect_weight=0.7, cost_weight=0.3)
    assert parse_policy({"preset": None, "cost_weight": None, "allowed": []}) == Policy()
    assert not parse_policy({"cost_weight": None, "allowed": []}).model_fields_set
    for name in ("effect_weight", "cost_weight", "usd_per_effect", "min_effect"):
        with pytest.raises(PolicyError, match=f"'balanced' and {name} both say what is maximised"):
            parse_policy({"preset": "balanced", name: 1.0})
    with pytest.raises(PolicyError, match="max_latency_s"):
        parse_policy({"max_latency_s": -1.0})


OTHERS = {
    "effect_weight": 0.9,
    "cost_weight": 0.9,
    "usd_per_effect": 0.1,
    "usd_per_second": 0.01,
    "penalties": {"energy_wh": 0.1},
    "max_cost_usd": 0.1,
    "min_effect": 0.7,
    "max_latency_s": 3,
    "max_ttft_s": 0.5,
    "allowed": ("a",),
    "excluded": ("a",),
    "requires": ("json",),
    "risk": "lower",
    "safe_model": "a",
    "max_doubt": 0.7,
    "min_familiarity": 0.7,
}
"""A value of each setting but the fallback, which is for when no words of a policy were kept."""


@pytest.mark.parametrize("name", sorted({*Policy.model_fields} - {"fallback"}))
def test_every_setting_is_said_in_words(name: str) -> None:
    rest: dict[str, Any] = {"safe_model": "a"} if name in ("max_doubt", "min_familiarity") else {}
    assert Policy(**{name: OTHERS[name], **rest}).describe() != Policy(**rest).describe()


def test_policies_in_words() -> None:
    assert (
        Policy(min_effect=0.8).describe()
        == "the lowest cost among models with an expected effect of at least 0.8"
    )
    assert Policy(usd_per_effect=0.05).describe() == "the highest effect - cost / 0.05 USD"
    assert Policy(min_effect=0.8, risk="upper").describe() == (
        "the lowest cost among models with an upper end of the effect of at least 0.8"
    )
    assert (
        Policy(usd_per_effect=0.05, risk="lower").describe()
        == "the highest lower end of the effect - cost / 0.05 USD"
    )
    safe = Policy(cost_weight=0.5, safe_model="a", max_doubt=0.2)
    assert safe.describe().endswith(
        "scaled cost; a where the interval of the best is wider than 0.2"
    )
    limited = Policy(
        cost_weight=0, max_cost_usd=0.01, max_latency_s=3, allowed=("a", "b"), requires=("json",)
    )
    assert (
        limited.describe()
        == "the highest expected effect; at most 0.01 USD a call; at most 3 s; only a, b; with json"
    )
