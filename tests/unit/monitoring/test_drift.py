"""Drift: seldom a false alarm, nearly always a real one, and the right model and task named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from graphrouter.bench.simulate import simulate_people
from graphrouter.bench.simulate.simulated_views import ViewSimulation, simulate_views
from graphrouter.bench.simulate.simulation import simulate
from graphrouter.config import load_config
from graphrouter.data import Split
from graphrouter.exceptions import DataError
from graphrouter.features.tables import find_positions
from graphrouter.monitoring.drift import check_drift
from graphrouter.monitoring.drift_cells import FEWEST_OUTCOMES
from graphrouter.monitoring.drift_reference import Calibration, predict_held_back
from graphrouter.monitoring.drift_report import DriftReport
from graphrouter.monitoring.p_values import Chance, adjust_p_values, find_common_shift
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool, parse_card
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, Predictions, Queries

NUM_MODELS = 8
TASKS = ("sums", "facts", "code", "rhymes")
NAMES = tuple(f"model-{i}" for i in range(NUM_MODELS))


class Knowing(Router):
    """Predicts what a prompt says: its effects, one a model."""

    def __init__(self) -> None:
        self.pool = ModelPool.of(parse_card({"model": name}) for name in NAMES)
        self.cost_scale = CostScale(float("nan"), float("nan"))

    def _predict(self, queries: Queries) -> Predictions:
        effect = np.array(
            [[float(word) for word in prompt.split()[1:]] for prompt in queries.prompts]
        )
        return Predictions.from_arrays(self.models, effect.reshape(-1, NUM_MODELS))


class World:
    """Models with predictions that are off: by model, by task and model, and by query for all
    models alike."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.skill = self.rng.uniform(0.35, 0.75, NUM_MODELS)
        self.model_error = self.rng.normal(0, 0.05, NUM_MODELS)
        self.cell_error = self.rng.normal(0, 0.03, (len(TASKS), NUM_MODELS))

    def outcomes(
        self,
        num_queries: int,
        *,
        hardness: float = 0.0,
        change: FloatArray | float = 0.0,
        share: float = 1.0,
        batch: str = "new",
    ) -> pd.DataFrame:
        """Outcomes of every model on prompts that no other call made; `change` is (num_tasks,
        num_models) or for all."""
        task = np.arange(num_queries) % len(TASKS)
        solved = (
            self.rng.random((num_queries, NUM_MODELS)) < self.skill
        )  # predictions are sharp, as those of a good router
        expected = np.clip(
            np.where(solved, 0.85, 0.15) + self.rng.normal(0, 0.03, solved.shape), 0.02, 0.98
        ).round(4)
        error = (
            self.model_error
            + self.cell_error[task]
            + self.rng.normal(0, 0.06, (num_queries, 1))
            - hardness
        )
        effect = (self.rng.random(expected.shape) < np.clip(expected + error, 0, 1)).astype(float)
        change = np.broadcast_to(change, (len(TASKS), NUM_MODELS))[task]
        wrong = np.where(
            change > 0, effect == 0, effect == 1
        )  # what a change turns round, enough of it to move the mean so far
        effect = np.where(
            wrong
            & (
                self.rng.random(effect.shape)
                < np.abs(change) / np.maximum(wrong.mean(axis=0), 0.05)
            ),
            1 - effect,
            effect,
        )
        prompts = [f"{batch}-{i} " + " ".join(map(str, row)) for i, row in enumerate(expected)]
        rows, columns = np.nonzero(self.rng.random(expected.shape) < share)
        return pd.DataFrame(
            {
                "model": np.array(NAMES)[columns],
                "prompt": np.array(prompts)[rows],
                "task": np.array(TASKS)[task[rows]],
                "effect": effect[rows, columns],
            }
        )


def _check(seed: int, num_queries: int = 200, **options: object) -> DriftReport:
    world = World(seed)
    reference = world.outcomes(1000, batch="old")
    return check_drift(Knowing(), world.outcomes(num_queries, **options), reference=reference)  # type: ignore[arg-type]


def _changed(model: int, by: float, task: int | None = None) -> FloatArray:
    change = np.zeros((len(TASKS), NUM_MODELS))
    change[slice(None) if task is None else task, model] = by
    return change


