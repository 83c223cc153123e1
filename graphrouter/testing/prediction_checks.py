"""What every router promises of its predictions and choices."""

from __future__ import annotations

import inspect
from functools import partial

import numpy as np

from graphrouter.bench.observations import Observations
from graphrouter.policy import PRESETS, Policy, PresetName
from graphrouter.router.protocol import Router
from graphrouter.testing.check_data import NUM_MODELS, PROMPTS
from graphrouter.testing.router_check import (
    Check,
    CheckedRouter,
    expect,
    expect_close,
    expect_equal,
)
from graphrouter.types import QUANTITIES, Queries

FLAGS = tuple(
    name for name, hint in inspect.get_annotations(Router).items() if hint == "ClassVar[bool]"
)
"""Names of what a class of routers declares."""
UNSEEN_SCRIPT = "请用简单的语言解释量子力学中的不确定性原理并举一个例子。"
"""A prompt like none that check data hold."""
TRACE = 8e-6
"""How far the effects of a router with `ranks_pool` may lie apart: a millionth a rank."""


def check_declarations(checked: CheckedRouter) -> None:
    """It has a name, and what it declares is True or False."""
    kind = checked.kind
    name = getattr(kind, "name", None)
    expect(isinstance(name, str) and bool(name), f"name is {name!r}; expected text.")
    for flag in FLAGS:
        value = getattr(kind, flag)
        expect(isinstance(value, bool), f"{flag} is {value!r}; expected True or False.")


def check_shapes_and_ranges(checked: CheckedRouter) -> None:
    """Predictions have a column a model of the pool, effects lie inside (0, 1), costs are known."""
    found, pool = checked.predictions, checked.data.view.data.pool
    expect(
        found.models == checked.router.models == pool.names,
        f"models are {found.models}; expected those of the data in their order.",
    )
    shape = (len(PROMPTS), NUM_MODELS)
    for quantity in QUANTITIES:
        received = getattr(found, quantity).shape
        expect(received == shape, f"{quantity} has shape {received}; expected {shape}.")
    known = np.isfinite(found.effect)
    inside = (found.effect[known] > 0) & (found.effect[known] < 1)
    expect(inside.all(), "an effect lies outside (0, 1).")
    expect(known.any(axis=1).all(), "for some query it expects nothing of any model.")
    expect(
        known.all() == checked.kind.covers_pool,
        f"covers_pool is {checked.kind.covers_pool}, and {(~known).sum()} effects are NaN.",
    )
    if checked.kind.can_predict_cost:
        expect((found.cost_usd >= 0).all(), "can_predict_cost, and a cost is negative or NaN.")
    else:
        expect(np.isnan(found.cost_usd).all(), "can_predict_cost is False, and there are costs.")


def check_intervals(checked: CheckedRouter) -> None:
    """The effect lies in its interval, where the class declares intervals, and only there."""
    found = checked.predictions
    low, high = found.effect_low, found.effect_high
    expect(
        (low is not None) == checked.kind.has_intervals,
        f"has_intervals is {checked.kind.has_intervals}, and effect_low is "
        f"{'None' if low is None else 'given'}.",
    )
    if low is not None and high is not None:
        inside = (low >= 0) & (low <= found.effect) & (found.effect <= high) & (high <= 1)
        expect(inside.all(), "an effect lies outside its interval, or the interval outside [0, 1].")


def check_familiarity(checked: CheckedRouter) -> None:
    """Each query has one in [0, 1], alone as among others, where the class declares it, only there.

    A prompt that was solved is more familiar than one like none seen.
    """
    found, tells = checked.predictions.familiarity, checked.kind.tells_familiarity
    expect(
        (found is not None) == tells,
        f"tells_familiarity is {tells}, and familiarity is {'None' if found is None else 'given'}.",
    )
    if found is None:
        return
    expect(found.shape == (len(PROMPTS),), f"familiarity has shape {found.shape}.")
    expect(((found >= 0) & (found <= 1)).all(), "a familiarity lies outside [0, 1].")
    for i, prompt in enumerate(PROMPTS):
        alone = checked.router.predict([prompt]).familiarity
        same = alone is not None and np.allclose(alone, found[i], rtol=0, atol=1e-9)
        expect(same, f"familiarity is {alone} alone and {found[i]} among others.")
    view = checked.data.view
    solved = view.data.queries.set_index("query_id").loc[list(view.split.train), "prompt"].iloc[0]
    both = checked.router.predict([solved, UNSEEN_SCRIPT]).familiarity
    expect(
        both is not None and both[0] > both[1],
        f"familiarity is {both} for a solved prompt and one in a script that was never seen.",
    )


def check_same_answer(checked: CheckedRouter) -> None:
    """The same question has the same answer, to the bit."""
    expect_equal(checked.router.predict(PROMPTS).effect, checked.predictions.effect, "effect")


def check_batch_mates(checked: CheckedRouter) -> None:
    """A score depends neither on the other queries of a call nor on their order."""
    known = checked.data.view.data.tasks["task"].iloc[0]
    tasks = [None, known, None, "no such task"]
    together = checked.router.predict(PROMPTS, tasks=tasks)
    backwards = checked.router.predict(PROMPTS[::-1], tasks=tasks[::-1])
    expect_close(backwards.effect[::-1], together.effect, "effect in another order", atol=1e-9)
    for i, prompt in enumerate(PROMPTS):
        alone = checked.router.predict([prompt], tasks=[tasks[i]])
        expect_close(alone.effect[0], together.effect[i], "effect alone", atol=1e-9)
        expect_close(alone.cost_usd[0], together.cost_usd[i], "cost_usd alone", atol=1e-12)


