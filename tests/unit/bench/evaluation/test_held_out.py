"""On which queries a router may be evaluated, and what its baselines learn from."""

from __future__ import annotations

import logging
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.baselines import fit_baselines
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.held_out import (
    Side,
    choose_baseline_data,
    choose_held_out,
    collect_held_out,
    warn_of_unknown_models,
)
from graphrouter.bench.simulate.simulation import Simulation, simulate
from graphrouter.config import load_config
from graphrouter.data import RoutingDataset
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.router.graph_router import GraphRouter


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(num_queries=150, num_models=4, seed=1)


@pytest.fixture(scope="module")
def router(simulation: Simulation) -> GraphRouter:
    fast = (
        "encoder.name=hashing",
        "encoder.dimension=64",
        "training.max_epochs=0",
        "training.steps_per_epoch=2",
        "training.batch_queries=32",
        "training.accelerator=cpu",
    )
    return GraphRouter.fit(simulation.data, load_config(overrides=fast))


def changed(
    data: RoutingDataset, *, queries: pd.DataFrame | None = None, models: pd.DataFrame | None = None
) -> RoutingDataset:
    """The data with other queries or models; outcomes that no longer fit are dropped."""
    queries = data.queries if queries is None else queries
    models = data.models if models is None else models
    fits = data.outcomes["query_id"].isin(queries["query_id"]) & data.outcomes["model"].isin(
        models["model"]
    )
    return RoutingDataset.from_frames(
        queries=queries,
        models=models,
        outcomes=data.outcomes[fits],
        tasks=data.tasks,
        name="changed",
    )


def test_on_its_own_data_the_sides_are_those_of_the_split(
    router: GraphRouter, simulation: Simulation
) -> None:
    split = router.provenance.split
    assert choose_held_out(router, simulation.data, "test") == split.test
    assert choose_held_out(router, simulation.data, "validation") == split.validation


