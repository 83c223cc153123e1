from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.simulate import Simulation, simulate
from graphrouter.bench.simulate.prompts import TASKS, compose_queries
from graphrouter.config import SplitConfig
from graphrouter.data import load_dataset, split_dataset
from graphrouter.exceptions import ConfigError
from graphrouter.policy import CostScale, Policy

SAMPLE = Path(__file__).resolve().parents[4] / "data" / "simulated"
TABLES = ("queries", "models", "outcomes", "tasks")


def test_the_default_has_the_size_that_was_asked_for(world: Simulation) -> None:
    data = world.data
    assert (len(data.queries), len(data.models), len(data.outcomes)) == (
        2400,
        12,
        round(0.85 * 2400 * 12),
    )
    assert data.queries["task"].nunique() == 10
    assert data.queries["prompt"].is_unique
    assert data.models["family"].nunique() == 5
    assert data.models["description"].notna().all()
    assert data.tasks["description"].notna().all()
    assert data.outcomes.notna().all().all()
    assert set(data.outcomes["effect"]) == {0.0, 1.0}


def test_the_same_seed_gives_the_same_frames_and_another_one_others() -> None:
    first, again, other = simulate(200, seed=3), simulate(200, seed=3), simulate(200, seed=4)
    for table in TABLES:
        pd.testing.assert_frame_equal(
            getattr(first.data, table), getattr(again.data, table), check_exact=True
        )
    np.testing.assert_array_equal(first.truth.effect, again.truth.effect)
    assert set(first.data.queries["prompt"]) != set(other.data.queries["prompt"])
    assert not np.array_equal(first.truth.effect, other.truth.effect)


def test_the_committed_sample_is_what_the_generator_makes() -> None:
    sample, made = load_dataset(SAMPLE), simulate(num_queries=120, seed=0).data
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(sample, table), getattr(made, table), rtol=1e-9)
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 150_000


def test_the_name_simulated_is_the_default(world: Simulation) -> None:
    assert load_dataset("simulated").fingerprint == world.data.fingerprint


def test_a_default_world_takes_under_three_seconds() -> None:
    start = time.perf_counter()
    simulate(seed=9)
    assert time.perf_counter() - start < 3.0


@pytest.mark.parametrize("num_models", [2, 5, 13, 40])
def test_pools_of_other_sizes_share_their_first_models(world: Simulation, num_models: int) -> None:
    other = simulate(30, num_models, missing=0.0).data
    assert len(other.models) == num_models
    assert other.models["model"].is_unique
    shared = min(num_models, 12)
    columns = ["model", "family", "input_usd_per_mtok", "output_usd_per_mtok", "context_tokens"]
    pd.testing.assert_frame_equal(
        other.models[columns].head(shared), world.data.models[columns].head(shared)
    )
    assert len(other.outcomes) == 30 * num_models


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"num_queries": 0}, "num_queries is 0"),
        ({"num_models": 1}, "num_models is 1; expected a whole number of at least 2"),
        ({"missing": 1.0}, "missing is 1.0; expected a share"),
        ({"density": 0.0}, "density is 0.0; expected a share above 0 and up to 1"),
        ({"density": 1.1}, "density is 1.1"),
        ({"density": 0.5, "missing": 0.5}, "expected one of them: density = 1 - missing"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, float], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        simulate(**arguments)  # type: ignore[arg-type]


def test_truth_is_the_mean_of_what_is_observed(world: Simulation) -> None:
    effect, cost = world.data.outcome_matrix("effect"), world.data.outcome_matrix("cost_usd")
    latency, seen = (
        world.data.outcome_matrix("latency_s"),
        np.isfinite(world.data.outcome_matrix("effect")),
    )
    np.testing.assert_allclose(
        np.nanmean(effect, axis=0), world.truth.effect.mean(axis=0), atol=0.03
    )
    for low in (0.0, 0.25, 0.5, 0.75):  # calibrated at every level
        band = seen & (world.truth.effect >= low) & (world.truth.effect < low + 0.25)
        chance = world.truth.effect[band]
        deviation = np.sqrt((chance * (1 - chance)).sum())  # of the number of successes
        assert abs(effect[band].sum() - chance.sum()) < 4 * deviation
    for observed, expected in ((cost, world.truth.cost_usd), (latency, world.truth.latency_s)):
        ratio = np.nansum(observed, axis=0) / np.where(seen, expected, 0.0).sum(axis=0)
        np.testing.assert_allclose(ratio, 1.0, atol=0.05)