def test_no_change_and_a_change_of_0_15_a_few_times() -> None:
    assert sum(bool(_check(seed).changed) for seed in range(8)) <= 2
    assert (
        sum(NAMES[1] in _check(seed, change=_changed(1, -0.15)).changed for seed in range(8)) >= 6
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"hardness": 0.1}, {"share": 0.6, "num_queries": 120}])
def test_no_change_seldom_raises_an_alarm(options: dict[str, float]) -> None:
    alarms = [
        bool(_check(seed, **options).changed) for seed in range(70)
    ]  # 210 replications over the three kinds of batch
    assert (
        sum(alarms) <= 8
    )  # of 70; at most 0.05 a replication is 3.5, and 9 or more would come by chance once in 150


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"hardness": 0.1}])
def test_a_change_of_0_15_is_found_and_nothing_else(options: dict[str, float]) -> None:
    reports = [
        _check(seed, change=_changed(seed % NUM_MODELS, (-1) ** seed * 0.15), **options)
        for seed in range(40)
    ]
    assert (
        sum(NAMES[seed % NUM_MODELS] in report.changed for seed, report in enumerate(reports)) >= 36
    )
    assert (
        sum(
            len(set(report.changed) - {NAMES[seed % NUM_MODELS]})
            for seed, report in enumerate(reports)
        )
        <= 3
    )


def test_a_change_on_one_task_is_named_with_the_task() -> None:
    reports = [_check(seed, 240, change=_changed(2, -0.4, task=1)) for seed in range(20)]
    named = [
        {task.name for check in report.models for task in check.changed_tasks} for report in reports
    ]
    assert sum(tasks == {"facts"} for tasks in named) >= 18
    assert sum(NAMES[2] in report.changed for report in reports) >= 19


def test_hard_prompts_are_a_shift_in_common_and_no_models_fault() -> None:
    report = _check(1, 400, hardness=0.15)
    assert report.changed == ()
    assert report.common_shift == pytest.approx(-0.15, abs=0.04)
    assert {task.name for task in report.tasks if task.verdict == "changed"} != set()


@pytest.mark.parametrize(("by", "expected"), [(0.0, ()), (-0.25, (NAMES[0],))])
def test_of_two_models_the_one_that_moved_is_named(by: float, expected: tuple[str, ...]) -> None:
    named = []
    for seed in range(10):
        world = World(seed)
        reference = world.outcomes(800, batch="old")
        new = world.outcomes(300, hardness=0.0 if expected else 0.15, change=_changed(0, by))
        named.append(
            check_drift(Knowing(), new[new["model"].isin(NAMES[:2])], reference=reference).changed
        )
    assert named.count(expected) >= 9


def test_few_outcomes_get_no_verdict() -> None:
    world = World(0)
    new = world.outcomes(FEWEST_OUTCOMES, change=_changed(0, -0.9))
    few = new.drop(index=new.index[new["model"] == NAMES[0]][0])
    checks = check_drift(Knowing(), few).models
    assert checks[0].overall.num_outcomes == FEWEST_OUTCOMES - 1
    assert checks[0].verdict == "too few to tell"
    assert np.isnan(checks[0].overall.p_value)
    assert {check.verdict for check in checks[1:]} == {"as expected"}


def test_figures_add_up_and_become_plain_json() -> None:
    report = _check(5, 90)
    for check in report.models:
        found = check.overall
        assert found.difference == pytest.approx(found.observed - found.expected)
        assert found.low < found.difference < found.high
        assert sum(task.num_outcomes for task in check.tasks) == found.num_outcomes
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [row["model"] for row in plain["models"]] == list(NAMES)
    assert {row["task"] for row in plain["tasks"]} == set(TASKS)


def test_the_same_outcomes_give_the_same_report_in_any_order() -> None:
    world = World(6)
    new, reference = world.outcomes(60), world.outcomes(100, batch="old")
    first, second = (
        check_drift(Knowing(), each, reference=reference).to_json()
        for each in (new, new.sample(frac=1, random_state=0))
    )
    for one, other in zip(first["models"], second["models"], strict=True):
        assert one["model"] == other["model"]
        assert one["p_value"] == pytest.approx(other["p_value"])


def test_common_shift_by_hand() -> None:
    assert_allclose(find_common_shift(np.array([[0.5]])), [0.0])
    assert_allclose(
        find_common_shift(np.array([[0.2, 0.0, 0.1, 0.9], [-0.2, 0.1, 0.3, -0.4]])), [0.1, 0.0]
    )


def test_means_that_always_move_together_are_drawn_together() -> None:
    together = Chance.of(np.full((3, 3), 0.25)).draws
    assert together.std(axis=0) == pytest.approx([0.5] * 3, rel=0.05)
    assert together[:, 1:] == pytest.approx(together[:, :2], abs=1e-7)


def test_adjusted_p_values_hold_the_rate_for_all_tests_together() -> None:
    draws = Chance.of(np.eye(5) + 0.5, seed=1).draws
    fresh = Chance.of(np.eye(5) + 0.5, num_draws=400, seed=2).draws
    share = np.mean([(adjust_p_values(row, draws) <= 0.1).any() for row in fresh])
    assert 0.06 <= share <= 0.14