def check_queries(checked: CheckedRouter) -> None:
    """`Queries` are predicted as their prompts and tasks are."""
    tasks = [None, checked.data.view.data.tasks["task"].iloc[0], None, "no such task"]
    one = checked.router.predict(Queries.of(PROMPTS, tasks))
    other = checked.router.predict(PROMPTS, tasks=tasks)
    for quantity in QUANTITIES:
        expect_equal(getattr(one, quantity), getattr(other, quantity), quantity)


def check_no_query(checked: CheckedRouter) -> None:
    """No query has no prediction."""
    found = checked.router.predict([])
    for quantity in ("effect", "cost_usd"):
        received = getattr(found, quantity).shape
        expect(received == (0, NUM_MODELS), f"{quantity} has shape {received} for no query.")


def check_preset(checked: CheckedRouter, preset: PresetName) -> None:
    """It routes under a preset, one query as many."""
    router, policy = checked.router, Policy.preset(preset)
    decisions = router.route_batch(PROMPTS, policy=policy)
    strangers = [each.model for each in decisions if each.model not in router.models]
    expect(not strangers, f"it chose {strangers}, which are not in the pool.")
    alone = router.route(PROMPTS[1], policy=policy)
    expect(
        [each.model for each in alone.candidates]
        == [each.model for each in decisions[1].candidates],
        "the candidates of one query have another order than among many.",
    )
    expect_close(alone.effect, decisions[1].effect, "effect of the decision", atol=1e-9, rtol=0.0)


def check_missing_outcomes(checked: CheckedRouter) -> None:
    """Unobserved outcomes are not failures: read as zeros, they would lower the mean effect."""
    data = checked.data.view.data
    queries = Queries.of(data.queries["prompt"].tolist(), data.queries["task"].tolist())
    predicted = checked.router.predict(queries).effect
    observed = np.where(np.isfinite(predicted), data.outcome_matrix("effect"), np.nan)
    expect_close(
        float(np.nanmean(predicted)),
        float(np.nanmean(observed)),
        "the mean of expected effects, against those observed,",
        rtol=0.2,
    )


def check_tasks(checked: CheckedRouter) -> None:
    """A known task changes predictions where the class declares that it reads tasks, only there."""
    data = checked.data.view.data
    hidden = Queries.of(data.queries["prompt"].tolist())
    known = Queries.of(hidden.prompts, data.queries["task"].tolist())
    one, other = (checked.router.predict(each).effect for each in (known, hidden))
    same = np.array_equal(one, other, equal_nan=True)
    reads = checked.kind.reads_tasks
    expect(
        same != reads,
        f"reads_tasks is {reads}, and predictions {'stay' if same else 'move'} with the tasks.",
    )
    told = checked.router.known_tasks is not None
    expect(told == reads, f"reads_tasks is {reads}, and known_tasks {'are' if told else 'is not'}.")


def check_ranks(checked: CheckedRouter) -> None:
    """A class that only ranks the pool keeps effects within a trace of each other."""
    effect = checked.router.predict(checked.data.view.data.queries["prompt"].tolist()).effect
    spread = float(np.max(np.nanmax(effect, axis=1) - np.nanmin(effect, axis=1)))
    expect(spread <= TRACE, f"ranks_pool is True, and effects spread over {spread:.2g}.")


def check_replay(checked: CheckedRouter) -> None:
    """A router that looks at answers can be replayed on recorded outcomes, and no other can."""
    replay = getattr(checked.router, "replay", None)
    reads = checked.kind.reads_answers
    expect(
        callable(replay) == reads,
        f"reads_answers is {reads}, and it has {'a' if replay else 'no'} method replay.",
    )
    if replay is None:
        return
    seen = Observations.of(checked.data.view.data, checked.data.view.split.test)
    run = replay(seen.queries, seen.outcomes, trade_off=0.0)
    paid = run.cost_usd[run.answered]
    expect(run.answered.any() and (paid > 0).all(), "replayed, it pays nothing for its calls.")
    expect(
        bool(((run.num_calls > 0) == run.answered).all()),
        "replayed, it has answers without a call, or calls without an answer.",
    )


def _predicts_cost(kind: type[Router]) -> bool:
    return kind.can_predict_cost


def _ranks_pool(kind: type[Router]) -> bool:
    return kind.ranks_pool


def _learns_effects(kind: type[Router]) -> bool:
    return kind.learns_effects


PREDICTION_CHECKS = (
    Check.of(check_declarations),
    Check.of(check_shapes_and_ranges),
    Check.of(check_intervals),
    Check.of(check_familiarity),
    Check.of(check_same_answer),
    Check.of(check_batch_mates),
    Check.of(check_queries),
    Check.of(check_no_query),
    *(
        Check.of(
            partial(check_preset, preset=preset),
            preset,
            applies=None if preset == "performance_first" else _predicts_cost,
        )
        for preset in PRESETS
    ),
    Check.of(check_missing_outcomes, applies=_learns_effects),
    Check.of(check_tasks),
    Check.of(check_ranks, applies=_ranks_pool),
    Check.of(check_replay),
)
"""Checks of predictions, the simpler ones first."""