def test_truth_table_has_a_row_for_every_pair(world: Simulation) -> None:
    table = world.truth.table
    assert list(table.columns) == ["query_id", "model", "effect", "cost_usd", "latency_s"]
    assert len(table) == 2400 * 12
    row = table.iloc[12 * 5 + 3]
    assert (row["query_id"], row["model"]) == (
        world.data.queries["query_id"][5],
        world.data.models["model"][3],
    )
    assert row["effect"] == world.truth.effect[5, 3]


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_routing_pays_and_not_by_task_alone(seed: int) -> None:
    simulation = simulate(seed=seed)
    data, truth = simulation.data, simulation.truth
    scale = CostScale.fit(data.outcome_matrix("cost_usd", split_dataset(data, SplitConfig()).train))
    utility = Policy.preset("balanced").utility(truth.effect, truth.cost_usd, scale)
    best_single, oracle = utility.mean(axis=0).max(), utility.max(axis=1).mean()
    tasks = data.queries["task"].to_numpy()
    by_task = sum(utility[tasks == task].sum(axis=0).max() for task in np.unique(tasks)) / len(
        tasks
    )
    assert oracle - best_single >= 0.06
    assert 0.2 <= (by_task - best_single) / (oracle - best_single) <= 0.7


def test_difficulty_shows_in_the_text(world: Simulation) -> None:
    # The median prompt of the easiest third is shorter than that of the hardest third, in every
    # task but the shortest one.
    easiness = pd.Series(world.truth.effect.mean(axis=1))
    chars = world.data.queries["prompt"].str.len()
    for task in set(world.data.queries["task"]) - {"facts"}:
        rows = world.data.queries["task"] == task
        thirds = pd.qcut(easiness[rows].rank(), 3, labels=["hard", "middle", "easy"])
        assert chars[rows][thirds == "easy"].median() < chars[rows][thirds == "hard"].median()


def test_every_facet_writes_prompts_at_every_level() -> None:
    rng = np.random.default_rng(5)
    for task in TASKS:
        for facet in task.facets:
            for level in (0.0, 0.5, 1.0):
                prompts = {facet.compose(rng, level).prompt for _ in range(30)}
                assert len(prompts) >= 10, (task.task, facet.name, level)
                assert all("{" not in prompt or task.task.startswith("code") for prompt in prompts)
                assert all(prompt == prompt.strip() for prompt in prompts)


def test_prompts_stay_distinct_in_large_worlds() -> None:
    prompts = [query.prompt for query in compose_queries(10_000, np.random.default_rng(0))]
    assert len(set(prompts)) == 10_000


@pytest.mark.parametrize(
    ("density", "least"), [(0.0005, 0), (0.02, 1), (0.3, 1), (0.7, 1), (1.0, 50)]
)
def test_a_density_is_exact_and_leaves_no_query_out_where_it_need_not(
    density: float, least: int
) -> None:
    data = simulate(300, 50, density=density, seed=2).data
    assert len(data.outcomes) == max(1, round(density * 300 * 50))
    asked = data.outcomes["query_id"].value_counts().reindex(data.queries["query_id"]).fillna(0)
    assert asked.min() >= least
    # Any pair may be drawn: no model has more than chance gives it.
    of_model = data.outcomes["model"].value_counts().reindex(data.models["model"]).fillna(0)
    expected = density * 300
    assert (abs(of_model - expected) <= 5 * np.sqrt(expected) + 1).all()


def test_a_sparse_world_is_the_same_again_and_its_truth_that_of_the_whole() -> None:
    whole, first, again = (
        simulate(60, 100, seed=5, missing=0.0),
        simulate(60, 100, seed=5, density=0.05),
        simulate(60, 100, seed=5, density=0.05),
    )
    assert first.data.fingerprint == again.data.fingerprint
    pd.testing.assert_frame_equal(first.data.queries, whole.data.queries)
    np.testing.assert_array_equal(first.truth.effect, whole.truth.effect)
    table = first.truth.table
    pairs = ["query_id", "model"]
    pd.testing.assert_frame_equal(
        table[pairs], first.data.outcomes[pairs].reset_index(drop=True), check_dtype=False
    )
    told = whole.truth.table.merge(table[pairs], on=pairs)
    pd.testing.assert_frame_equal(told, table)


def test_a_sparse_world_keeps_nothing_as_large_as_all_its_pairs() -> None:
    tracemalloc.start()
    simulate(2000, 2000, density=0.0005)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 2000 * 8  # bytes of one column of all pairs
