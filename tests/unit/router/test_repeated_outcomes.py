"""Repeats are averaged and counted, whichever way they come to a router."""

from __future__ import annotations

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    """A world in which ten training prompts stand under two ids each."""
    world = gr.simulate(num_queries=80, num_models=3, seed=5).data
    split = gr.split_dataset(world, gr.TrainConfig().split)
    side = {
        query: name for name in ("train", "validation", "test") for query in getattr(split, name)
    }
    queries = world.queries.assign(split=world.queries["query_id"].map(side))
    copies = queries[queries["split"] == "train"].head(10)
    again = world.outcomes[world.outcomes["query_id"].isin(copies["query_id"])]
    return gr.RoutingDataset.from_frames(
        queries=pd.concat([queries, copies.assign(query_id="copy " + copies["query_id"])]),
        models=world.models,
        outcomes=pd.concat(
            [
                world.outcomes,
                again.assign(query_id="copy " + again["query_id"], effect=1 - again["effect"]),
            ]
        ),
        tasks=world.tasks,
    )


@pytest.fixture(scope="module")
def config() -> gr.TrainConfig:
    return gr.load_config(
        overrides=[
            "training.max_epochs=0",
            "training.steps_per_epoch=2",
            "encoder.name=hashing",
            "encoder.dimension=64",
        ]
    )


@pytest.fixture(scope="module")
def trained(data: gr.RoutingDataset, config: gr.TrainConfig) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, config)


def test_a_trained_router_keeps_a_prompt_once_with_all_its_outcomes(
    data: gr.RoutingDataset, trained: gr.GraphRouter
) -> None:
    support = trained.support
    assert not support.queries["prompt"].duplicated().any()
    assert len(support.queries) == len(trained.provenance.split.train) - 10
    assert len(support.raw.prompts) == len(support.queries)
    twice = support.outcomes[support.outcomes["num_runs"] == 2]
    assert len(twice) > 20
    assert twice["effect"].to_numpy() == pytest.approx(0.5)


def test_the_support_is_the_same_however_the_rows_come_in(
    data: gr.RoutingDataset, trained: gr.GraphRouter, config: gr.TrainConfig
) -> None:
    is_copy = data.queries["query_id"].str.startswith("copy ")
    half = gr.GraphRouter.fit(
        data.select_queries(data.queries.loc[~is_copy, "query_id"].tolist()), config
    )
    late = data.outcomes.merge(data.queries[is_copy], on="query_id")
    whole = half.add_outcomes(late.drop(columns=["split", "query_id"]))
    keys = ["query_id", "model"]
    prompt = data.queries.set_index("query_id")["prompt"]
    found, expected = (
        router.support.outcomes.assign(query_id=router.support.outcomes["query_id"].map(prompt))
        .sort_values(keys)
        .reset_index(drop=True)
        for router in (whole, trained)
    )
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-12)


def test_a_later_outcome_weighs_one_run(trained: gr.GraphRouter) -> None:
    first = trained.support.outcomes.query("num_runs == 2").iloc[0]
    more = pd.DataFrame({"query_id": [first["query_id"]], "model": [first["model"]], "effect": 1.0})
    changed = trained.add_outcomes(more).support.outcomes.set_index(["query_id", "model"])
    pair = changed.loc[(first["query_id"], first["model"])]
    assert (pair["effect"], pair["num_runs"]) == (pytest.approx(2 / 3), 3)
    again = trained.add_outcomes(more, replace=True).support.outcomes
    theirs = again[again["model"] == first["model"]]
    assert theirs[["effect", "num_runs"]].values.tolist() == [[1, 1]]


def test_one_new_id_with_two_prompts_is_no_repeat(trained: gr.GraphRouter) -> None:
    rows = pd.DataFrame(
        {
            "query_id": ["new", "new"],
            "prompt": ["One thing.", "Another thing."],
            "model": trained.models[0],
            "effect": [0.0, 1.0],
        }
    )
    with pytest.raises(DataError, match="row 2: query_id 'new' has another prompt than in a row"):
        trained.add_outcomes(rows)


def test_a_new_task_holds_no_half_of_a_character(trained: gr.GraphRouter) -> None:
    with pytest.raises(DataError, match="name of the task holds half of a character"):
        trained.add_task("cut \ud800")
    with pytest.raises(DataError, match="description of the task holds half of a character"):
        trained.add_task("law", description="cut \ud800")


def test_an_artifact_keeps_what_an_average_rests_on(
    trained: gr.GraphRouter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("router")
    trained.save(folder)
    loaded = gr.load_router(folder)
    pd.testing.assert_frame_equal(loaded.support.outcomes, trained.support.outcomes)  # type: ignore[attr-defined]
