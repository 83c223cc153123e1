"""Domain routers, and the assignment programme against brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.categories import Categories
from graphrouter.bench.baselines.methods.domains import (
    CompositionOfExperts,
    MoDEM,
    solve_assignment,
)
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import PolicyError
from graphrouter.types import FloatArray, Queries

ROUTERS: tuple[type[TextBaseline], ...] = (MoDEM, CompositionOfExperts)
WORDS = {
    "sums": "add carry total digit number",
    "verse": "rhyme stanza poem meter line",
    "code": "loop array class bug stack",
}
BEST = {"sums": "a", "verse": "b", "code": "c"}
COSTS = {"a": 0.01, "b": 0.02, "c": 0.09}


def prompt_of(task: str, number: int) -> str:
    words = np.random.default_rng(number).permutation(WORDS[task].split())
    return f"{' '.join(words[:4])} {number}"


def learning(
    tasks: Sequence[str], *, labelled: bool = True, costs: bool = True, num_held: int = 9
) -> LearningData:
    """One query a task given, which its specialist alone solves; `new` was never run."""
    rows = [(f"q{i}", task, prompt_of(task, i)) for i, task in enumerate(tasks)]
    outcomes = [
        (query, model, float(BEST[task] == model), COSTS[model] if costs else math.nan)
        for query, task, _ in rows
        for model in "abc"
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            [(q, t if labelled else None, p) for q, t, p in rows],
            columns=["query_id", "task", "prompt"],
        ),
        models=pd.DataFrame({"model": ["a", "b", "c", "new"]}),
        outcomes=pd.DataFrame(outcomes, columns=["query_id", "model", "effect", "cost_usd"]),
    )
    ids = [query for query, _, _ in rows]
    cut = len(ids) - num_held
    return LearningData.of(data, ids[:cut], encoder=HashingEncoder(64), validation_ids=ids[cut:])


@pytest.fixture(scope="module")
def three() -> LearningData:
    """Twenty training queries of each of three tasks."""
    return learning(["sums", "verse", "code"] * 23)


@pytest.mark.parametrize("kind", ROUTERS)
def test_the_expert_of_the_domain_is_chosen(kind: type[TextBaseline], three: LearningData) -> None:
    router = kind.learn(three)
    prompts = [prompt_of(task, 900) for task in ("sums", "verse", "code")]
    hidden, known = (
        router.predict(prompts),
        router.predict(prompts, tasks=["sums", "verse", "code"]),
    )
    np.testing.assert_allclose(hidden.effect, known.effect)
    assert known.effect.argmax(axis=1).tolist() == [0, 1, 2]
    own = three.means.effect[0, 0]
    np.testing.assert_allclose(
        known.effect[:, 0], [(20 + 5 * own) / 25, 5 * own / 25, 5 * own / 25]
    )
    np.testing.assert_allclose(known.effect[:, 3], three.means.effect[0, 3])  # never run


@pytest.mark.parametrize("kind", ROUTERS)
def test_a_known_task_is_taken_and_a_strange_one_is_not(
    kind: type[TextBaseline], three: LearningData
) -> None:
    router = kind.learn(three)
    poem = prompt_of("verse", 900)
    effect = router.predict([poem] * 3, tasks=["sums", "opera", None]).effect
    assert effect.argmax(axis=1).tolist() == [0, 1, 1]
    np.testing.assert_array_equal(effect[1], effect[2])


@pytest.mark.parametrize("kind", ROUTERS)
@pytest.mark.parametrize("labelled", [True, False])
def test_clusters_stand_in_for_missing_tasks(kind: type[TextBaseline], labelled: bool) -> None:
    tasks = ["sums", "verse"] * 20 if not labelled else ["sums"] * 40
    router = kind.learn(learning(tasks, labelled=labelled))
    assert isinstance(router, MoDEM | CompositionOfExperts)
    assert router.categories.tasks == ()
    assert router.categories.names[:2] == ("cluster 0", "cluster 1")
    assert router.predict([prompt_of("sums", 900)], tasks=["sums"]).effect[0].argmax() == 0


def test_probabilities_are_those_of_the_logistic_model(three: LearningData) -> None:
    categories = Categories.fit(three)
    asked = Queries.of([prompt_of("code", 901), "", prompt_of("sums", 1)], [None, None, "verse"])
    questions = Questions.of(asked, three.encoder)
    logits = questions.vectors @ categories.weights.T + categories.intercepts
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        categories.confidence(questions)[:2], probability.max(axis=1)[:2], atol=1e-8
    )
    assert categories.confidence(questions)[2] == 1.0
    assert categories.tasks == ("code", "sums", "verse")
    assert categories.of(questions)[[0, 2]].tolist() == [0, 2]


def test_two_tasks_keep_both_sides() -> None:
    categories = Categories.fit(learning(["sums", "verse"] * 20))
    asked = Queries.of([prompt_of("sums", 900), prompt_of("verse", 900)])
    questions = Questions.of(asked, HashingEncoder(64))
    assert categories.of(questions).tolist() == [0, 1]
    assert (categories.confidence(questions) > 0.5).all()


def test_an_unsure_prompt_is_general(three: LearningData) -> None:
    router = CompositionOfExperts.learn(three)
    strict = CompositionOfExperts(
        router.pool,
        router.cost_scale,
        router.encoder,
        router.amounts,
        router.categories,
        0.99,
        router.table,
        router.shares,
    )
    effect = strict.predict([""]).effect[0]
    np.testing.assert_allclose(effect, three.means.effect[0])
    assert (
        strict.predict([""], tasks=["code"]).effect[0].argmax() == 2
    )  # a known task is never unsure


def brute_force(effect: FloatArray, cost: FloatArray, shares: FloatArray, budget: float) -> float:
    """The highest mean effect of any assignment within the budget."""
    rows = np.arange(len(effect))
    best = -math.inf
    for columns in itertools.product(range(effect.shape[1]), repeat=len(effect)):
        if shares @ cost[rows, columns] <= budget * (1 + 1e-9):
            best = max(best, float(shares @ effect[rows, columns]))
    return best


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 4), st.floats(0, 1.2), st.integers(0, 2**32 - 1))
def test_the_programme_finds_what_trying_all_finds(
    num_categories: int, num_models: int, depth: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    effect = rng.random((num_categories, num_models))
    cost = 10.0 ** rng.uniform(-5, -2, (num_categories, num_models))
    shares = rng.dirichlet(np.ones(num_categories))
    low, high = shares @ cost.min(axis=1), shares @ cost.max(axis=1)
    budget = float(low + depth * (high - low))
    choice, price = solve_assignment(effect, cost, shares, budget_usd=budget)
    rows = np.arange(num_categories)
    assert shares @ cost[rows, choice] <= budget * (1 + 1e-5)
    assert shares @ effect[rows, choice] == pytest.approx(
        brute_force(effect, cost, shares, budget), abs=1e-5
    )
    assert price > 0


@settings(max_examples=25)
@given(st.floats(1e-4, 10), st.integers(0, 2**32 - 1))
def test_a_price_for_money_reproduces_the_assignment(usd_per_effect: float, seed: int) -> None:
    """What the policy's argmax spends is a budget for which its own choices are the programme's."""
    rng = np.random.default_rng(seed)
    effect, cost = rng.random((4, 3)), rng.uniform(0.01, 1, (4, 3))
    shares = np.full(4, 0.25)
    chosen = np.argmax(effect - cost / usd_per_effect, axis=1)
    rows = np.arange(4)
    budget = float(shares @ cost[rows, chosen])
    choice, _ = solve_assignment(effect, cost, shares, budget_usd=budget * (1 + 1e-9))
    assert shares @ effect[rows, choice] == pytest.approx(shares @ effect[rows, chosen], abs=1e-5)


def test_assignments_under_falling_budgets(three: LearningData) -> None:
    router = CompositionOfExperts.learn(three)
    rich = router.assign(1.0)
    assert rich.categories == ("code", "sums", "verse", "general")
    assert rich.models[:3] == ("c", "a", "b")
    assert rich.usd_per_effect == math.inf
    tight = router.assign(rich.cost_usd * 0.5)
    assert tight.cost_usd <= rich.cost_usd * 0.5 * (1 + 1e-6)
    assert tight.effect < rich.effect
    assert tight.models[0] != "c"  # the dearest expert goes first
    assert set(router.assign(0.01 * (1 + 1e-6)).models) == {"a"}
    assert router.shares.sum() == pytest.approx(1.0)


def test_the_policy_at_the_shadow_price_makes_the_assigned_choices(three: LearningData) -> None:
    router = CompositionOfExperts.learn(three)
    tight = router.assign(router.assign(1.0).cost_usd * 0.5)
    policy = gr.Policy(usd_per_effect=tight.usd_per_effect)
    tasks = list(tight.categories[:3])
    routed = [
        d.model
        for d in router.route_batch(
            [prompt_of(task, 900) for task in tasks], tasks=tasks, policy=policy
        )
    ]
    different = [
        task
        for task, model, expert in zip(tasks, routed, tight.models, strict=False)
        if model != expert
    ]
    assert len(different) <= 1


@pytest.mark.parametrize("budget", [0.0, -1.0, 0.009, math.nan, math.inf])
def test_a_budget_that_cannot_be_met(budget: float, three: LearningData) -> None:
    with pytest.raises(PolicyError, match="budget_usd"):
        CompositionOfExperts.learn(three).assign(budget)


def test_a_budget_without_costs() -> None:
    router = CompositionOfExperts.learn(learning(["sums", "verse"] * 20, costs=False))
    assert np.isnan(router.predict(["anything"]).cost_usd).all()
    with pytest.raises(PolicyError, match="no training outcome carried a cost"):
        router.assign(1.0)


@pytest.mark.parametrize("kind", ROUTERS)
def test_three_rows_and_duplicates(kind: type[TextBaseline]) -> None:
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": list("123"), "task": ["t", None, "u"], "prompt": ["same", "same", "other"]}
        ),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame({"query_id": ["1", "3"], "model": ["a", "b"], "effect": [0.5, 0.25]}),
    )
    router = kind.learn(LearningData.of(data, list("123"), encoder=HashingEncoder(64)))
    effect = router.predict(["", "same"]).effect
    assert ((effect > 0) & (effect < 1)).all()
