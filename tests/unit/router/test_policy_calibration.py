"""Promises: what passes, what is refused and why, and that they are rarely broken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import graphrouter as gr
from graphrouter.exceptions import (
    ConfigError,
    DataError,
    PolicyError,
    PromiseError,
    UnknownModelError,
)
from graphrouter.policy import CostScale, parse_policy
from graphrouter.router.graded_trade_offs import GradedTradeOffs, grade_trade_offs
from graphrouter.router.policy_calibration import find_promise
from graphrouter.router.promise import Promise, Wish, list_given
from graphrouter.router.trade_offs import list_trade_offs
from graphrouter.selection import decide
from graphrouter.types import FloatArray

SCALE = CostScale(0.0002, 0.03)
POLICIES = list_trade_offs(SCALE)
FALL = np.linspace(0, 1, len(POLICIES))


def make_graded(
    num_queries: int, *, gain: float = 0.05, loss: float = 0.4, seed: int = 0
) -> GradedTradeOffs:
    """Trade-offs whose effect falls from `gain` above the reference's 0.8 to `loss` below it.

    Half of the outcomes are those of the reference. Costs fall from 1 cent to nothing.
    """
    rng = np.random.default_rng(seed)
    reference = rng.random(num_queries) < 0.8
    own = rng.random((num_queries, 1)) < 0.8 + 2 * (gain - (gain + loss) * FALL)
    effect = np.where(rng.random((num_queries, 1)) < 0.5, reference[:, None], own).astype(float)
    cost = rng.random((num_queries, 1)) * 0.02 * (1 - FALL)
    return GradedTradeOffs(
        policies=POLICIES,
        reference="grand",
        effect=effect,
        cost_usd=cost,
        reference_effect=reference.astype(float),
        reference_cost_usd=np.full(num_queries, 0.01),
        rival_effect=reference.astype(float),
        dearest_usd=0.02,
        num_seen=3,
        num_ungraded=2,
        num_repeated=1,
    )


def true_effect(*, gain: float, loss: float) -> FloatArray:
    """(num_trade_offs,) mean effect of each trade-off of `make_graded`."""
    own = np.clip(0.8 + 2 * (gain - (gain + loss) * FALL), 0, 1)
    return 0.5 * 0.8 + 0.5 * own


def test_the_cheapest_that_passes_is_taken() -> None:
    graded = make_graded(2000)
    found = find_promise(graded, Wish.read(0.9, None, 0.95))
    place = POLICIES.index(found.policy)
    assert 0 < place < len(POLICIES) - 1
    assert found.share >= found.share_low >= 0.9  # type: ignore[operator]
    assert found.share == pytest.approx(
        graded.effect[:, place].mean() / graded.reference_effect.mean()
    )
    assert found.mean_cost_usd == pytest.approx(graded.cost_usd[:, place].mean())
    assert found.saving == pytest.approx(1 - found.mean_cost_usd / 0.01)
    assert (found.num_queries, found.num_seen, found.num_ungraded, found.num_repeated) == (
        2000, 3, 2, 1,
    )  # fmt: skip


def test_a_smaller_share_and_less_confidence_save_no_less() -> None:
    graded = make_graded(1500)
    by_share = [find_promise(graded, Wish.read(k, None, 0.95)).saving for k in (0.99, 0.95, 0.8)]
    by_confidence = [
        find_promise(graded, Wish.read(0.95, None, c)).saving for c in (0.999, 0.95, 0.6)
    ]
    assert by_share == sorted(by_share)
    assert by_confidence == sorted(by_confidence)


def test_testing_ends_with_the_first_trade_off_that_fails() -> None:
    graded = make_graded(1500, loss=-0.05)  # all are better than the reference
    bad = graded.effect.copy()
    bad[:, 7] = 0.0
    found = find_promise(replace(graded, effect=bad), Wish.read(0.95, None, 0.95))
    assert POLICIES.index(found.policy) == 6
    assert POLICIES.index(find_promise(graded, Wish.read(0.95, None, 0.95)).policy) == 49


def test_too_few_queries_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(PromiseError, match=r"The 60 graded .* takes about [\d,]+ graded") as caught:
        find_promise(make_graded(60, seed=3), Wish.read(0.99, None, 0.95))
    number = caught.value.num_queries
    assert number is not None
    assert 60 < number < 5000
    assert find_promise(make_graded(2 * number), Wish.read(0.99, None, 0.95)).share_low is not None


def test_a_router_that_falls_short_is_refused_without_a_number() -> None:
    with pytest.raises(PromiseError, match="fall short of it themselves") as caught:
        find_promise(make_graded(500, gain=-0.2), Wish.read(0.99, None, 0.95))
    assert caught.value.num_queries is None


@pytest.mark.parametrize(
    "wish",
    [
        Wish.read(1.0, None, 0.95),
        Wish.read(None, None, 0.95, beats="grand"),
        Wish.read(None, None, 0.95, max_mean_cost_usd=0.002),
    ],
    ids=["share", "wins", "cost"],
)
def test_queries_that_just_meet_a_promise_do_not_fall_short_of_it(wish: Wish) -> None:
    graded = make_graded(300)
    same, cost = np.repeat(graded.reference_effect[:, None], 50, axis=1), graded.cost_usd * 0
    tied = replace(graded, effect=same, rival_effect=same[:, 0], cost_usd=cost + 0.002)
    with pytest.raises(PromiseError, match="meet it exactly, with nothing to spare") as caught:
        find_promise(tied, wish)
    assert caught.value.num_queries is None


def test_a_budget_alone_takes_the_best_that_keeps_to_it() -> None:
    found = find_promise(make_graded(2000), Wish.read(None, None, 0.95, max_mean_cost_usd=0.005))
    assert found.keep is None
    assert found.share_low is None
    assert 0.004 < found.mean_cost_usd < 0.005
    dear = find_promise(make_graded(2000), Wish.read(None, None, 0.95, max_mean_cost_usd=0.02))
    assert POLICIES.index(dear.policy) == 0  # no call was dearer, so nothing is to be tested


def test_a_budget_below_every_trade_off_is_refused() -> None:
    graded = make_graded(200)
    dear = replace(graded, cost_usd=graded.cost_usd + 0.004)
    with pytest.raises(PromiseError, match=r"cheapest trade-off cost 0\.004 USD a call"):
        find_promise(dear, Wish.read(None, None, 0.95, max_mean_cost_usd=0.001))


def test_share_and_budget_together() -> None:
    graded = make_graded(3000)
    found = find_promise(graded, Wish.read(0.9, None, 0.95, max_mean_cost_usd=0.009))
    alone = find_promise(graded, Wish.read(0.9, None, 0.975))
    assert found.policy == alone.policy  # each of the two has half of the error
    with pytest.raises(PromiseError, match="no trade-off that keeps both"):
        find_promise(graded, Wish.read(0.99, None, 0.95, max_mean_cost_usd=0.0005))


def test_a_rival_is_beaten_or_not() -> None:
    found = find_promise(make_graded(3000), Wish.read(None, None, 0.95, beats="grand"))
    assert found.num_wins > found.num_losses  # type: ignore[operator]
    with pytest.raises(PromiseError, match=r"won [\d,]+ times against grand and lost"):
        find_promise(make_graded(500, gain=0), Wish.read(None, None, 0.95, beats="grand"))


def test_one_call_far_dearer_than_any_seen_in_training_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    graded = make_graded(1000)
    cost = graded.cost_usd.copy()
    cost[0] = 5.0
    found = find_promise(
        replace(graded, cost_usd=cost), Wish.read(None, None, 0.95, max_mean_cost_usd=0.006)
    )
    assert found.mean_cost_usd > 0
    assert "dearest that the router has learned from" in caplog.text


@pytest.mark.parametrize(
    ("num_splits", "num_queries"),
    [(60, 150), pytest.param(300, 500, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("keep", [0.99, 0.9])
def test_promises_are_broken_no_more_often_than_they_say(
    num_splits: int, num_queries: int, keep: float
) -> None:
    truth = true_effect(gain=0.06, loss=0.2)
    broken = made = 0
    for seed in range(num_splits):
        graded = make_graded(num_queries, gain=0.06, loss=0.2, seed=seed)
        try:
            found = find_promise(graded, Wish.read(keep, None, 0.9))
        except PromiseError:
            continue
        made += 1
        broken += truth[POLICIES.index(found.policy)] < keep * 0.8
    assert made > num_splits / 10
    assert broken <= binom.ppf(0.99, num_splits, 0.1)


def test_a_wish_without_a_share_keeps_99_per_cent_unless_it_asks_for_something_else() -> None:
    assert Wish.read(None, None, 0.95).keep == 0.99
    assert Wish.read(None, "grand", 0.95, beats="nano").keep == 0.99
    assert Wish.read(None, None, 0.95, max_mean_cost_usd=1).keep is None
    assert Wish.read(None, None, 0.95, beats="nano").keep is None
    assert Wish.read(0.9, None, 0.95, beats="nano").keep == 0.9


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=700, num_models=5, seed=1, missing=0).data


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    config = gr.load_config(
        overrides=["encoder.name=hashing", "encoder.dimension=64", "split.test=0.6"]
    )
    return gr.GraphRouter.fit(data, config, instant=True)


def test_the_promise_is_one_of_queries_that_the_router_has_not_seen(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    promise = router.calibrate_policy(data, keep=0.8)
    assert promise.num_queries == len(router.provenance.split.test)
    assert promise.num_seen == len(data.queries) - promise.num_queries
    assert promise.of == "best_single"
    seen = data.outcomes[data.outcomes["query_id"].isin(router.provenance.split.train)]
    assert promise.reference == seen.groupby("model")["effect"].mean().idxmax()


def test_what_is_graded_is_what_route_would_choose(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    graded = grade_trade_offs(router, data, Wish.read(0.9, None, 0.95))
    test = data.queries.set_index("query_id").loc[list(router.provenance.split.test)]
    predictions = router.predict(test["prompt"].tolist(), tasks=test["task"].tolist())
    effect = data.outcome_matrix("effect", query_ids=router.provenance.split.test)
    for i in (0, 1, 9, 20, 30, 48, 49):
        chosen = [
            router.models.index(
                decide(graded.policies[i], predictions, row, router.policy_context).model
            )
            for row in range(len(predictions))
        ]
        assert graded.effect[:, i].sum() == effect[np.arange(len(chosen)), chosen].sum()


def test_the_order_of_rows_and_their_ids_do_not_matter(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    mixed = data.select_queries(data.queries["query_id"].tolist()[::-1])
    assert router.calibrate_policy(mixed, keep=0.8) == router.calibrate_policy(data, keep=0.8)


def test_repeated_prompts_count_once(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    again = data.queries.assign(query_id="again-" + data.queries["query_id"])
    runs = data.outcomes.assign(query_id="again-" + data.outcomes["query_id"])
    twice = gr.RoutingDataset.from_frames(
        queries=pd.concat([data.queries, again], ignore_index=True),
        models=data.models,
        outcomes=pd.concat([data.outcomes, runs], ignore_index=True),
        tasks=data.tasks,
    )
    once, both = (router.calibrate_policy(each, keep=0.8) for each in (data, twice))
    assert both.num_repeated == once.num_queries == both.num_queries
    assert both.policy == once.policy
    assert both.share == pytest.approx(once.share)


def test_queries_without_a_needed_outcome_are_left_out_and_counted(
    router: gr.GraphRouter, data: gr.RoutingDataset, caplog: pytest.LogCaptureFixture
) -> None:
    whole = router.calibrate_policy(data, keep=0.8)
    gone = list(router.provenance.split.test[:100])
    missing = data.outcomes["query_id"].isin(gone) & (data.outcomes["model"] == whole.reference)
    part = router.calibrate_policy(
        replace(data, outcomes=data.outcomes[~missing].reset_index(drop=True)), keep=0.7
    )
    assert (part.num_ungraded, part.num_queries) == (100, whole.num_queries - 100)
    assert "100 lack an outcome or cost" in caplog.text


def test_limits_a_named_reference_and_hidden_tasks(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    best = router.calibrate_policy(data, keep=0.8).reference
    promise = router.calibrate_policy(
        data, keep=0.8, within=gr.Policy(excluded=(best,)), task_known=False
    )
    assert promise.policy.excluded == (best,)
    assert promise.reference != best  # the best of those that are left
    other = router.calibrate_policy(data, keep=0.8, of=promise.reference)
    assert (other.of, other.reference) == (promise.reference, promise.reference)


def test_the_policy_goes_through_plain_values_and_routes(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    promise = router.calibrate_policy(data, keep=0.8, within=gr.Policy(max_latency_s=500))
    plain = json.loads(json.dumps(promise.to_json()))
    again = parse_policy(plain["policy"])
    assert again == promise.policy
    assert list_given(again) == plain["policy"]
    assert plain["saving"] == promise.saving
    decision = router.route(data.queries["prompt"][0], policy=again)
    assert decision.model in router.models
    assert len(repr(promise)) < 200
    assert "<table" in promise._repr_html_()


@pytest.mark.parametrize(
    ("wish", "error", "message"),
    [
        ({"keep": 0}, ConfigError, "keep is 0; expected the share"),
        ({"keep": 1.01}, ConfigError, r"keep is 1\.01; expected the share"),
        ({"keep": float("nan")}, ConfigError, "keep is nan"),
        ({"keep": "much"}, ConfigError, "keep is 'much'"),
        ({"keep": True}, ConfigError, "keep is True"),
        ({"confidence": 0}, ConfigError, "confidence is 0; expected a number between 0 and 1"),
        ({"confidence": 1.0}, ConfigError, r"confidence is 1\.0"),
        ({"confidence": None}, ConfigError, "confidence is None"),
        ({"max_mean_cost_usd": 0}, ConfigError, "max_mean_cost_usd is 0; expected US dollars"),
        ({"max_mean_cost_usd": float("inf")}, ConfigError, "max_mean_cost_usd is inf"),
        ({"of": "nobody"}, UnknownModelError, "of is 'nobody', .* best_single or one of"),
        ({"of": ""}, UnknownModelError, "of is '', which is not in the pool"),
        ({"beats": ""}, UnknownModelError, "beats is '', which is not in the pool"),
        ({"of": ["a"] * 1000}, UnknownModelError, r"of is \['a', 'a', 'a', ...\] \(1,000 in all\)"),
        ({"beats": "nobody"}, UnknownModelError, "beats is 'nobody', which is not in the pool"),
        ({"beats": 3}, UnknownModelError, "beats is 3, which is not in the pool"),
        ({"within": gr.Policy(min_effect=0.5)}, PolicyError, "sets min_effect, .* limits alone"),
        ({"within": gr.Policy(excluded=("nobody",))}, UnknownModelError, "names 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    router: gr.GraphRouter,
    data: gr.RoutingDataset,
    wish: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        router.calibrate_policy(data, **wish)
    assert "\n" not in str(caught.value)


def test_queries_that_the_router_has_seen_are_refused(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    seen = data.select_queries(router.provenance.split.train)
    with pytest.raises(DataError, match="has learned from all .* not seen"):
        router.calibrate_policy(seen)
    renamed = gr.RoutingDataset.from_frames(
        queries=seen.queries.assign(query_id="new-" + seen.queries["query_id"]),
        models=seen.models,
        outcomes=seen.outcomes.assign(query_id="new-" + seen.outcomes["query_id"]),
    )
    with pytest.raises(DataError, match="has learned from all"):
        router.calibrate_policy(renamed)


def test_data_without_costs_are_refused(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    free = replace(data, outcomes=data.outcomes.assign(cost_usd=np.nan))
    with pytest.raises(DataError, match="has no costs.*Add cost_usd"):
        router.calibrate_policy(free)
    with pytest.raises(DataError, match="received a DataFrame; expected a dataset"):
        router.calibrate_policy(data.outcomes)  # type: ignore[arg-type]


def test_a_router_without_costs_has_no_trade_off() -> None:
    answers = {"prompt": ["1 + 1?", "1 + 1?", "Hi.", "Hi."], "model": ["a", "b"] * 2}
    router = gr.GraphRouter.fit({**answers, "effect": [0, 1, 1, 1]}, instant=True)
    data = gr.simulate(num_queries=40, num_models=2).data
    with pytest.raises(DataError, match="outcomes without costs, so it has no trade-off"):
        router.calibrate_policy(data)


def test_a_model_that_nobody_graded_is_named(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    best = router.calibrate_policy(data, keep=0.8).reference
    without = data.select_models([name for name in router.models if name != best])
    with pytest.raises(DataError, match=f"'{best}' lacks one on 420 of the 420 .*rule it out"):
        router.calibrate_policy(without)
    promise = router.calibrate_policy(without, keep=0.8, within=gr.Policy(excluded=(best,)))
    assert isinstance(promise, Promise)
