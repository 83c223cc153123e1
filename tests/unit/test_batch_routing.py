"""A batch within limits: what a policy respects holds, totals are true, bad limits are named."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.batch_records import BatchLimits, BatchRouting
from graphrouter.batch_routing import assign_batch
from graphrouter.exceptions import DataError, PolicyError, UnknownModelError
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.selection import PolicyContext, decide
from graphrouter.types import Predictions

NAMES = ("grand", "mid", "nano")
SCALE = CostScale(0.0, 0.1)
NAN = float("nan")


def context_of(*cards: dict[str, Any]) -> PolicyContext:
    given = [*cards, {}, {}, {}][:3]
    pool = ModelPool.of(
        ModelCard.model_validate({"model": name, **card})
        for name, card in zip(NAMES, given, strict=True)
    )
    return PolicyContext(pool, SCALE)


def expect(num_queries: int = 40, *, seed: int = 0, **arrays: Any) -> Predictions:
    """Of grand, mid and nano: the dearer the better, each query another."""
    random = np.random.default_rng(seed)
    effect = np.clip([0.9, 0.7, 0.5] - 0.4 * random.random((num_queries, 3)), 0, 1)
    known: dict[str, Any] = {
        "cost_usd": np.array([0.1, 0.02, 0.001]) * np.exp(random.normal(size=(num_queries, 1))),
        "latency_s": np.array([8.0, 2.0, 1.0]) * np.exp(random.normal(size=(num_queries, 1)) / 4),
        "effect_low": effect * 0.8,
        "effect_high": np.minimum(effect * 1.1, 1),
        "familiarity": random.random(num_queries),
    }
    return Predictions.from_arrays(NAMES, effect, **{**known, **arrays})


def assign(policy: Policy | None = None, *, expected: Any = None, **limits: Any) -> BatchRouting:
    return assign_batch(
        Policy() if policy is None else policy,
        expect() if expected is None else expected,
        context_of(),
        BatchLimits(**limits),
    )


def test_the_budget_holds_and_totals_are_sums() -> None:
    chosen = assign(budget_usd=0.5)
    assert len(chosen) == 40
    assert chosen.total_cost_usd == chosen.cost_usd.sum() <= 0.5 * (1 + 1e-9)
    assert chosen.total_effect == pytest.approx(chosen.effect.sum())
    assert chosen.bound >= chosen.total_effect
    assert chosen.gap == pytest.approx(chosen.bound - chosen.total_effect, abs=1e-9)
    assert sum(chosen.num_calls.values()) == 40
    assert chosen.shadow_price is not None
    assert chosen.shadow_price > 0
    assert (chosen.shadow_price_s, chosen.shadow_price_calls) == (None, {})


def test_more_money_is_never_worse_and_worth_what_the_price_says() -> None:
    less, more = assign(budget_usd=0.5), assign(budget_usd=0.6)
    assert less.total_effect <= more.total_effect
    assert less.shadow_price is not None
    assert more.bound <= less.bound + 0.1 * less.shadow_price + 1e-9


def test_the_price_routes_single_queries_alike() -> None:
    """All but the few queries that share what is left at the end."""
    expected, chosen = expect(), assign(budget_usd=0.5)
    policy = Policy(usd_per_effect=1 / float(chosen.shadow_price or 0))
    alone = [decide(policy, expected, i, context_of()).model for i in range(40)]
    assert sum(a != b for a, b in zip(alone, chosen.model, strict=True)) <= 3


def test_seconds_and_calls_hold() -> None:
    chosen = assign(budget_s=90, max_calls={"mid": 5, "nano": 1000})
    assert chosen.total_latency_s <= 90 * (1 + 1e-9)
    assert chosen.num_calls["mid"] <= 5
    assert chosen.shadow_price is None
    assert chosen.shadow_price_s is not None
    assert list(chosen.shadow_price_calls) == ["mid"], "a cap that cannot bind has no price"


POLICIES = [
    Policy(allowed=("mid", "nano")),
    Policy(excluded=("nano",)),
    Policy(requires=("json",)),
    Policy(requires={"json": True, "context_tokens": 8}, fallback="mid"),
    Policy(max_cost_usd=0.03, fallback="nano"),
    Policy(max_latency_s=2.5, fallback="mid"),
    Policy(min_effect=0.6, fallback="grand"),
    Policy(min_effect=0.6, risk="lower", fallback="grand"),
    Policy(risk="upper"),
    Policy(safe_model="nano", max_doubt=0.2),
    Policy(safe_model="mid", max_doubt=1, min_familiarity=0.3),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.describe())
@pytest.mark.parametrize("limits", [{"budget_usd": 5.6}, {"budget_s": 330.0}])
def test_what_a_policy_respects_holds_as_it_does_for_one_query(
    policy: Policy, limits: dict[str, float]
) -> None:
    expected, context = expect(), context_of({"json": True, "context_tokens": 8}, {"json": True})
    chosen = assign_batch(policy, expected, context, BatchLimits(**limits))
    by_effect = {} if policy.min_effect is not None else {"cost_weight": 0.0}
    for i, model in enumerate(chosen.model):
        alone = decide(policy.model_copy(update=by_effect), expected, i, context)
        assert chosen.used_fallback[i] == alone.used_fallback
        if chosen.used_fallback[i]:
            assert model == policy.fallback
            continue
        assert model not in alone.rejected
        if policy.safe_model is not None and model != policy.safe_model:
            doubt = next(c.doubt for c in alone.candidates if c.model == model)
            assert doubt is not None
            assert doubt <= policy.max_doubt
            assert float(alone.familiarity or 0) >= policy.min_familiarity


def test_the_effect_that_counts_is_what_is_added_up() -> None:
    expected = expect()
    chosen = assign(Policy(risk="lower"), expected=expected, budget_usd=0.5)
    columns = [NAMES.index(model) for model in chosen.model]
    assert expected.effect_low is not None
    assert chosen.total_effect == pytest.approx(expected.effect_low[np.arange(40), columns].sum())
    assert chosen.effect.tolist() == expected.effect[np.arange(40), columns].tolist()


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_order_of_the_queries_does_not_matter(seed: int, share: float) -> None:
    expected = expect(12, seed=seed)
    low, high = expected.cost_usd.min(axis=1).sum(), expected.cost_usd.max(axis=1).sum()
    budget = float(low + share * (high - low))
    order = np.random.default_rng(seed).permutation(12)
    one = assign(expected=expected, budget_usd=budget)
    other = assign(expected=expected.take(rows=order), budget_usd=budget)
    assert one.total_effect == pytest.approx(other.total_effect, abs=1e-9)


def test_a_table_has_a_row_a_query() -> None:
    chosen = assign(budget_usd=0.5)
    table = chosen.to_frame()
    assert table.columns.tolist() == [
        "query_id",
        "model",
        "effect",
        "cost_usd",
        "latency_s",
        "used_fallback",
    ]
    assert table["query_id"].tolist() == [str(i + 1) for i in range(40)]
    assert table["model"].tolist() == list(chosen.model)
    assert chosen.to_frame([f"q{i}" for i in range(40)])["query_id"].iloc[0] == "q0"
    with pytest.raises(DataError, match="query_ids has 2 entries for 40 queries"):
        chosen.to_frame(["a", "b"])


def test_it_is_shown_in_a_line_and_in_a_notebook_as_a_table() -> None:
    chosen = assign(budget_usd=0.5, budget_s=200)
    assert repr(chosen).startswith("BatchRouting(40 queries: effect 0.")
    assert "of 0.5 USD" in repr(chosen)
    assert "of 200 s" in repr(chosen)
    assert "mean effect" in chosen._repr_html_()


def test_no_queries_make_no_choices() -> None:
    chosen = assign(expected=expect().take(rows=np.array([], dtype=np.int64)), budget_usd=1.0)
    assert (len(chosen), chosen.total_effect, chosen.gap) == (0, 0.0, 0.0)
    assert repr(chosen) == "BatchRouting(no queries)"
    assert "nan" not in chosen._repr_html_()


def test_long_values_and_pools_are_cut_in_messages() -> None:
    with pytest.raises(PolicyError, match=r"budget_usd is \['a', 'a', 'a', ...\] \(1,000 in all\)"):
        assign(budget_usd=["a"] * 1000)
    many = tuple(f"m{i}" for i in range(1000))
    with pytest.raises(UnknownModelError, match="m7 and 992 more"):
        BatchLimits(max_calls={"other": 1}).check(many)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"budget_usd": -1}, "budget_usd is -1; expected a finite number of at least 0"),
        ({"budget_usd": NAN}, "budget_usd is nan; expected"),
        ({"budget_usd": float("inf")}, "budget_usd is inf; expected"),
        ({"budget_usd": "2"}, "budget_usd is '2'; expected"),
        ({"budget_usd": True}, "budget_usd is True; expected"),
        ({"budget_s": -0.5}, "budget_s is -0.5; expected"),
        ({"max_calls": ["mid"]}, "max_calls is a list; expected a mapping"),
        ({"max_calls": {"mid": 2.5}}, r"max_calls\['mid'\] is 2.5; expected a whole number"),
        ({"max_calls": {"mid": -1}}, r"max_calls\['mid'\] is -1; expected a whole number"),
        ({"budget_usd": 0.001}, r"is too low: the cheapest choices .* 40 queries take 0\.0\d+ USD"),
        ({"budget_s": 3}, r"budget_s = 3 is too low: .* take \d+\.\d+ s\. Raise it"),
        (
            {"max_calls": {"grand": 1, "mid": 2, "nano": 3}},
            "max_calls allows 6 calls of grand, mid, nano, and .* nothing else for 40 of 40",
        ),
        (
            {"budget_usd": 0.06, "max_calls": {"nano": 3}},
            r"keeps all limits together.* With the others as they are budget_usd = \d\S+ is enough",
        ),
    ],
)
def test_limits_that_cannot_be_meant_or_kept(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        assign(**limits)


@given(seed=st.integers(0, 2**32 - 1), num_queries=st.integers(1, 30))
def test_who_raises_a_budget_to_what_is_said_has_enough(seed: int, num_queries: int) -> None:
    expected = expect(num_queries, seed=seed)
    with pytest.raises(PolicyError) as told:
        assign(expected=expected, budget_usd=1e-9)
    least = float(str(told.value).split(" take ")[1].split(" USD")[0])
    chosen = assign(expected=expected, budget_usd=least)
    assert set(chosen.model) == {"nano"}
    assert chosen.total_cost_usd <= least
    assert least <= chosen.total_cost_usd * 1.00001


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(2, 30),
    shares=st.tuples(st.floats(0, 0.3), st.floats(0, 0.3)),
    calls=st.integers(0, 10),
)
def test_what_is_said_to_be_enough_beside_other_limits_is_enough(
    seed: int, num_queries: int, shares: tuple[float, float], calls: int
) -> None:
    """Dollars are cheap where seconds are many: each limit can be kept, both together often not."""
    random = np.random.default_rng(seed)
    expected = expect(num_queries, seed=seed, latency_s=random.random((num_queries, 3)) + 0.1)
    limits: dict[str, Any] = {"max_calls": {"nano": calls}}
    for (name, values), share in zip(
        {"budget_usd": expected.cost_usd, "budget_s": expected.latency_s}.items(),
        shares,
        strict=True,
    ):
        low, high = values.min(axis=1).sum(), values.max(axis=1).sum()
        limits[name] = float(low + share * (high - low))
    try:
        assign(expected=expected, **limits)
    except PolicyError as error:
        told = re.findall(r"(budget_\w+) = (\S+)(?= or | is enough)", str(error))
        for name, amount in told:
            chosen = assign(expected=expected, **{**limits, name: float(amount)})
            assert chosen.num_calls.get("nano", 0) <= calls


def test_a_budget_that_is_hardly_too_low_is_told_from_what_it_takes() -> None:
    cost = np.array([[0.12345675, 1.0, 1.0]])
    one = expect(1, cost_usd=cost)
    with pytest.raises(PolicyError, match=r"budget_usd = 0.1234567 .* for 1 query take 0.123457 U"):
        assign(expected=one, budget_usd=0.1234567)


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match="max_calls names 'grnd'.*Did you mean 'grand'?"):
        assign(max_calls={"grnd": 3})
    with pytest.raises(UnknownModelError, match="max_calls names 'x'.*The pool: grand, mid, nano."):
        assign(max_calls={"x": 3})


def test_an_unknown_cost_is_never_free() -> None:
    expected = expect()
    cost = expected.cost_usd.copy()
    cost[:, 0] = NAN
    chosen = assign(expected=expect(cost_usd=cost), budget_usd=100.0)
    assert "grand" not in chosen.model
    assert "grand" in assign(expected=expect(cost_usd=cost), max_calls={"mid": 3}).model
    with pytest.raises(PolicyError, match="budget_usd needs costs, but this router cannot predict"):
        assign(expected=expect(cost_usd=np.full((40, 3), NAN)), budget_usd=1.0)
    with pytest.raises(PolicyError, match="budget_s needs latencies, but"):
        assign(expected=expect(latency_s=np.full((40, 3), NAN)), budget_s=1.0)
    cost[5] = NAN
    with pytest.raises(
        PolicyError, match=r"Query 6 of 40: No model satisfies .*grand: cost unknown"
    ):
        assign(expected=expect(cost_usd=cost), budget_usd=100.0)
    with pytest.raises(PolicyError, match="Query 6 of 40 falls to the fallback 'mid', whose cost"):
        assign(Policy(fallback="mid"), expected=expect(cost_usd=cost), budget_usd=100.0)


def test_a_query_that_nobody_may_answer_is_named() -> None:
    with pytest.raises(PolicyError, match=r"Query \d+ of 40: No model satisfies the policy"):
        assign(Policy(min_effect=0.85), budget_usd=1.0)


def test_settings_that_a_budget_replaces_are_told(caplog: pytest.LogCaptureFixture) -> None:
    plain = assign(Policy(max_latency_s=100), budget_usd=1)
    assert not caplog.messages
    priced = assign(Policy(usd_per_effect=1, usd_per_second=9, max_latency_s=100), budget_usd=1)
    assert priced.model == plain.model
    assert caplog.messages == [
        "usd_per_effect and usd_per_second of the policy do not count: a budget, or caps, say what "
        "a call is worth."
    ]


@given(seed=st.integers(0, 1000), rate=st.floats(0, 0.5), share=st.floats(0, 1))
def test_penalties_come_off_the_effect_that_a_budget_buys(
    seed: int, rate: float, share: float
) -> None:
    """As if the effects were less by what the cards say."""
    watts, expected = np.array([2.0, 0.5, 0.1]), expect(10, seed=seed)
    low, high = expected.cost_usd.min(axis=1).sum(), expected.cost_usd.max(axis=1).sum()
    limits = BatchLimits(budget_usd=low + share * (high - low))
    context = context_of(*({"energy_wh": each} for each in watts.tolist()))
    policy = Policy(penalties={"energy_wh": rate})
    chosen = assign_batch(policy, expected, context, limits)
    less = Predictions.from_arrays(
        NAMES, expected.effect - rate * watts, cost_usd=expected.cost_usd
    )
    alike = assign_batch(Policy(), less, context, limits)
    assert chosen.model == alike.model
    assert chosen.total_effect == pytest.approx(alike.total_effect)
    assert chosen.bound == pytest.approx(alike.bound)
    assert chosen.effect.sum() >= chosen.total_effect - 1e-9


def test_a_budget_respects_fields_and_who_is_unavailable() -> None:
    context = context_of({"region": "us"}, {"region": "eu"}, {"region": "eu"})
    chosen = assign_batch(
        Policy(requires={"region": "eu"}), expect(), context, BatchLimits(budget_usd=4)
    )
    assert set(chosen.model) == {"mid", "nano"}
    out = PolicyContext(context.pool, SCALE, unavailable=frozenset({"mid"}))
    only = assign_batch(Policy(requires={"region": "eu"}), expect(), out, BatchLimits(budget_usd=4))
    assert set(only.model) == {"nano"}
    with pytest.raises(PolicyError, match="its fallback 'mid' is unavailable now"):
        assign_batch(
            Policy(max_cost_usd=0, fallback="mid"), expect(), out, BatchLimits(budget_usd=4)
        )
