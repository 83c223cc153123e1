"""Promises held against queries that had no part in them, and how often they are broken."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.bench.evaluation.promise_trials import (
    PromiseTrial,
    cover_promises,
    rule_out_sparse,
    try_promises,
)
from graphrouter.data import RoutingDataset
from graphrouter.router.graded_trade_offs import grade_trade_offs
from graphrouter.router.policy_calibration import find_promise
from graphrouter.router.promise import Wish
from tests.unit.router.test_policy_calibration import make_graded

FAST = ("encoder.name=hashing", "encoder.dimension=64", "split.test=0.6")


@pytest.fixture(scope="module")
def world() -> RoutingDataset:
    return gr.simulate(num_queries=700, num_models=4, seed=1, missing=0).data


@pytest.fixture(scope="module")
def router(world: RoutingDataset) -> gr.GraphRouter:
    return gr.GraphRouter.fit(world, gr.load_config(overrides=FAST), instant=True)


def test_one_half_promises_and_the_other_tests(
    world: RoutingDataset, router: gr.GraphRouter
) -> None:
    test = router.provenance.split.test
    trials = try_promises(router, world, test, num_draws=50, num_samples=5)
    assert not isinstance(trials, Unmeasured)
    assert [trial.keep for trial in trials] == [0.99, 0.95]
    loose = trials[1]
    assert loose.promise is not None
    assert loose.promise.num_queries + loose.num_tested == len(test)
    # The same by hand: the halves are those of the order by hashes.
    wish = Wish.read(0.95, None, 0.95)
    graded = grade_trade_offs(router, world.select_queries(test), wish)
    middle = len(graded) // 2
    assert find_promise(graded.take(np.arange(middle)), wish).policy == loose.promise.policy
    tested = graded.take(np.arange(middle, len(graded)))
    column = graded.policies.index(loose.promise.policy)
    kept = tested.effect[:, column].mean() / tested.reference_effect.mean()
    saved = 1 - tested.cost_usd[:, column].mean() / tested.reference_cost_usd.mean()
    assert (loose.share.value, loose.saving.value) == pytest.approx((kept, saved))
    assert loose.share.low <= kept <= loose.share.high
    assert loose.is_held == (kept >= 0.95)
    assert loose.coverage.num_queries == middle
    assert json.loads(json.dumps(loose.to_json(), allow_nan=False))["promise"]["keep"] == 0.95


def test_what_was_refused_says_why(world: RoutingDataset, router: gr.GraphRouter) -> None:
    some = router.provenance.split.test[:40]
    trials = try_promises(router, world, some, task_known=False, num_draws=50, num_samples=5)
    assert not isinstance(trials, Unmeasured)
    strict = trials[0]
    assert (strict.promise, strict.is_held, strict.is_surely_broken) == (None, None, False)
    assert strict.refusal is not None
    assert "The 20 graded queries do not support the promise" in strict.refusal
    assert np.isnan(strict.share.value)
    assert strict.to_json()["share"] == {"value": None, "low": None, "high": None}


def test_why_nothing_is_measured(world: RoutingDataset, router: gr.GraphRouter) -> None:
    few = try_promises(router, world, router.provenance.split.test[:19])
    assert isinstance(few, Unmeasured)
    assert few.reason.startswith("19 queries have all the outcomes that are needed, and at least")
    free = replace(world, outcomes=world.outcomes.assign(cost_usd=np.nan))
    costless = try_promises(router, free, router.provenance.split.test)
    assert isinstance(costless, Unmeasured)
    assert "has no costs" in costless.reason


def test_models_that_one_side_does_not_know_are_no_candidates(
    world: RoutingDataset, router: gr.GraphRouter
) -> None:
    names = world.pool.names
    renamed = dict.fromkeys([names[0]], "stranger")
    other = RoutingDataset.from_frames(
        queries=world.queries,
        models=world.models.assign(model=world.models["model"].replace(renamed)),
        outcomes=world.outcomes.assign(model=world.outcomes["model"].replace(renamed)),
        tasks=world.tasks,
    )
    trials = try_promises(router, other, router.provenance.split.test, num_draws=20, num_samples=2)
    assert not isinstance(trials, Unmeasured)
    assert trials[0].excluded == (names[0],)


def test_models_with_few_outcomes_are_ruled_out(world: RoutingDataset) -> None:
    sparse = world.pool.names[2]
    rows = world.outcomes.index[world.outcomes["model"] == sparse]
    part = replace(world, outcomes=world.outcomes.drop(rows[: len(rows) // 2]))
    assert rule_out_sparse(part, world.pool.names) == (sparse,)
    nearly = replace(world, outcomes=world.outcomes.drop(rows[: len(rows) // 10]))
    assert rule_out_sparse(nearly, world.pool.names) == ()


def test_a_tested_promise_is_seldom_broken_and_an_untested_one_often() -> None:
    wish = Wish.read(0.95, None, 0.95)
    found = cover_promises(make_graded(3000), wish, num_samples=60, num_queries=400)
    assert (found.num_samples, found.num_queries) == (60, 400)
    assert found.num_made > 30
    assert found.num_broken <= 6  # 3 are allowed; 6 of 60 are still chance
    assert found.num_broken_untested > 12


def test_a_promise_below_the_share_may_be_chance() -> None:
    trial = PromiseTrial(
        keep=0.95,
        confidence=0.95,
        reference="grand",
        excluded=(),
        promise=find_promise(make_graded(2000), Wish.read(0.9, None, 0.95)),
        refusal=None,
        num_tested=100,
        share=Interval(0.94, 0.9, 0.98),
        saving=Interval(0.5, 0.4, 0.6),
        coverage=cover_promises(make_graded(100), Wish.read(0.9, None, 0.95), num_samples=1),
    )
    assert (trial.is_held, trial.is_surely_broken) == (False, False)
    assert replace(trial, share=Interval(0.9, 0.85, 0.94)).is_surely_broken
    assert replace(trial, share=Interval(0.96, 0.9, 0.99)).is_held