def test_calibration_finds_the_error_of_a_model_and_knows_little_of_a_new_one() -> None:
    size = 2000
    reference = pd.DataFrame(
        {
            "model": ["a"] * size + ["b"] * size,
            "query": [f"q{i}" for i in range(size)] * 2,
            "task": ["t"] * (2 * size),
            "effect": np.tile([1.0, 0.0], size),
            "expected": [0.4] * size + [0.6] * size,
        }
    )
    offsets = Calibration.fit(reference).offsets(
        pd.MultiIndex.from_tuples([("a", "t"), ("b", "t"), ("new", "t")])
    )
    assert_allclose(offsets.mean, [0.1, -0.1, 0.0], atol=0.01)
    assert offsets.covariance[2, 2] > 10 * offsets.covariance[0, 0] > 0


@pytest.fixture(scope="module")
def trained() -> tuple[GraphRouter, pd.DataFrame]:
    """A router, and outcomes on the test queries that it has not seen."""
    data = simulate(num_queries=1000, num_models=6, seed=2).data
    settings = (
        "encoder.name=hashing",
        "training.max_epochs=2",
        "training.steps_per_epoch=10",
        "training.accelerator=cpu",
    )
    router = GraphRouter.fit(data, load_config(overrides=settings))
    test = data.queries[data.queries["query_id"].isin(router.provenance.split.test)]
    new = data.outcomes.merge(test, on="query_id")[["model", "prompt", "task", "effect"]]
    return router, new


def test_test_queries_of_a_router_are_as_expected(
    trained: tuple[GraphRouter, pd.DataFrame],
) -> None:
    router, new = trained
    report = check_drift(router, new)
    assert report.changed == ()
    assert (report.num_repeated, report.num_left_out) == (0, 0)


def test_a_model_that_answers_like_another_has_changed(
    trained: tuple[GraphRouter, pd.DataFrame],
) -> None:
    router, new = trained
    mean = new.groupby("model")["effect"].mean().sort_values()
    worst, best = str(mean.index[0]), str(mean.index[-1])
    swapped = pd.concat(
        [new[new["model"] != best], new[new["model"] == worst].assign(model=best)],
        ignore_index=True,
    )
    report = check_drift(router, swapped)
    assert report.changed == (best,)
    assert next(check for check in report.models if check.model == best).overall.difference < -0.15


def test_a_repeated_prompt_is_compared_with_its_older_outcome(
    trained: tuple[GraphRouter, pd.DataFrame],
) -> None:
    router, _ = trained
    old = router.support.outcomes[["query_id", "model", "effect"]]
    same = check_drift(router, old)
    assert same.changed == ()
    assert (same.num_repeated, same.num_left_out) == (len(old), 0)
    assert_allclose([check.overall.difference for check in same.models], 0.0, atol=1e-12)
    model = router.models[0]
    rows = old.index[(old["model"] == model) & (old["effect"] == 1.0)][:60]
    assert check_drift(
        router, old.assign(effect=old["effect"].mask(old.index.isin(rows), 0.0))
    ).changed == (model,)


def test_prompts_known_from_other_models_are_left_out(
    trained: tuple[GraphRouter, pd.DataFrame],
) -> None:
    router, new = trained
    known = set(map(tuple, router.support.outcomes[["query_id", "model"]].to_numpy()))
    missing = [
        (q, m)
        for q in router.support.queries["query_id"]
        for m in router.models
        if (q, m) not in known
    ]
    gaps = pd.DataFrame(missing, columns=["query_id", "model"]).assign(effect=1.0)
    assert check_drift(router, pd.concat([new, gaps], ignore_index=True)).num_left_out == len(gaps)
    with pytest.raises(DataError, match="Give outcomes on new prompts"):
        check_drift(router, gaps)


