"""A budget over a stream: near the budget and never beyond it, through shuffles and drifts."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pytest

from graphrouter.batch_records import BatchLimits
from graphrouter.batch_routing import assign_batch
from graphrouter.exceptions import PolicyError
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.budget_stream import BudgetStream
from graphrouter.router.protocol import Router
from graphrouter.selection import PolicyContext
from graphrouter.types import FloatArray, Predictions, Queries

MODELS = tuple(f"m{i}" for i in range(8))
POOL = ModelPool.of(ModelCard(model=name) for name in MODELS)
CONTEXT = PolicyContext(POOL, CostScale(0.0, 1.0))
NUM_PROMPTS = 800
Drift = Literal["none", "cost", "difficulty"]


class Stream(NamedTuple):
    """Prompts in the order in which they come."""

    effect: FloatArray
    cost_usd: FloatArray
    bill_ratio: FloatArray
    """(num_prompts,), what is billed over what was expected."""

    def at(self, i: int) -> Predictions:
        return Predictions.from_arrays(
            MODELS, self.effect[i : i + 1], cost_usd=self.cost_usd[i : i + 1]
        )

    @property
    def billed_usd(self) -> FloatArray:
        return self.cost_usd * self.bill_ratio[:, None]

    @property
    def budget_usd(self) -> float:
        """A quarter of the way from the cheapest choices to the best ones."""
        billed = self.billed_usd
        best = billed[np.arange(len(billed)), self.effect.argmax(axis=1)].sum()
        return float(0.75 * billed.min(axis=1).sum() + 0.25 * best)


def make_stream(seed: int, drift: Drift = "none") -> Stream:
    """Dearer models solve more; prompts differ in difficulty and length, and bills vary."""
    random = np.random.default_rng(seed)
    skill = np.linspace(-1.5, 1.5, len(MODELS))
    difficulty = random.normal(size=(NUM_PROMPTS, 1)) * 1.5
    if drift == "difficulty":
        difficulty = np.sort(difficulty, axis=0) + random.normal(size=difficulty.shape) / 2
    noise = random.normal(size=(NUM_PROMPTS, len(MODELS))) / 2
    effect = 1 / (1 + np.exp(difficulty - skill - noise))
    length = np.exp(random.normal(size=(NUM_PROMPTS, 1)) / 2)
    cost = 1e-4 * length * np.exp(1.5 * skill + noise / 4)
    ratio = np.exp(0.3 * random.normal(size=NUM_PROMPTS))
    return Stream(
        effect, cost, ratio * (np.linspace(0.7, 2, NUM_PROMPTS) if drift == "cost" else 1)
    )


def spend(stream: Stream, controller: BudgetStream, *, bills: bool = True) -> float:
    """The total effect; every prompt is answered."""
    effect = 0.0
    for i in range(len(stream.effect)):
        decision = controller.choose(stream.at(i), CONTEXT)
        effect += decision.effect
        if bills:
            assert decision.cost_usd is not None
            controller.record(decision.cost_usd * float(stream.bill_ratio[i]))
        assert controller.spent_usd <= controller.budget_usd
    return effect


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 20))]
)
def test_a_shuffled_stream_ends_within_two_percent(seed: int) -> None:
    stream = make_stream(0)
    order = np.random.default_rng(seed).permutation(NUM_PROMPTS)
    shuffled = Stream(*(values[order] for values in stream))
    controller = BudgetStream(budget_usd=stream.budget_usd, num_prompts=NUM_PROMPTS)
    effect = spend(shuffled, controller)
    assert 0.98 * controller.budget_usd <= controller.spent_usd <= controller.budget_usd
    hindsight = assign_batch(
        Policy(),
        Predictions.from_arrays(MODELS, stream.effect, cost_usd=stream.billed_usd),
        CONTEXT,
        BatchLimits(stream.budget_usd),
    )
    assert effect >= 0.97 * hindsight.total_effect


@pytest.mark.parametrize("drift", ["cost", "difficulty"])
@pytest.mark.parametrize("seed", range(3))
def test_a_drift_is_followed_to_within_two_percent(drift: Drift, seed: int) -> None:
    stream = make_stream(seed, drift)
    controller = BudgetStream(budget_usd=stream.budget_usd, num_prompts=NUM_PROMPTS)
    spend(stream, controller)
    assert 0.98 * controller.budget_usd <= controller.spent_usd <= controller.budget_usd
    if drift == "cost":
        assert controller.bill_ratio == pytest.approx(2.0, rel=0.25)


def test_without_bills_what_was_expected_counts() -> None:
    stream = make_stream(1)._replace(bill_ratio=np.ones(NUM_PROMPTS))
    controller = BudgetStream(budget_usd=stream.budget_usd, num_prompts=NUM_PROMPTS)
    spend(stream, controller, bills=False)
    assert 0.98 * controller.budget_usd <= controller.spent_usd <= controller.budget_usd
    assert controller.bill_ratio == 1.0


def test_a_budget_for_the_cheapest_alone_takes_those() -> None:
    stream = make_stream(2)
    budget = float(stream.cost_usd.min(axis=1).sum()) * 1.0001
    controller = BudgetStream(budget_usd=budget, num_prompts=NUM_PROMPTS)
    cheapest = 0
    for i in range(NUM_PROMPTS // 2):
        decision = controller.choose(stream.at(i), CONTEXT)
        cheapest += decision.cost_usd == stream.cost_usd[i].min()
    assert cheapest > 0.9 * NUM_PROMPTS // 2


def test_a_large_budget_takes_the_best() -> None:
    stream = make_stream(3)
    controller = BudgetStream(budget_usd=1000.0, num_prompts=NUM_PROMPTS)
    chosen = [controller.choose(stream.at(i), CONTEXT).effect for i in range(50)]
    assert chosen == stream.effect[:50].max(axis=1).tolist()
    assert controller.shadow_price == 0.0


def test_what_is_spent_is_refused_and_says_how_much_is_left() -> None:
    stream = make_stream(4)
    controller = BudgetStream(
        budget_usd=float(stream.cost_usd[0].min()) * 1.5, num_prompts=NUM_PROMPTS
    )
    assert controller.choose(stream.at(0), CONTEXT).cost_usd == stream.cost_usd[0].min()
    with pytest.raises(PolicyError, match=r"are left after 1 of 800 prompts, and the cheapest mod"):
        controller.choose(stream.at(0), CONTEXT)
    assert controller.num_routed == 1, "a refused prompt is not counted"


def test_prompts_beyond_those_expected_get_the_cheapest() -> None:
    stream = make_stream(5)
    controller = BudgetStream(budget_usd=1000.0, num_prompts=1)
    first, second = (controller.choose(stream.at(i), CONTEXT) for i in range(2))
    assert first.effect == stream.effect[0].max()
    assert second.cost_usd == stream.cost_usd[1].min()


def test_a_policy_is_respected() -> None:
    stream, policy = make_stream(6), Policy(excluded=("m0", "m7"), min_effect=0.2, fallback="m6")
    controller = BudgetStream(budget_usd=1000.0, num_prompts=NUM_PROMPTS, policy=policy)
    for i in range(100):
        decision = controller.choose(stream.at(i), CONTEXT)
        assert decision.model not in ("m0", "m7")
        assert decision.effect >= 0.2 or decision.used_fallback
        if not decision.used_fallback:
            assert decision.effect == stream.effect[i, 1:7].max(), "no longer the cheapest"


class Same(Router):
    """Expects the same of every prompt."""

    name = "same"
    pool = POOL
    cost_scale = CostScale(0.0, 1.0)

    def _predict(self, queries: Queries) -> Predictions:
        stream = make_stream(7)
        rows = [0] * len(queries)
        return Predictions.from_arrays(MODELS, stream.effect[rows], cost_usd=stream.cost_usd[rows])


def test_a_router_is_asked_prompt_by_prompt() -> None:
    controller = BudgetStream(budget_usd=1.0, num_prompts=2)
    decision = controller.route(Same(), "Hello", task=None)
    assert decision.model in MODELS
    assert controller.spent_usd == decision.cost_usd
    controller.record(0.25)
    assert (controller.spent_usd, controller.left_usd) == (0.25, 0.75)
    assert repr(controller).startswith("BudgetStream(0.25 of 1 USD, 1 of 2 prompts, shadow")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget_usd": -1.0}, "budget_usd is -1.0; expected a finite number of at least 0"),
        ({"budget_usd": float("nan")}, "budget_usd is nan; expected"),
        ({"num_prompts": 0}, "num_prompts is 0; expected a whole number of at least 1"),
        ({"num_prompts": 2.5}, "num_prompts is 2.5; expected"),
        ({"window": 0}, "window is 0; expected"),
        ({"policy": {"cost_weight": 1}}, "policy is a dict; expected a Policy"),
    ],
)
def test_settings_that_cannot_be_meant(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        BudgetStream(**{"budget_usd": 1.0, "num_prompts": 10, **change})


def test_bills_that_cannot_be_meant() -> None:
    controller = BudgetStream(budget_usd=1.0, num_prompts=10)
    with pytest.raises(PolicyError, match="every call has its bill already; expected one bill a"):
        controller.record(0.1)
    controller.choose(make_stream(8).at(0), CONTEXT)
    with pytest.raises(PolicyError, match="cost_usd is nan; expected a finite number"):
        controller.record(float("nan"))


def test_unknown_costs_and_several_queries_are_refused() -> None:
    controller = BudgetStream(budget_usd=1.0, num_prompts=10, policy=Policy(fallback="m1"))
    effect, unknown = np.full((1, 8), 0.5), np.full((1, 8), np.nan)
    with pytest.raises(PolicyError, match="budget_usd needs costs, but this router cannot predict"):
        controller.choose(Predictions.from_arrays(MODELS, effect), CONTEXT)
    with pytest.raises(PolicyError, match="Predictions of 2 queries were received; expected those"):
        controller.choose(Predictions.from_arrays(MODELS, np.full((2, 8), 0.5)), CONTEXT)
    unknown[0, 0] = 0.5
    strict = BudgetStream(
        budget_usd=1.0, num_prompts=10, policy=Policy(fallback="m1", excluded=("m0",))
    )
    with pytest.raises(PolicyError, match="The fallback 'm1' has an unknown cost"):
        strict.choose(Predictions.from_arrays(MODELS, effect, cost_usd=unknown), CONTEXT)


def test_a_bill_that_is_none_is_told_from_a_budget() -> None:
    stream = BudgetStream(budget_usd=1.0, num_prompts=2)
    said = "cost_usd is -1; expected a finite number of at least 0. Record the US dollars that the"
    with pytest.raises(PolicyError, match=said) as told:
        stream.record(-1)
    assert "no limit" not in str(told.value)
    with pytest.raises(PolicyError, match="budget_usd is -1.* It is the US dollars of all prompts"):
        BudgetStream(budget_usd=-1, num_prompts=2)
    with pytest.raises(PolicyError, match=r"num_prompts is \['x', .*1,000 in all"):
        BudgetStream(budget_usd=1, num_prompts=["x"] * 1000)  # type: ignore[arg-type]