def test_on_grown_data_all_that_is_new_counts(
    router: GraphRouter, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    data, split = simulation.data, router.provenance.split
    copies = data.queries[data.queries["query_id"].isin(split.train[:5])].assign(
        query_id=[f"copy{i}" for i in range(5)]
    )
    new = pd.DataFrame(
        {"query_id": ["new0", "new1"], "task": [None, None], "prompt": ["Never seen.", "Nor this."]}
    )
    grown = changed(data, queries=pd.concat([data.queries, copies, new], ignore_index=True))
    with caplog.at_level(logging.WARNING):
        chosen = choose_held_out(router, grown, "test")
    assert set(chosen) == {
        *split.test,
        "new0",
        "new1",
    }  # neither known ids nor known prompts under other ids
    assert "evaluating on its 32 queries that are new to the artifact" in caplog.text
    assert choose_held_out(router, grown, "validation") == split.validation


def test_ids_of_another_world_say_nothing(router: GraphRouter) -> None:
    other = simulate(
        num_queries=150, num_models=4, seed=2
    ).data  # numbers its queries in the same way
    seen = set(router.support.queries["prompt"])
    chosen = choose_held_out(router, other, "test")
    assert set(chosen) == set(other.queries["query_id"][~other.queries["prompt"].isin(seen)])
    assert len(chosen) > 140


def test_nothing_left_is_an_error(router: GraphRouter, simulation: Simulation) -> None:
    data = simulation.data
    seen = changed(
        data, queries=data.queries[data.queries["query_id"].isin(router.provenance.split.train)]
    )
    with pytest.raises(DataError, match="none of its 105 queries is new to it"):
        choose_held_out(router, seen, "test")
    with pytest.raises(DataError, match="a validation query of it"):
        choose_held_out(router, seen, "validation")


def test_unknown_models_are_left_out_with_a_warning(
    router: GraphRouter, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    models = simulation.data.models
    more = pd.concat([models, pd.DataFrame({"model": ["brand-new"]})], ignore_index=True)
    with caplog.at_level(logging.WARNING):
        warn_of_unknown_models(router, changed(simulation.data, models=more))
    assert "brand-new" in caplog.text
    strangers = RoutingDataset.from_frames(
        queries=simulation.data.queries,
        models=pd.DataFrame({"model": ["x", "y"]}),
        outcomes=pd.DataFrame({"query_id": ["q00000"], "model": ["x"], "effect": [1.0]}),
        name="changed",
    )
    with pytest.raises(DataError, match=r"knows none of the 2 models of 'changed' \(x, y\)"):
        warn_of_unknown_models(router, strangers)


def test_references_learn_the_same_from_the_support(
    router: GraphRouter, simulation: Simulation
) -> None:
    data, split = simulation.data, router.provenance.split
    test_only = changed(data, queries=data.queries[data.queries["query_id"].isin(split.test)])
    from_support, from_data = (
        fit_baselines(seen, ["rasch"], split=division, encoder=router.encoder)
        for seen, division in (
            choose_baseline_data(router, test_only),
            choose_baseline_data(router, data),
        )
    )
    rows = data.queries[data.queries["query_id"].isin(split.test)]
    for name, baseline in from_data.items():
        expected = baseline.predict(rows["prompt"].tolist(), tasks=rows["task"].tolist())
        found = from_support[name].predict(rows["prompt"].tolist(), tasks=rows["task"].tolist())
        assert found.models == expected.models
        np.testing.assert_allclose(found.effect, expected.effect)
        np.testing.assert_allclose(found.cost_usd, expected.cost_usd)


def test_evaluate_is_a_method_of_the_router(router: GraphRouter, simulation: Simulation) -> None:
    found = router.evaluate(simulation.data, baselines=["rasch"], num_draws=20)
    again = collect_held_out(router, simulation.data, baselines=["rasch"]).score(num_draws=20)
    assert found.to_json() == again.to_json()
    assert found.num_queries == len(router.provenance.split.test)
    assert set(found.settings) == {"task_known", "task_hidden"}
    names = ["graphrouter", "best_single", "task_mean", "rasch", "oracle"]
    assert list(found.settings["task_hidden"].routers) == names
    with pytest.raises(ConfigError, match="Unknown baseline 'rash'"):
        router.evaluate(simulation.data, baselines=["rash"])


def test_who_follows_the_work_is_told(router: GraphRouter, simulation: Simulation) -> None:
    told: list[str] = []
    found = collect_held_out(
        router, simulation.data, side="validation", baselines=["smoothie"], tell=told.append
    )
    assert told[0] == "Fitting the baselines: best_single, 1 of 3"
    assert told[-1] == f"Asking for {len(router.provenance.split.validation)} queries"
    assert "answer" in found.failed["smoothie"]


def test_the_command_has_the_same_sides() -> None:
    from graphrouter.cli.evaluate import evaluate

    assert str(get_args(Side)).strip("()") in str(evaluate.__annotations__["split"]).replace(
        '"', "'"
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"side": "train"}, "side is 'train'; expected one of validation, test"),
        ({"num_draws": 0}, "num_draws is 0; expected at least 10"),
        ({"baselines": "knn"}, r"the string 'knn'; expected a sequence, such as \['knn'\]"),
    ],
)
def test_bad_arguments_end_in_one_line(
    router: GraphRouter, simulation: Simulation, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        router.evaluate(simulation.data, **wrong)


def test_what_is_no_dataset_is_refused(router: GraphRouter) -> None:
    with pytest.raises(DataError, match="evaluate received a str; expected a dataset"):
        router.evaluate("world")  # type: ignore[arg-type]


@pytest.mark.parametrize("side", get_args(Side))
def test_levels_are_told_by_no_outcome_of_the_test_side(
    router: GraphRouter, simulation: Simulation, side: Side
) -> None:
    data, split = simulation.data, router.provenance.split
    found = collect_held_out(router, data, side=side, baselines=[]).run.evaluation_set
    told = (*split.train, *split.validation) if side == "test" else split.train
    expected = EvaluationSet.of(
        data,
        found.query_ids,
        models=router.models,
        best_single=None,
        cost_scale=router.cost_scale,
        level_ids=told,
    )
    assert found.level is not None
    np.testing.assert_array_equal(found.level, expected.level)