def test_held_back_outcomes_are_those_of_the_support(
    trained: tuple[GraphRouter, pd.DataFrame],
) -> None:
    router, _ = trained
    table = predict_held_back(router)
    assert len(table) == len(router.support.outcomes)
    assert set(table["task"]) == set(router.support.queries["task"])
    assert (table["effect"] - table["expected"]).mean() == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="effect"), "column 'effect' is missing"),
        (lambda table: table.head(0), "has no rows"),
        (lambda table: table.assign(model="nobody"), "row 1: model 'nobody' is not in the pool"),
        (lambda table: table.drop(columns="prompt"), "row 1: neither query_id nor prompt"),
        (
            lambda table: table.drop(columns="prompt").assign(query_id="q"),
            "row 1: query_id 'q', which the router does not know",
        ),
        (lambda table: table.assign(effect=2.0), "row 1: effect is 2"),
    ],
)
def test_bad_outcomes_end_in_one_line(change: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_drift(Knowing(), change(World(0).outcomes(3)))  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_the_level_is_a_chance(level: float) -> None:
    with pytest.raises(DataError, match="expected a chance between 0 and 1"):
        check_drift(Knowing(), World(0).outcomes(3), level=level)


class Reading(Knowing):
    """Predicts what a prompt says; of one model nearly nothing, for some who ask and contexts."""

    def _predict(self, queries: Queries) -> Predictions:
        effect = super()._predict(queries).effect.copy()
        facts = zip(queries.users, queries.teams, queries.contexts, queries.embeddings, strict=True)
        strict = [any(fact is not None for fact in each) for each in facts]
        effect[strict, 2] = 0.02
        return Predictions.from_arrays(self.models, effect)


@pytest.mark.parametrize(
    "columns",
    [{"user": "eve"}, {"team": "audit"}, {"context": "It is so."}, {"embedding": "[0.5, 1.0]"}],
)
def test_who_asked_and_what_goes_with_it_is_expected_of(columns: dict[str, str]) -> None:
    """Without the column the same grades look like drift."""
    world = World(3)
    reference, new = world.outcomes(300, batch="old"), world.outcomes(60)
    new = new.assign(effect=new["effect"].where(new["model"] != NAMES[2], 0.0))
    assert check_drift(Reading(), new, reference=reference).changed == (NAMES[2],)
    told = check_drift(Reading(), new.assign(**columns), reference=reference)
    assert told.changed == ()
    found = next(check for check in told.models if check.model == NAMES[2])
    assert found.overall.expected == pytest.approx(0.02, abs=0.08)


@pytest.fixture(scope="module")
def peopled() -> GraphRouter:
    data = simulate_people(num_queries=240, num_models=3, num_users=4, num_teams=2).data
    router = GraphRouter.fit(data, load_config(overrides=["encoder.name=hashing"]), instant=True)
    prompts = [f"Add {i} and {i + 1}." for i in range(80)]
    grades = pd.DataFrame({"prompt": prompts, "model": router.models[0], "effect": 0.0})
    return router.add_outcomes(grades.assign(user="eve"))


def test_a_strict_user_is_no_drift(peopled: GraphRouter) -> None:
    prompts = [f"Add {i} and {i + 2}." for i in range(60)]
    grades = pd.DataFrame({"prompt": prompts, "model": peopled.models[0], "effect": 0.0})
    of_nobody = check_drift(peopled, grades)
    assert of_nobody.changed == (peopled.models[0],)
    of_eve = check_drift(peopled, grades.assign(user="eve"))
    assert of_eve.changed == ()
    expected = peopled.predict(prompts, users=["eve"] * 60).effect[:, 0].mean()
    # What the router is usually off by is taken into it.
    assert of_eve.models[0].overall.expected == pytest.approx(expected, abs=0.1)
    assert of_nobody.models[0].overall.expected > expected + 0.2


def test_what_somebody_else_asked_is_no_repeat(peopled: GraphRouter) -> None:
    prompts = [f"Add {i} and {i + 1}." for i in range(30)]
    grades = pd.DataFrame({"prompt": prompts, "model": peopled.models[0], "effect": 0.0})
    counts = [
        check_drift(peopled, grades.assign(user=user)).num_repeated for user in ("eve", "adam")
    ]
    assert counts == [30, 0]
    own = peopled.support.outcomes[["query_id", "model", "effect"]]
    again = check_drift(peopled, own)
    assert (again.num_repeated, again.changed) == (len(own), ())
    query = str(own["query_id"].iloc[0])
    with pytest.raises(DataError, match=f"row 1: query_id '{query}' is not of user 'adam'"):
        check_drift(peopled, own.iloc[:1].assign(user="adam"))


@pytest.fixture(scope="module")
def seeing() -> tuple[ViewSimulation, GraphRouter]:
    world = simulate_views("embedding", 400, 3)
    ids = tuple(world.data.queries["query_id"])
    config = load_config(overrides=["encoder.name=hashing"])
    return world, GraphRouter.fit(world.data, config, split=Split(ids, (), ()), instant=True)


def test_held_back_outcomes_are_expected_by_what_goes_with_their_queries(
    seeing: tuple[ViewSimulation, GraphRouter],
) -> None:
    """A router keeps no context and no embedding as it came, but what it has read of them."""
    world, router = seeing
    ids, models = world.data.queries["query_id"].tolist(), world.data.models["model"].tolist()
    found = predict_held_back(router)
    at = find_positions(found["query"], ids), find_positions(found["model"], models)
    told = (world.effect - world.blind)[at]
    assert np.corrcoef(found["expected"] - world.blind[at], told)[0, 1] > 0.5


def test_a_router_without_its_texts_expects_the_same_of_held_back_outcomes(
    seeing: tuple[ViewSimulation, GraphRouter], tmp_path: Path
) -> None:
    _, router = seeing
    router.save(tmp_path / "router", evidence=False)
    loaded = predict_held_back(GraphRouter.load(tmp_path / "router"))
    assert_allclose(loaded["expected"], predict_held_back(router)["expected"], atol=1e-9)
